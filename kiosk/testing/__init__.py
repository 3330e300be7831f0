"""Fakes of the outside world, for the tests of the kiosk and of programs that use it.

They keep the promises of `kiosk.ports` in memory; the contract tests run the same assertions
over them and over the real adapters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from kiosk.callers import LOCAL, Caller
from kiosk.consumer import Consumer
from kiosk.pipelines.context import SegmentationOptions
from kiosk.ports import ImageFiles
from kiosk.service import KioskService
from kiosk.shares import Shares
from kiosk.testing.fake_inference import FakeInference as FakeInference
from kiosk.testing.fake_inference import make_card as make_card
from kiosk.testing.fake_replica import FakeReplica as FakeReplica
from kiosk.testing.known_callers import make_caller as make_caller
from kiosk.testing.memory_keys import MemoryKeyRing as MemoryKeyRing
from kiosk.testing.memory_models import MemoryModelSource as MemoryModelSource
from kiosk.testing.memory_plane import MemoryPlane as MemoryPlane
from kiosk.testing.memory_queue import MemoryQueue as MemoryQueue
from kiosk.testing.memory_rollouts import MemoryRolloutBook as MemoryRolloutBook
from kiosk.testing.memory_store import MemoryStore as MemoryStore
from kiosk.tiles import Tiles
from kiosk.uploads import Uploads

DAY_S = 24 * 3600.0


@dataclass
class FakeKiosk:
    """A whole kiosk in one process, without Redis and Triton."""

    service: KioskService
    queue: MemoryQueue
    store: MemoryStore
    inference: FakeInference
    images: ImageFiles
    options: SegmentationOptions
    keys: MemoryKeyRing
    rollouts: MemoryRolloutBook

    async def upload(
        self, data: bytes, file_name: str = "image.tif", *, caller: Caller = LOCAL
    ) -> str:
        """Upload bytes; returns the upload's id."""

        async def chunks() -> AsyncIterator[bytes]:
            yield data

        uploads = self.service.uploads
        upload = await uploads.create(file_name, len(data), "", caller=caller)
        done = await uploads.append(upload.id, 0, chunks(), finish=not data, caller=caller)
        return done.id

    def consumer(self, name: str = "consumer", **changes: float) -> Consumer:
        return Consumer(
            name=name,
            queue=self.queue,
            store=self.store,
            images=self.images,
            inference=self.inference,
            options=self.options,
            **changes,  # type: ignore[arg-type]
        )

    def tiles(self) -> Tiles:
        """What its viewer shows; to be closed, as the web server does."""
        return Tiles(
            queue=self.queue,
            store=self.store,
            images=self.images,
            uploads=self.service.uploads,
        )

    async def work(self) -> None:
        """Do everything that is in the queue, as one consumer would."""
        consumer = self.consumer()
        while (lease := await self.queue.lease("consumer-0", 0)) is not None:
            await consumer.work(lease)


def make_kiosk(
    images: ImageFiles,
    *,
    queue: MemoryQueue | None = None,
    rollouts: MemoryRolloutBook | None = None,
    inference: FakeInference | None = None,
    options: SegmentationOptions | None = None,
    upload_limit_bytes: int = 10_000_000,
    image_urls: str = "",
    frame_px: int = 10_000_000,
) -> FakeKiosk:
    """A whole kiosk over fakes; `images` is usually the real reader of image files."""
    queue, store, keys = queue or MemoryQueue(), MemoryStore(), MemoryKeyRing()
    rollouts = rollouts or MemoryRolloutBook()
    inference = inference or FakeInference()
    options = options or SegmentationOptions()
    service = KioskService(
        queue=queue,
        store=store,
        images=images,
        inference=inference,
        rollouts=rollouts,
        shares=Shares(queue=queue, store=store, keys=keys, longest_s=30 * DAY_S),
        uploads=Uploads(store, upload_limit_bytes, 3600.0, image_urls),
        job_px=options.job_px,
        frame_px=frame_px,
        longest_retention_s=365 * DAY_S,
    )
    return FakeKiosk(service, queue, store, inference, images, options, keys, rollouts)

"""What a pipeline is given for one job, and the images that a consumer keeps open."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property

from kiosk.errors import InvalidRequest, NotFound
from kiosk.jobs import Job, link_key, upload_key
from kiosk.models import ModelCard
from kiosk.ports import (
    File,
    ImageFiles,
    ImageSource,
    InferenceClient,
    Interruptible,
    ObjectStore,
)
from kiosk.reading import ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.tracking_request import TrackingRequest


def open_upload(store: ObjectStore, upload_id: str) -> File:
    """The bytes of an upload, or the address that it points to. Raises NotFound."""
    try:
        return store.open(upload_key(upload_id))
    except NotFound:
        with store.open(link_key(upload_id)) as link:
            return link.read().decode()


@dataclass(frozen=True, kw_only=True)
class SegmentationOptions:
    """How much is done at a time, and at all; see settings for the reasons."""

    tiles_in_flight: int = 4
    block_px: int = 2560
    block_halo_px: int = 128
    job_px: int = 200_000_000_000
    table_bytes: int = 512 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class JobContext:
    """One job and the outside world, as its pipeline sees them."""

    job: Job
    card: ModelCard
    store: ObjectStore
    images: OpenImages
    inference: InferenceClient
    options: SegmentationOptions

    @cached_property
    def request(self) -> SegmentationRequest:
        """What the job's owner asked for."""
        return SegmentationRequest.from_parameters(self.job.parameters)

    @cached_property
    def tracking(self) -> TrackingRequest:
        """What the job's owner asked for, of a job of tracking."""
        return TrackingRequest.from_parameters(self.job.parameters)

    def image(self) -> AbstractAsyncContextManager[ImageSource]:
        """The opened image of the job, for one user at a time; see `OpenImages.use`."""
        return self.images.use(self.job.upload_id, self.job.file_name, self.request.reading)


# Headers take milliseconds, but for files that are made to take as long as they may.
OPENINGS_AT_A_TIME = 16


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an image lies. An upload may be read in several ways: another image of it, other axes.

    Attributes:
        upload_id: of an upload; "" = it is an object of the kiosk's own, a result.
        key: of that object.
    """

    file_name: str
    upload_id: str = ""
    key: str = ""
    reading: ReadOptions = ReadOptions()


@dataclass
class _Opened:
    """A place for one image; whoever holds the lock may use the source, or open it first."""

    source: ImageSource | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def _close_unwanted(opening: asyncio.Future[ImageSource]) -> None:
    """Close an image that has been opened for somebody who no longer waits for it."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class OpenImages:
    """Images kept open between parts, so that a long stack's headers are read only once."""

    def __init__(self, store: ObjectStore, files: ImageFiles, keep: int = 4) -> None:
        self._store = store
        self._files = files
        self._keep = keep
        self._opened: OrderedDict[Origin, _Opened] = OrderedDict()
        # Threads of their own: files that take until they are stopped shall keep only opening busy.
        self._openers = ThreadPoolExecutor(OPENINGS_AT_A_TIME, "open")

    @asynccontextmanager
    async def use(
        self, upload_id: str, file_name: str, reading: ReadOptions = ReadOptions()
    ) -> AsyncIterator[ImageSource]:
        """As `use_origin`, of an upload."""
        origin = Origin(file_name=file_name, upload_id=upload_id, reading=reading)
        async with self.use_origin(origin) as source:
            yield source

    @asynccontextmanager
    async def use_origin(self, key: Origin) -> AsyncIterator[ImageSource]:
        """The opened image, for one user at a time (a file has one reading position).

        Users of different images do not wait for each other. Raises InvalidRequest when the
        upload is gone or is not a readable image, NotFound when a result is gone.
        """
        opened = await self._locked(key)
        try:
            if opened.source is None:
                opened.source = await self._opened_in_thread(key)
            self._close_oldest()
            yield opened.source
        except asyncio.CancelledError:
            # A thread may still be reading, so nobody else may use this source any more. One that
            # cannot be interrupted is closed when the thread lets go of it.
            self._forget(key, opened)
            if isinstance(opened.source, Interruptible):
                opened.source.close()
            raise
        finally:
            if opened.source is None:
                self._forget(key, opened)
            opened.lock.release()

    async def _locked(self, key: Origin) -> _Opened:
        while True:
            opened = self._opened.setdefault(key, _Opened())
            self._opened.move_to_end(key)
            await opened.lock.acquire()
            if self._opened.get(key) is opened:
                return opened
            opened.lock.release()  # given up, or closed, while this user waited

    def _forget(self, key: Origin, opened: _Opened) -> None:
        if self._opened.get(key) is opened:
            del self._opened[key]

    async def _opened_in_thread(self, origin: Origin) -> ImageSource:
        opening = asyncio.get_running_loop().run_in_executor(self._openers, self._open, origin)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    def _open(self, origin: Origin) -> ImageSource:
        try:
            file = self._file(origin)
        except NotFound as error:
            if not origin.upload_id:
                raise
            raise InvalidRequest(
                "The uploaded image is no longer there. Upload it again.", reason="UPLOAD_GONE"
            ) from error
        try:
            return self._files.open(file, origin.file_name, origin.reading)
        except BaseException:
            if not isinstance(file, str):
                file.close()
            raise

    def _file(self, origin: Origin) -> File:
        if origin.upload_id:
            return open_upload(self._store, origin.upload_id)
        return self._store.open(origin.key)

    def _close_oldest(self) -> None:
        for key in list(self._opened)[: -self._keep or None]:
            opened = self._opened[key]
            if not opened.lock.locked() and opened.source is not None:
                del self._opened[key]
                opened.source.close()

    def close(self) -> None:
        self._openers.shutdown(wait=False)
        for opened in self._opened.values():
            if opened.source is not None:
                opened.source.close()
        self._opened.clear()

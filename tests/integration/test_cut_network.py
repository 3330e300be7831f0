"""The network between a consumer and Redis is cut or falls silent.

Nothing is lost, nothing is acknowledged twice, and results stay what they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from proxy import Line, Proxy
from spots import spots, tiff

from kiosk import consumer as consumer_module
from kiosk.adapters import redis_queue
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.callers import LOCAL
from kiosk.consumer import Consumer
from kiosk.jobs import Job, JobState, results_prefix
from kiosk.pipelines.context import SegmentationOptions
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, make_kiosk

LEASE_S = 1.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_module, "RECONNECT_S", 0.05)
    monkeypatch.setattr(consumer_module, "LEASE_WAIT_S", 0.2)
    monkeypatch.setattr(redis_queue, "SOCKET_TIMEOUT_S", 0.5)


class SlowInference(FakeInference):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def infer(self, *arguments: object) -> dict[str, object]:
        self.asked.set()
        await self.go_on.wait()
        return await super().infer(*arguments)  # type: ignore[arg-type,return-value]


class Site:
    """Consumers far apart: each has its own way to one Redis, all have one store."""

    def __init__(self, redis_port: int, prefix: str) -> None:
        self._prefix = prefix
        self.kiosk: FakeKiosk = make_kiosk(ImageFileReader(LimitSettings()))
        self.queue = self.queue_by(redis_port)
        self.kiosk.service._queue = self.queue
        self._running: list[tuple[Consumer, asyncio.Task[None], RedisQueue]] = []

    def queue_by(self, port: int) -> RedisQueue:
        policy = QueuePolicy(lease_s=LEASE_S, retry_delay_s=0.05, attempts=3)
        return RedisQueue(f"redis://127.0.0.1:{port}/0", policy, self._prefix)

    def consumer(self, name: str, port: int, inference: FakeInference) -> None:
        queue = self.queue_by(port)
        consumer = Consumer(
            name=name,
            queue=queue,
            store=self.kiosk.store,
            images=ImageFileReader(LimitSettings()),
            inference=inference,
            options=SegmentationOptions(),
            parts_in_flight=1,
            lease_s=LEASE_S,
            stop_grace_s=0.5,
        )
        self._running.append((consumer, asyncio.create_task(consumer.run()), queue))

    async def submitted(self) -> Job:
        upload_id = await self.kiosk.upload(tiff(spots()), "cells.tif")
        return await self.kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)

    async def ended(self, job: Job) -> Job:
        async def follow() -> Job:
            async for event in self.queue.watch(job.id):
                last = event.job
            return last

        return await asyncio.wait_for(follow(), 30)

    async def results(self, job: Job) -> dict[str, bytes]:
        prefix = results_prefix(job.id)
        return {
            key: self.kiosk.store.objects[key] for key, _ in await self.kiosk.store.list(prefix)
        }

    async def close(self) -> None:
        for consumer, _, _ in self._running:
            consumer.stop()
        for _, task, queue in self._running:
            await asyncio.wait_for(task, 10)
            await queue.close()
        await self.queue.close()


@pytest.fixture
def redis_port(redis_url: str) -> int:
    return int(redis_url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


@pytest.fixture
async def proxy(redis_port: int) -> AsyncIterator[Proxy]:
    async with Proxy(redis_port) as proxy:
        yield proxy


@pytest.fixture
async def site(redis_port: int, redis_prefix: str, proxy: Proxy) -> AsyncIterator[Site]:
    site = Site(redis_port, redis_prefix)
    yield site
    await site.close()  # before the proxy, through which some queues go


@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT])
async def test_a_consumer_that_is_cut_off_loses_its_part_to_another(
    site: Site, redis_port: int, proxy: Proxy, line: Line
) -> None:
    job = await site.submitted()
    inference = SlowInference()
    site.consumer("cut off", proxy.port, inference)
    await asyncio.wait_for(inference.asked.wait(), 10)
    proxy.become(line)
    site.consumer("well", redis_port, FakeInference())
    done = await site.ended(job)
    assert (done.state, done.parts_done) == (JobState.SUCCEEDED, done.parts_total)
    before = await site.results(job)
    assert before
    inference.go_on.set()
    proxy.become(Line.WELL)
    # The one that was cut off is of use again, and has spoiled nothing.
    second = await site.submitted()
    assert JobState.SUCCEEDED is (await site.ended(second)).state
    assert await site.queue.get(job.id) == done
    assert await site.results(job) == before
    assert (await site.queue.backlog()).parts == 0


async def test_an_only_consumer_that_is_cut_off_goes_on_afterwards(
    site: Site, proxy: Proxy
) -> None:
    inference = SlowInference()
    site.consumer("only", proxy.port, inference)
    job = await site.submitted()
    await asyncio.wait_for(inference.asked.wait(), 10)
    proxy.become(Line.CUT)
    inference.go_on.set()
    await asyncio.sleep(1.5 * LEASE_S)  # longer than it may keep its part without a word
    proxy.become(Line.WELL)
    assert JobState.SUCCEEDED is (await site.ended(job)).state
    assert await site.queue.dead_letters() == []

"""Consumers far apart, in one process: each has its own way to one Redis, all have one store."""

from __future__ import annotations

import asyncio

import pytest
from spots import spots, tiff

from kiosk import consumer as consumer_module
from kiosk import lease_keeper
from kiosk.adapters import redis_queue
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.callers import LOCAL
from kiosk.consumer import Consumer
from kiosk.jobs import Job, results_prefix
from kiosk.pipelines.context import SegmentationOptions
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, make_kiosk

LEASE_S = 1.0


def make_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits and time limits that take seconds in earnest."""
    monkeypatch.setattr(lease_keeper, "RECONNECT_S", 0.05)
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

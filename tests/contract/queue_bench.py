"""A queue under test, in memory or on Redis, and what only a test may do to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis.asyncio

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.jobs import Job, JobState, Lease, Part, PartKind, new_id
from kiosk.ports import JobQueue
from kiosk.queue_policy import QueuePolicy
from kiosk.testing import MemoryQueue

POLICY: dict[str, Any] = {
    "lease_s": 1000.0,
    "attempts": 3,
    "retry_delay_s": 0.0,
    "window_parts": 2,
    "open_jobs": 5,
    "retention_s": 3600.0,
}


_consumers = itertools.count(1000)


@dataclass
class Bench:
    """A queue under test and what only the test may do to it."""

    kind: str
    queue: JobQueue
    policy: dict[str, Any]
    expire: Callable[[Lease], Any]

    async def take(self, consumer: str = "") -> Lease | None:
        """By a consumer that holds nothing yet: another one each time."""
        return await self.queue.lease(consumer or f"c{next(_consumers)}", 0)

    async def must_take(self, consumer: str = "") -> Lease:
        lease = await self.take(consumer)
        assert lease is not None
        return lease

    async def open_counts(self) -> tuple[int, int]:
        """Parts and jobs that are open."""
        backlog = await self.queue.backlog()
        return backlog.parts, backlog.jobs

    async def planned(self, count: int, job: Job | None = None) -> Job:
        """A job whose `count` parts are handed out as far as the window goes."""
        job = await self.queue.submit(job or make_job())
        lease = await self.must_take()
        await self.queue.planned(lease, parts_of(job.id, count), ["a note"])
        return await self.queue.get(job.id)

    async def finish(self, job_id: str) -> None:
        """Do all the work that is left in the queue."""
        while (lease := await self.take()) is not None:
            if lease.part.kind is PartKind.PART:
                await self.queue.complete(lease)
            elif lease.part.kind is PartKind.JOIN:
                await self.queue.succeed(lease)
        assert (await self.queue.get(job_id)).state is JobState.SUCCEEDED


def make_job(**changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": new_id(),
        "pipeline": "segmentation",
        "upload_id": "upload1",
        "file_name": "cells, ü 漢.tif",
        "model": "nuclei",
        "model_version": "1",
        "parameters": {"channel": "", "postprocessing": {"min_area_px": 3.5}},
    }
    return Job(**{**values, **changes})


def parts_of(job_id: str, count: int) -> list[Part]:
    return [
        Part(job_id=job_id, kind=PartKind.PART, index=i, payload={"t": i, "z": 0})
        for i in range(count)
    ]


def memory_bench(policy: dict[str, Any]) -> Bench:
    now = [1_700_000_000.0]
    queue = MemoryQueue(clock=lambda: now[0], **policy)

    async def expire(_: Lease) -> None:
        now[0] += policy["lease_s"] + 1

    return Bench("memory", queue, policy, expire)


def redis_bench(url: str, prefix: str, policy: dict[str, Any]) -> Bench:
    queue = RedisQueue(url, QueuePolicy(**policy), prefix)

    async def expire(lease: Lease) -> None:
        """Let the queue's clock go on as if the consumers had not been heard of for so long."""
        async with redis.asyncio.Redis.from_url(url) as client:
            await client.hincrby(f"{prefix}:clock", "ms", round(policy["lease_s"] * 1000) + 1)

    return Bench("redis", queue, policy, expire)

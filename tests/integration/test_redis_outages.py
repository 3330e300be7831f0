"""A Redis that is killed, stopped or out of memory, under consumers that work."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import redis
from site_of_consumers import LEASE_S, Site, SlowInference, make_quick

from kiosk.adapters import redis_queue
from kiosk.errors import Overloaded
from kiosk.jobs import Job, JobState
from kiosk.testing import FakeInference

if TYPE_CHECKING:
    from tests.conftest import RedisServer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)
    monkeypatch.setattr(redis_queue, "MEMORY_LOOK_S", 0.0)


@dataclass
class Place:
    """A Redis of our own, to be broken, and those that use it."""

    server: RedisServer
    site: Site
    inferences: list[FakeInference] = field(default_factory=list)

    def add_consumer(self, inference: FakeInference | None = None) -> FakeInference:
        inference = inference or FakeInference()
        self.site.consumer(f"c{len(self.inferences)}", self.server.port, inference)
        self.inferences.append(inference)
        return inference

    async def submit_without_end(self, jobs: list[Job]) -> None:
        while True:
            jobs.append(await self.site.submitted())

    async def all_succeed(self, jobs: list[Job]) -> None:
        for job in jobs:
            assert JobState.SUCCEEDED is (await self.site.ended(job)).state
        assert await self.site.queue.dead_letters() == []
        backlog = await self.site.queue.backlog()
        assert (backlog.parts, backlog.jobs) == (0, 0)


@pytest.fixture
async def place(new_redis: Callable[[], RedisServer]) -> AsyncIterator[Place]:
    server = new_redis()
    site = Site(server.port, "{kiosk}")
    yield Place(server, site)
    await site.close()


async def test_a_redis_that_was_killed_goes_on_where_it_was(place: Place) -> None:
    jobs = [await place.site.submitted() for _ in range(5)]
    slow = SlowInference()
    place.add_consumer(slow)
    await asyncio.wait_for(slow.asked.wait(), 10)
    place.server.kill()
    slow.go_on.set()
    await asyncio.sleep(0.2)  # whoever wants to report now cannot
    place.server.start()
    await place.all_succeed(jobs)


async def test_a_redis_killed_while_it_wrote_loses_no_more_than_the_last_step(place: Place) -> None:
    """The end of its file is half a command: it is cut off, and the part is done once more."""
    jobs = [await place.site.submitted() for _ in range(3)]
    slow = SlowInference()
    place.add_consumer(slow)
    await asyncio.wait_for(slow.asked.wait(), 10)
    place.server.kill()
    # The only file until Redis 6; from 7 on the last part of it, in a folder.
    (file,) = (
        *place.server.folder.glob("appendonly.aof"),
        *place.server.folder.glob("appendonlydir/*.incr.aof"),
    )
    os.truncate(file, file.stat().st_size - 7)
    place.server.start()
    slow.go_on.set()
    await place.all_succeed(jobs)


async def test_a_redis_that_stands_still_for_longer_than_a_lease(place: Place) -> None:
    jobs = [await place.site.submitted() for _ in range(5)]
    slow = SlowInference()
    place.add_consumer(slow)
    await asyncio.wait_for(slow.asked.wait(), 10)
    assert place.server.process
    os.kill(place.server.process.pid, signal.SIGSTOP)
    place.add_consumer()
    await asyncio.sleep(1.5 * LEASE_S)
    os.kill(place.server.process.pid, signal.SIGCONT)
    slow.go_on.set()
    await place.all_succeed(jobs)


async def test_a_redis_out_of_memory_takes_nothing_new_and_ends_what_it_has(place: Place) -> None:
    with redis.Redis.from_url(place.server.url) as client:
        most = client.info("memory")["used_memory"] + 4_000_000
        client.config_set("maxmemory", most)
        client.config_set("maxmemory-policy", "noeviction")
        fill(client, round(redis_queue.FULL_SHARE * most) - 90_000)
        jobs: list[Job] = []
        with pytest.raises(Overloaded, match="nearly full"):
            await place.submit_without_end(jobs)
        assert jobs
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            fill(client, most)
        place.add_consumer()
        place.add_consumer()
        await place.all_succeed(jobs)
        client.delete(*client.keys("other:*"))
        for job in jobs:
            await place.site.queue.delete(job.id)
    await place.all_succeed([await place.site.submitted()])


def fill(client: redis.Redis, used_bytes: int) -> None:
    """Use up memory, as somebody else on the same Redis might."""
    while client.info("memory")["used_memory"] < used_bytes:
        client.set(f"other:{uuid.uuid4()}", b"x" * 10_000)
    if used_bytes >= client.info("memory")["maxmemory"]:
        client.set("other:last", b"x")

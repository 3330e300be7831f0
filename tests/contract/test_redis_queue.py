"""What only Redis can do to the queue: run out of memory, be away, count connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from queue_bench import POLICY, Bench, make_job, redis_bench

from kiosk.adapters import redis_queue, redis_watch
from kiosk.errors import Overloaded, TransientError
from kiosk.jobs import JobEvent, JobState


@pytest.fixture
async def own(new_redis: Callable[[], Any], redis_prefix: str) -> AsyncIterator[tuple[Any, Bench]]:
    """A Redis server of our own, and a queue on it."""
    server = new_redis()
    bench = redis_bench(server.url, redis_prefix, {**POLICY, "open_jobs": 1000})
    yield server, bench
    await bench.queue.close()  # type: ignore[attr-defined]


async def fill(server: Any, share: float) -> None:
    """Leave Redis a memory limit of which so much is used."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", round(used / share))


async def test_redis_nearly_full_takes_no_new_jobs(
    own: tuple[Any, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_queue, "MEMORY_LOOK_S", 0.0)
    server, bench = own
    await fill(server, 0.9)
    with pytest.raises(Overloaded, match="nearly full"):
        await bench.queue.submit(make_job())
    await fill(server, 0.5)
    await bench.queue.submit(make_job())


async def test_redis_out_of_memory_finishes_what_it_has(
    own: tuple[Any, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """New jobs are refused; all others go on to their ends, which frees memory."""
    monkeypatch.setattr(redis_queue, "FULL_SHARE", 100.0)  # so that Redis itself has to refuse
    server, bench = own
    jobs = [await bench.queue.submit(make_job(request_id=f"r{i}")) for i in range(20)]
    held = await bench.must_take()
    await fill(server, 2.0)
    with pytest.raises(Overloaded, match="full"):
        await bench.queue.submit(make_job())
    assert len((await bench.queue.list_jobs(100))[0]) == 20
    await bench.queue.renew(held)
    await bench.queue.retry(held, "once more")
    while (lease := await bench.take()) is not None:
        await bench.queue.succeed(lease, 1, ["note"])
    for job in jobs:
        assert (await bench.queue.get(job.id)).state is JobState.SUCCEEDED
        await bench.queue.delete(job.id)


async def test_a_thousand_watchers_share_one_connection(own: tuple[Any, Bench]) -> None:
    server, bench = own
    jobs = [await bench.queue.submit(make_job()) for _ in range(10)]
    ends: list[JobEvent] = []
    begun = asyncio.Semaphore(0)

    async def follow(job_id: str) -> None:
        async for event in bench.queue.watch(job_id):
            begun.release()
            if event.job.state.is_final:
                ends.append(event)

    watchers = [asyncio.create_task(follow(jobs[i % 10].id)) for i in range(1000)]
    for _ in watchers:
        await asyncio.wait_for(begun.acquire(), 30)
    async with redis.asyncio.Redis.from_url(server.url) as client:
        subscribed = [c for c in await client.client_list() if int(c["sub"]) > 0]
        assert [int(c["sub"]) for c in subscribed] == [10]
        for job in jobs:
            await bench.queue.cancel(job.id)
        await asyncio.wait_for(asyncio.gather(*watchers), 30)
        assert len(ends) == 1000
        channels = await client.pubsub_channels()
    assert channels == []


async def test_watchers_are_told_a_few_at_a_time(
    own: tuple[Any, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of many jobs wakes all their watchers; who submits must not wait for all of them."""
    _, bench = own
    queue: Any = bench.queue
    read, reading, most = queue._record, 0, 0

    async def counted(job_id: str) -> list[Any]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        stored: list[Any] = await read(job_id)
        reading -= 1
        return stored

    monkeypatch.setattr(queue, "_record", counted)
    job = await bench.queue.submit(make_job())
    watchers = [asyncio.ensure_future(anext(bench.queue.watch(job.id))) for _ in range(50)]
    await asyncio.wait_for(asyncio.gather(*watchers), 10)
    assert most == redis_queue.WATCHERS_TOLD_AT_A_TIME


async def test_watchers_find_their_way_back_after_redis_was_away(
    own: tuple[Any, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_watch, "RECONNECT_S", 0.05)
    server, bench = own
    job = await bench.queue.submit(make_job())
    events = bench.queue.watch(job.id)
    assert (await anext(events)).job.state is JobState.QUEUED
    waiting = asyncio.create_task(anext(events))
    server.kill()
    server.start()
    await bench.queue.cancel(job.id)
    try:
        event = await asyncio.wait_for(waiting, 20)
    except TransientError:  # it was told while Redis was away; a client watches again
        event = await anext(bench.queue.watch(job.id))
    assert event.job.state is JobState.CANCELLED


async def test_a_kill_in_the_middle_of_a_write_loses_no_other_job(
    own: tuple[Any, Bench],
) -> None:
    """A torn end of the append-only file is cut off when Redis starts again."""
    server, bench = own
    jobs = [await bench.queue.submit(make_job()) for _ in range(3)]
    server.kill()
    (file,) = [f for f in server.folder.rglob("*.aof") if f.stat().st_size]
    file.write_bytes(file.read_bytes() + b"*3\r\n$3\r\nSET\r\n$1")
    server.start()
    assert {job.id for job in jobs} == {job.id for job in (await bench.queue.list_jobs(9))[0]}


async def test_jobs_ahead_beyond_what_is_counted_one_by_one(own: tuple[Any, Bench]) -> None:
    """Owners far back count as one job each: exact where each has one."""
    _, bench = own
    jobs = [await bench.queue.submit(make_job(owner=f"owner{n:03d}")) for n in range(250)]
    found = [await bench.queue.jobs_ahead(jobs[n].id) for n in (0, 1, 199, 200, 249)]
    assert found == [0, 1, 199, 200, 249]

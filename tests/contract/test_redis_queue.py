"""What only Redis can do to the queue: run out of memory, be away, count connections."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
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


async def test_a_waiting_job_stays_one_small_block(own: tuple[Any, Bench]) -> None:
    """With all that a job may carry; Redis takes several times as much for anything longer."""
    server, bench = own
    job = make_job(
        model="a-model-with-a-name-that-is-rather-long",
        model_version="12345",
        owner="somebody.with.a.long.name@institute.example.org",
        work_px=200_000_000_000,
        trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    await bench.queue.submit(job)
    key = f"{bench.queue._prefix}:job:{job.id}"  # type: ignore[attr-defined]
    async with redis.asyncio.Redis.from_url(server.url, decode_responses=True) as client:
        assert await client.object("encoding", key) in ("listpack", "ziplist")


async def test_leases_of_an_older_kiosk_go_on(own: tuple[Any, Bench]) -> None:
    """Its leases do not say when they began: their pixels are done at no pace."""
    server, bench = own
    queue: Any = bench.queue
    await bench.planned(2, make_job(work_px=100))
    lease = await bench.must_take()
    old = replace(lease, token=re.sub(r"\.\d+/", "/", lease.token))
    async with redis.asyncio.Redis.from_url(server.url, decode_responses=True) as client:
        await client.zrem(f"{queue._prefix}:leases", lease.token)
        await client.zadd(f"{queue._prefix}:leases", {old.token: 9e15})
    await bench.queue.renew(old)
    await bench.queue.complete(old)
    (load,) = (await bench.queue.backlog()).models
    assert (load.open_px, load.px_per_slot_s) == (50, 0.0)


async def test_a_pace_that_weighs_nothing_leaves_redis(own: tuple[Any, Bench]) -> None:
    server, bench = own
    queue: Any = bench.queue
    async with redis.asyncio.Redis.from_url(server.url, decode_responses=True) as client:
        await bench.queue.backlog()
        now = await client.hget(f"{queue._prefix}:clock", "ms")
        await client.hset(f"{queue._prefix}:pace", "nuclei:1", f"10 0.5 {now}")
        await client.hset(f"{queue._prefix}:pace", "nuclei:2", f"10 1000 {now}")
        (load,) = (await bench.queue.backlog()).models
        assert load.version == "2"
        assert await client.hkeys(f"{queue._prefix}:pace") == ["nuclei:2"]


async def test_counts_that_an_older_kiosk_left_behind_go_with_the_last_job(
    own: tuple[Any, Bench],
) -> None:
    """While both work on one queue, the older ends jobs without taking their pixels off."""
    server, bench = own
    queue: Any = bench.queue
    job = await bench.queue.submit(make_job(work_px=100))
    async with redis.asyncio.Redis.from_url(server.url, decode_responses=True) as client:
        await client.hincrby(f"{queue._prefix}:work", "nuclei:1", 70)
    (load,) = (await bench.queue.backlog()).models
    assert load.open_px == 170
    await bench.queue.cancel(job.id)
    assert (await bench.queue.backlog()).models == ()

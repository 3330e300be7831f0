"""The promises of `ports.JobQueue`, kept alike by the fake in memory and by Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import redis.asyncio
from queue_bench import POLICY, Bench, make_job, parts_of, redis_bench

from kiosk.adapters import redis_watch
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.errors import (
    AlreadyExists,
    KioskError,
    LeaseLost,
    NotFound,
    Overloaded,
    TransientError,
    WrongState,
)
from kiosk.jobs import (
    JOIN_INDEX,
    PLAN_INDEX,
    JobEvent,
    JobState,
    PartKind,
    Stage,
)
from kiosk.ports import JobQueue
from kiosk.queue_policy import QueuePolicy
from kiosk.testing import MemoryQueue

# ---------------------------------------------------------------- a whole life


async def test_whole_life_of_a_job(bench: Bench) -> None:
    """Plan, parts, join; the states, stages and counters in between."""
    queue = bench.queue
    job = await queue.submit(make_job())
    assert (job.state, job.stage) == (JobState.QUEUED, Stage.WAITING)
    assert job.create_time_s > 0
    assert job.expire_time_s == pytest.approx(job.create_time_s + 3600)
    assert await bench.open_counts() == (1, 1)

    plan = await bench.must_take()
    assert (plan.part.kind, plan.part.index, plan.attempt) == (PartKind.PLAN, PLAN_INDEX, 1)
    assert (plan.job.state, plan.job.stage) == (JobState.RUNNING, Stage.PLANNING)
    assert plan.job.start_time_s >= job.create_time_s
    await queue.planned(plan, parts_of(job.id, 3), ["Used channel 0."])
    planned = await queue.get(job.id)
    assert (planned.stage, planned.parts_total, planned.parts_done) == (Stage.PARTS, 3, 0)
    assert planned.notes == ("Used channel 0.",)
    assert await bench.open_counts() == (4, 1)

    for index in range(3):
        lease = await bench.must_take()
        assert (PartKind.PART, index) == (lease.part.kind, lease.part.index)
        assert {"t": index, "z": 0} == lease.part.payload
        await queue.complete(lease)
        assert index + 1 == (await queue.get(job.id)).parts_done
    assert Stage.JOINING is (await queue.get(job.id)).stage

    join = await bench.must_take()
    assert (join.part.kind, join.part.index) == (PartKind.JOIN, JOIN_INDEX)
    await queue.succeed(join)
    done = await queue.get(job.id)
    assert (done.state, done.stage) == (JobState.SUCCEEDED, Stage.FINISHED)
    assert done.end_time_s >= done.start_time_s
    assert await bench.open_counts() == (0, 0)
    assert await bench.take() is None


async def test_what_was_submitted_comes_back_unchanged(bench: Bench) -> None:
    job = make_job(
        owner="me", request_id="r/1", parameters={"channel": "ü,\n", "postprocessing": {"a": 1e-9}}
    )
    accepted = await bench.queue.submit(job)
    for name in ("file_name", "upload_id", "model", "model_version", "parameters", "owner"):
        assert getattr(job, name) == getattr(accepted, name)
    assert accepted == await bench.queue.get(job.id)


async def test_plan_without_parts_goes_straight_to_the_join(bench: Bench) -> None:
    job = await bench.planned(0)
    assert Stage.JOINING is job.stage
    await bench.finish(job.id)


async def test_parts_of_two_jobs_take_turns(bench: Bench) -> None:
    """The window keeps a long job from standing before a short one."""
    long = await bench.planned(10)
    short = await bench.queue.submit(make_job())
    order = []
    for _ in range(3):
        lease = await bench.must_take()
        order.append(lease.part.job_id)
    assert [long.id, short.id, long.id] == order


# ---------------------------------------------------------------- submitting


async def test_same_request_gives_the_job_of_then(bench: Bench) -> None:
    first = await bench.queue.submit(make_job(request_id="r1"))
    again = await bench.queue.submit(make_job(request_id="r1"))
    assert first.id == again.id
    assert await bench.open_counts() == (1, 1)


async def test_same_request_id_of_another_owner_is_another_request(bench: Bench) -> None:
    first = await bench.queue.submit(make_job(request_id="r1", owner="a"))
    other = await bench.queue.submit(make_job(request_id="r1", owner="b"))
    assert first.id != other.id


async def test_same_request_id_with_other_content_is_refused(bench: Bench) -> None:
    await bench.queue.submit(make_job(request_id="r1"))
    with pytest.raises(AlreadyExists):
        await bench.queue.submit(make_job(request_id="r1", parameters={"channel": "1"}))


async def test_request_of_a_deleted_job_starts_anew(bench: Bench) -> None:
    first = await bench.queue.submit(make_job(request_id="r1"))
    await bench.queue.cancel(first.id)
    await bench.queue.delete(first.id)
    again = await bench.queue.submit(make_job(request_id="r1"))
    assert first.id != again.id
    assert JobState.QUEUED is again.state


async def test_submitting_twice_by_a_lost_answer_queues_once(bench: Bench) -> None:
    """A client library that did not get the answer sends the same step again."""
    job = make_job()
    await bench.queue.submit(job)
    assert job.id == (await bench.queue.submit(job)).id
    assert await bench.open_counts() == (1, 1)
    assert await bench.take() is not None
    assert await bench.take() is None


async def test_too_many_open_jobs_are_refused_until_one_ends(bench: Bench) -> None:
    jobs = [await bench.queue.submit(make_job()) for _ in range(5)]
    with pytest.raises(Overloaded):
        await bench.queue.submit(make_job())
    await bench.queue.cancel(jobs[2].id)
    assert JobState.QUEUED is (await bench.queue.submit(make_job())).state


async def test_known_request_is_answered_even_when_full(bench: Bench) -> None:
    first = await bench.queue.submit(make_job(request_id="r1"))
    for _ in range(4):
        await bench.queue.submit(make_job())
    assert first.id == (await bench.queue.submit(make_job(request_id="r1"))).id


# ---------------------------------------------------------------- handing out


async def test_window_bounds_what_one_job_has_out(bench: Bench) -> None:
    await bench.planned(5)
    first, second = await bench.must_take("a"), await bench.must_take("b")
    assert (first.part.index, second.part.index) == (0, 1)
    assert await bench.take("c") is None
    await bench.queue.complete(second)
    assert (await bench.must_take("c")).part.index == 2
    assert await bench.take("d") is None


async def test_join_waits_for_the_slowest_part(bench: Bench) -> None:
    await bench.planned(2)
    slow, fast = await bench.must_take("a"), await bench.must_take("b")
    await bench.queue.complete(fast)
    assert await bench.take() is None
    await bench.queue.complete(slow)
    assert PartKind.JOIN is (await bench.must_take()).part.kind


async def test_lease_comes_when_work_comes(bench: Bench) -> None:
    """A consumer that waits is woken by a submission."""
    if bench.kind == "memory":
        bench = Bench("memory", MemoryQueue(), POLICY, bench.expire)  # on the clock of the loop
    waiting = asyncio.create_task(bench.queue.lease("c", 20))
    await asyncio.sleep(0)
    job = await bench.queue.submit(make_job())
    lease = await asyncio.wait_for(waiting, 10)
    assert lease is not None
    assert job.id == lease.part.job_id


# ---------------------------------------------------------------- attempts


async def test_retry_gives_another_attempt_and_then_the_dead_letters(bench: Bench) -> None:
    job = await bench.planned(1)
    for attempt in (1, 2, 3):
        lease = await bench.must_take()
        assert (0, attempt) == (lease.part.index, lease.attempt)
        await bench.queue.retry(lease, f"reason {attempt}")
    failed = await bench.queue.get(job.id)
    assert JobState.FAILED is failed.state
    assert failed.error_reason == "ATTEMPTS_EXHAUSTED"
    assert "3 attempts" in failed.error
    assert "reason 3" in failed.error
    (letter,) = await bench.queue.dead_letters()
    assert (job.id, 0, PartKind.PART, 3, "reason 3") == (
        letter.job_id,
        letter.part_index,
        letter.kind,
        letter.attempts,
        letter.reason,
    )
    assert await bench.open_counts() == (0, 0)
    assert await bench.take() is None


async def test_retry_waits_before_the_next_attempt(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(retry_delay_s=500.0)
    await bench.queue.submit(make_job())
    await bench.queue.retry(await bench.must_take(), "Triton does not answer.")
    assert await bench.take() is None
    assert await bench.open_counts() == (1, 1)


async def test_delay_doubles_with_each_attempt() -> None:
    """Exactly on a clock of our own; Redis computes it by the same formula in Lua."""
    now = [0.0]
    queue = MemoryQueue(clock=lambda: now[0], retry_delay_s=10.0, attempts=4, lease_s=1e6)
    await queue.submit(make_job())
    for delay_s in (10, 20, 40):
        lease = await queue.lease("c", 0)
        assert lease is not None
        await queue.retry(lease, "again")
        now[0] += delay_s - 0.1
        assert await queue.lease("c", 0) is None
        now[0] += 0.1
    assert await queue.lease("c", 0) is not None


async def test_delay_doubles_in_redis(redis_url: str, redis_prefix: str) -> None:
    queue = redis_bench(redis_url, redis_prefix, {**POLICY, "retry_delay_s": 20.0}).queue
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        await queue.submit(make_job())
        for delay_s in (20, 40):
            lease = await queue.lease("c", 0)
            assert lease is not None
            await queue.retry(lease, "again")
            ((member, due_ms),) = await client.zrange(
                f"{redis_prefix}:delayed", 0, -1, withscores=True
            )
            now_ms = int(await client.hget(f"{redis_prefix}:clock", "ms"))
            assert delay_s == pytest.approx((due_ms - now_ms) / 1000, abs=5)
            await client.zadd(f"{redis_prefix}:delayed", {member: 1})
    await queue.close()  # type: ignore[attr-defined]


async def test_release_does_not_count_the_attempt(bench: Bench) -> None:
    await bench.planned(1)
    for _ in range(5):
        lease = await bench.must_take()
        assert lease.attempt == 1
        await bench.queue.release(lease)
    assert (await bench.must_take()).attempt == 1


async def test_fail_ends_the_job_at_once(bench: Bench) -> None:
    job = await bench.planned(2)
    lease, other = await bench.must_take("a"), await bench.must_take("b")
    await bench.queue.fail(lease, "NOT_AN_IMAGE", "This is no image.")
    failed = await bench.queue.get(job.id)
    assert (
        failed.state,
        failed.error_reason,
        failed.error,
    ) == (JobState.FAILED, "NOT_AN_IMAGE", "This is no image.")
    with pytest.raises(LeaseLost):
        await bench.queue.complete(other)
    assert await bench.queue.dead_letters() == []
    assert await bench.open_counts() == (0, 0)


async def test_newest_dead_letter_comes_first(bench: Bench) -> None:
    ids = []
    for _ in range(3):
        ids.append((await bench.queue.submit(make_job())).id)
        for _ in range(3):
            await bench.queue.retry(await bench.must_take(), "no")
    letters = await bench.queue.dead_letters()
    keys = [(letter.time_s, letter.job_id) for letter in letters]
    assert keys == sorted(keys, reverse=True)
    assert sorted(ids) == sorted(letter.job_id for letter in letters)
    assert letters[:2] == await bench.queue.dead_letters(limit=2)
    assert {PartKind.PLAN} == {letter.kind for letter in letters}


# ---------------------------------------------------------------- leases


async def test_expired_lease_goes_to_another_consumer(bench: Bench) -> None:
    await bench.planned(1)
    old = await bench.must_take("old")
    assert await bench.take("new") is None
    await bench.expire(old)
    new = await bench.must_take("new")
    assert (old.part, 2) == (new.part, new.attempt)
    for step in (
        bench.queue.renew(old),
        bench.queue.complete(old),
        bench.queue.retry(old, "x"),
        bench.queue.release(old),
        bench.queue.fail(old, "X", "x"),
    ):
        with pytest.raises(LeaseLost):
            await step
    await bench.queue.complete(new)
    assert PartKind.JOIN is (await bench.must_take()).part.kind


async def test_takeover_of_plan_and_join_shuts_out_the_old_owner(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    old = await bench.must_take("old")
    await bench.expire(old)
    new = await bench.must_take("new")
    with pytest.raises(LeaseLost):
        await bench.queue.planned(old, parts_of(job.id, 7), [])
    await bench.queue.planned(new, parts_of(job.id, 1), [])
    await bench.queue.complete(await bench.must_take())
    old = await bench.must_take("old")
    await bench.expire(old)
    new = await bench.must_take("new")
    with pytest.raises(LeaseLost):
        await bench.queue.succeed(old)
    await bench.queue.succeed(new)
    assert (await bench.queue.get(job.id)).parts_total == 1


async def test_renewed_lease_stays(bench: Bench) -> None:
    await bench.planned(1)
    lease = await bench.must_take("a")
    await bench.expire(lease)
    await bench.queue.renew(lease)
    assert await bench.take("b") is None
    await bench.queue.complete(lease)


async def test_step_done_twice_counts_once(bench: Bench) -> None:
    job = await bench.planned(2)
    lease = await bench.must_take()
    await bench.queue.complete(lease)
    with pytest.raises(LeaseLost):
        await bench.queue.complete(lease)
    assert (await bench.queue.get(job.id)).parts_done == 1
    assert await bench.open_counts() == (2, 1)


async def test_consumer_that_always_dies_exhausts_the_attempts(bench: Bench) -> None:
    job = await bench.planned(1)
    for attempt in (1, 2, 3):
        lease = await bench.must_take(f"c{attempt}")
        assert attempt == lease.attempt
        await bench.expire(lease)
    assert await bench.take("last") is None
    failed = await bench.queue.get(job.id)
    assert (failed.state, failed.error_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "stopped" in failed.error
    (letter,) = await bench.queue.dead_letters()
    assert letter.attempts == 3


async def test_expired_lease_is_found_behind_many_that_are_kept(
    make_bench: Callable[..., Bench],
) -> None:
    """Thirty consumers are well; the part of the one that died must not wait for them."""
    bench = make_bench(window_parts=40)
    await bench.planned(31)
    kept = [await bench.must_take(f"c{i}") for i in range(30)]
    dead = await bench.must_take("dead")
    await bench.expire(dead)
    for lease in kept:
        await bench.queue.renew(lease)
    taken = await bench.queue.lease("new", 0)
    assert taken is not None
    assert dead.part == taken.part


# ---------------------------------------------------------------- cancelling and deleting


async def test_cancel_while_queued(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    cancelled = await bench.queue.cancel(job.id)
    assert (cancelled.state, cancelled.stage) == (JobState.CANCELLED, Stage.FINISHED)
    assert await bench.take() is None
    assert await bench.open_counts() == (0, 0)


async def test_cancel_while_parts_are_out(bench: Bench) -> None:
    job = await bench.planned(4)
    lease = await bench.must_take()
    await bench.queue.cancel(job.id)
    with pytest.raises(LeaseLost):
        await bench.queue.renew(lease)
    assert await bench.take() is None
    assert await bench.open_counts() == (0, 0)


async def test_cancel_while_a_part_waits_for_its_retry(bench: Bench) -> None:
    job = await bench.planned(1)
    await bench.queue.retry(await bench.must_take(), "later")
    await bench.queue.cancel(job.id)
    assert await bench.take() is None
    assert JobState.CANCELLED is (await bench.queue.get(job.id)).state


async def test_cancel_leaves_a_finished_job_as_it_is(bench: Bench) -> None:
    job = await bench.planned(1)
    await bench.finish(job.id)
    before = await bench.queue.get(job.id)
    assert before == await bench.queue.cancel(job.id)


async def test_part_of_a_cancelled_job_does_not_hide_the_next_job(bench: Bench) -> None:
    cancelled = await bench.queue.submit(make_job())
    other = await bench.queue.submit(make_job())
    await bench.queue.cancel(cancelled.id)
    assert other.id == (await bench.must_take()).part.job_id


async def test_delete_wants_a_finished_job(bench: Bench) -> None:
    job = await bench.queue.submit(make_job())
    with pytest.raises(WrongState):
        await bench.queue.delete(job.id)
    await bench.queue.cancel(job.id)
    await bench.queue.delete(job.id)
    with pytest.raises(NotFound):
        await bench.queue.get(job.id)
    with pytest.raises(NotFound):
        await bench.queue.delete(job.id)
    assert await bench.queue.list_jobs(10) == ([], "")
    assert await bench.queue.expired() == []


async def test_late_step_for_a_deleted_job_finds_its_lease_lost(bench: Bench) -> None:
    job = await bench.planned(2)
    lease = await bench.must_take()
    await bench.queue.cancel(job.id)
    await bench.queue.delete(job.id)
    with pytest.raises(LeaseLost):
        await bench.queue.complete(lease)
    assert await bench.take() is None
    with pytest.raises(NotFound):
        await bench.queue.get(job.id)


@pytest.mark.parametrize(
    "odd", ["", "no-such-job", "../../x", "{id}:parts", "{id}:said", "a b", "\ud800", "x" * 9999]
)
async def test_odd_ids_are_not_found(bench: Bench, odd: str) -> None:
    job = await bench.planned(1)
    odd = odd.replace("{id}", job.id)
    for step in (bench.queue.get, bench.queue.cancel, bench.queue.delete):
        with pytest.raises(NotFound):
            await step(odd)
    with pytest.raises(NotFound):
        await anext(bench.queue.watch(odd))


# ---------------------------------------------------------------- lists


async def pages(queue: JobQueue, size: int) -> list[list[str]]:
    found, token = [], ""
    while True:
        jobs, token = await queue.list_jobs(size, token)
        found.append([job.id for job in jobs])
        if not token:
            return found


async def test_pages_hold_every_job_once_newest_first(make_bench: Callable[..., Bench]) -> None:
    """The clock of the fake stands still, so all creation times are equal there."""
    bench = make_bench(open_jobs=100)
    jobs = [await bench.queue.submit(make_job()) for _ in range(7)]
    key = {job.id: (round(job.create_time_s * 1000), job.id) for job in jobs}
    expected = sorted(key, key=lambda job_id: key[job_id], reverse=True)
    for size in (1, 2, 3, 7, 50):
        found = await pages(bench.queue, size)
        assert expected == [job_id for page in found for job_id in page]
        assert max(map(len, found)) <= size


async def test_pages_with_equal_times_in_redis(redis_url: str, redis_prefix: str) -> None:
    bench = redis_bench(redis_url, redis_prefix, {**POLICY, "open_jobs": 100})
    ids = [(await bench.queue.submit(make_job())).id for _ in range(9)]
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.zadd(f"{redis_prefix}:jobs:", dict.fromkeys(ids, 1_700_000_000_000))
    for size in (1, 2, 4, 9):
        found = await pages(bench.queue, size)
        assert sorted(ids, reverse=True) == [job_id for page in found for job_id in page]
    await bench.queue.close()  # type: ignore[attr-defined]


async def test_page_goes_on_when_the_job_of_its_token_is_gone(bench: Bench) -> None:
    for _ in range(4):
        await bench.queue.submit(make_job())
    first, token = await bench.queue.list_jobs(2)
    await bench.queue.cancel(first[-1].id)
    await bench.queue.delete(first[-1].id)
    rest, end = await bench.queue.list_jobs(2, token)
    assert (len(rest), end) == (2, "")
    assert not {job.id for job in first} & {job.id for job in rest}


async def test_previews_expire_sooner(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(retention_s=3600.0, preview_s=60.0)
    for parameters, kept_s in (({"preview": True}, 60.0), ({}, 3600.0)):
        job = await bench.queue.submit(make_job(parameters=parameters))
        assert job.expire_time_s - job.create_time_s == pytest.approx(kept_s)
    bench = make_bench(retention_s=3600.0, preview_s=0.0)
    job = await bench.queue.submit(make_job(parameters={"preview": True}))
    assert [job.id] == await bench.queue.expired()


async def test_expired_jobs_are_named(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(retention_s=0.0)
    job = await bench.queue.submit(make_job())
    assert [job.id] == await bench.queue.expired()
    assert await make_bench(retention_s=3600.0).queue.expired() == [] or bench.kind == "redis"


# ---------------------------------------------------------------- watching


async def test_watch_tells_the_present_and_then_each_step(bench: Bench) -> None:
    job = await bench.planned(2)
    events: list[JobEvent] = []
    seen = asyncio.Event()

    async def follow() -> None:
        async for event in bench.queue.watch(job.id):
            events.append(event)
            seen.set()

    watcher = asyncio.create_task(follow())
    await asyncio.wait_for(seen.wait(), 10)
    await bench.finish(job.id)
    await asyncio.wait_for(watcher, 10)
    done = [event.job.parts_done for event in events]
    assert done == sorted(done)  # what comes fast is told as one
    assert (done[0], done[-1]) == (0, 2)
    assert JobState.SUCCEEDED is events[-1].job.state


async def test_watch_goes_on_after_the_event_it_saw_last(bench: Bench) -> None:
    job = await bench.planned(2)
    first = await anext(bench.queue.watch(job.id))
    await bench.finish(job.id)
    rest = [event async for event in bench.queue.watch(job.id, first.id)]
    assert [event.job.parts_done for event in rest] == [2]
    assert first.id not in [event.id for event in rest]


async def test_watch_of_a_finished_job_gives_its_last_event(bench: Bench) -> None:
    job = await bench.planned(1)
    await bench.finish(job.id)
    (event,) = [event async for event in bench.queue.watch(job.id)]
    assert JobState.SUCCEEDED is event.job.state


async def test_watch_ends_also_after_the_final_event(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that reconnects after the end is told the end once more."""
    monkeypatch.setattr(redis_watch, "LONGEST_SILENCE_S", 0.02)
    job = await bench.planned(1)
    await bench.finish(job.id)
    (last,) = [event async for event in bench.queue.watch(job.id)]
    (again,) = [event async for event in bench.queue.watch(job.id, last.id)]
    assert last.job == again.job


async def test_watch_of_a_job_deleted_meanwhile_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_watch, "LONGEST_SILENCE_S", 0.02)
    job = await bench.queue.submit(make_job())
    events = bench.queue.watch(job.id)
    await anext(events)
    await bench.queue.cancel(job.id)
    await bench.queue.delete(job.id)
    with contextlib.suppress(NotFound):  # nobody had told the watcher before the job was gone
        assert JobState.CANCELLED is [event.job.state async for event in events][-1]


# ---------------------------------------------------------------- Redis alone


async def test_jobs_survive_a_kill_of_redis(
    new_redis: Callable[[], Any], redis_prefix: str
) -> None:
    server = new_redis()
    bench = redis_bench(server.url, redis_prefix, POLICY)
    job = await bench.planned(3)
    held = await bench.must_take("a")
    await bench.queue.complete(await bench.must_take("b"))
    before = await bench.queue.get(job.id)
    server.kill()
    with pytest.raises(TransientError):
        await bench.queue.get(job.id)
    server.start()
    assert before == await bench.queue.get(job.id)
    await bench.queue.complete(held)
    await bench.finish(job.id)
    await bench.queue.close()  # type: ignore[attr-defined]


async def test_emptied_redis_works_on(new_redis: Callable[[], Any], redis_prefix: str) -> None:
    """Without its AOF a Redis comes back empty: old jobs are gone, new ones work."""
    server = new_redis()
    bench = redis_bench(server.url, redis_prefix, POLICY)
    lost = await bench.planned(1)
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.flushall()
    with pytest.raises(NotFound):
        await bench.queue.get(lost.id)
    job = await bench.planned(1)
    await bench.finish(job.id)
    await bench.queue.close()  # type: ignore[attr-defined]


async def test_dead_redis_is_a_transient_error(
    new_redis: Callable[[], Any], redis_prefix: str
) -> None:
    server = new_redis()
    bench = redis_bench(server.url, redis_prefix, POLICY)
    await bench.queue.submit(make_job())
    lease = await bench.must_take()
    server.stop()
    steps: list[Callable[[], Any]] = [
        lambda: bench.queue.submit(make_job()),
        lambda: bench.queue.lease("c", 0),
        lambda: bench.queue.renew(lease),
        lambda: bench.queue.get(lease.job.id),
        lambda: bench.queue.list_jobs(5),
        lambda: anext(bench.queue.watch(lease.job.id)),
        bench.queue.backlog,
        bench.queue.expired,
        bench.queue.dead_letters,
    ]
    for step in steps:
        with pytest.raises(TransientError, match="Redis"):
            await step()
    server.start()
    assert lease.job.id == (await bench.queue.get(lease.job.id)).id
    await bench.queue.close()  # type: ignore[attr-defined]


async def test_wrong_password_is_a_transient_error_and_shows_nothing(
    redis_url: str, redis_prefix: str
) -> None:
    url = redis_url.replace("redis://", "redis://somebody:secret-word@")
    queue = RedisQueue(url, QueuePolicy(), redis_prefix)
    with pytest.raises(KioskError) as error:
        await queue.backlog()
    assert "secret-word" not in error.value.message
    await queue.close()


async def test_nothing_of_a_deleted_job_stays_in_redis(redis_url: str, redis_prefix: str) -> None:
    bench = redis_bench(redis_url, redis_prefix, POLICY)
    job = await bench.planned(3)
    await bench.queue.retry(await bench.must_take(), "later")
    await bench.queue.cancel(job.id)
    await bench.queue.delete(job.id)
    assert await bench.take() is None
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        await bench.queue.cleaned(job.id)
        left = [key async for key in client.scan_iter(f"{redis_prefix}:*")]
        assert sorted(key.removeprefix(redis_prefix) for key in left) == [
            ":backlog",
            ":bell",
            ":clock",
            ":turn",
        ]
    await bench.queue.close()  # type: ignore[attr-defined]

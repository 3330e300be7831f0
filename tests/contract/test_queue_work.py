"""The backlog in pixels and in seconds of work, alike in memory and on Redis, in virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from queue_bench import POLICY, make_job, parts_of
from virtual_time import at_virtual_time

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.jobs import Job, Lease, Part, PartKind
from kiosk.ports import JobQueue, ModelLoad
from kiosk.queue_policy import LEAST_PACE_S, PACE_HALF_LIFE_S, QueuePolicy
from kiosk.testing import MemoryQueue

NUCLEI = ("nuclei", "1")
# The queue's clock moves on by no more than this from one step to the next.
TICK_S = 5.0
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class TimedQueue:
    """A queue and its clock."""

    queue: JobQueue
    set_clock: Callable[[float], Any]
    now_s: float = 1_000_000.0  # small enough for floats to tell milliseconds apart
    consumers: int = field(default=0)

    async def passes(self, seconds: float) -> None:
        """Let time go by, as others who ask the queue see it."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.now_s = min(until_s, self.now_s + TICK_S)
            self.set_clock(self.now_s)
            await self.queue.backlog()

    async def take(self) -> Lease:
        self.consumers += 1
        lease = await self.queue.lease(f"c{self.consumers}", 0)
        assert lease is not None
        return lease

    async def submit(self, work_px: int, **changes: Any) -> Job:
        return await self.queue.submit(make_job(work_px=work_px, **changes))

    async def planned(self, work_px: int, parts: int, **changes: Any) -> Job:
        job = await self.submit(work_px, **changes)
        await self.queue.planned(await self.take(), parts_of(job.id, parts), [])
        return job

    async def done_at_once(self, work_px: int, seconds: float, **changes: Any) -> None:
        """A job that its plan does, in so many seconds."""
        await self.submit(work_px, **changes)
        lease = await self.take()
        await self.passes(seconds)
        await self.queue.succeed(lease, 1)

    async def open_px(self) -> dict[tuple[str, str], int]:
        models = (await self.queue.backlog()).models
        return {(load.model, load.version): load.open_px for load in models if load.open_px}

    async def pace(self) -> float:
        """Of the one model that is known."""
        (load,) = (await self.queue.backlog()).models
        return load.px_per_slot_s


@pytest.fixture(params=["memory", "redis"])
async def timed(request: pytest.FixtureRequest, redis_prefix: str) -> AsyncIterator[TimedQueue]:
    policy = {**POLICY, "window_parts": 10, "open_jobs": 100}
    if request.param == "memory":
        clock = [0.0]
        made = TimedQueue(
            MemoryQueue(clock=lambda: clock[0], longest_tick_s=TICK_S, **policy),
            lambda now_s: clock.__setitem__(0, now_s),
        )
        made.set_clock(made.now_s)
        yield made
        return
    url = request.getfixturevalue("redis_url")
    queue = RedisQueue(url, QueuePolicy(**policy), redis_prefix)
    at_virtual_time(queue)
    with redis.Redis.from_url(url) as client:
        key = f"{redis_prefix}:test-clock"
        made = TimedQueue(queue, lambda now_s: client.set(key, round(now_s * 1000)))
        made.set_clock(made.now_s)
        yield made
    await queue.close()


# ---------------------------------------------------------------- what a job carries


async def test_work_and_trace_of_a_job_come_back(timed: TimedQueue) -> None:
    job = await timed.submit(12_345, trace=TRACE)
    lease = await timed.take()
    await timed.queue.release(lease)
    await timed.queue.cancel(job.id)
    await timed.queue.cleaned(job.id)
    listed, _ = await timed.queue.list_jobs(1)
    for told in (job, await timed.queue.get(job.id), lease.job, *listed):
        assert (told.work_px, told.trace) == (12_345, TRACE)
    again = await timed.queue.redrive(job.id)
    assert (again.work_px, again.trace) == (12_345, TRACE)
    assert (await timed.take()).job.trace == TRACE


async def test_same_request_of_another_call_is_the_same_request(timed: TimedQueue) -> None:
    """A call that is sent again has a trace of its own."""
    first = await timed.submit(100, request_id="r1", trace=TRACE)
    again = await timed.submit(200, request_id="r1", trace="")
    assert again == first
    assert await timed.open_px() == {NUCLEI: 100}


# ---------------------------------------------------------------- open pixels


async def test_each_part_takes_its_share_and_the_end_what_is_left(timed: TimedQueue) -> None:
    job = await timed.planned(11, parts=3)
    left = []
    for _ in range(3):
        left.append(await timed.open_px())
        await timed.queue.complete(await timed.take())
    assert left == [{NUCLEI: 11}, {NUCLEI: 8}, {NUCLEI: 5}]
    assert await timed.open_px() == {NUCLEI: 2}
    await timed.queue.succeed(await timed.take())
    assert await timed.open_px() == {}
    assert (await timed.queue.get(job.id)).work_px == 11


async def test_more_parts_than_pixels_leave_all_to_the_end(timed: TimedQueue) -> None:
    await timed.planned(2, parts=3)
    for _ in range(3):
        await timed.queue.complete(await timed.take())
    assert await timed.open_px() == {NUCLEI: 2}
    await timed.queue.succeed(await timed.take())
    assert await timed.open_px() == {}


async def test_a_plan_that_does_its_parts_takes_all(timed: TimedQueue) -> None:
    await timed.submit(7)
    await timed.submit(200_000_000_000)
    await timed.queue.succeed(await timed.take(), 3)
    assert await timed.open_px() == {NUCLEI: 200_000_000_000}
    await timed.queue.succeed(await timed.take(), 250_000)
    assert await timed.open_px() == {}


@pytest.mark.parametrize("end", ["cancel", "fail", "retry"])
async def test_a_job_that_ends_badly_takes_what_was_left_and_brings_all_when_begun_anew(
    timed: TimedQueue, end: str
) -> None:
    other = await timed.submit(5, model_version="2")
    await timed.queue.succeed(await timed.take(), 1)
    job = await timed.planned(10, parts=3)
    await timed.queue.complete(await timed.take())
    assert await timed.open_px() == {NUCLEI: 7}
    if end == "cancel":
        await timed.queue.cancel(job.id)
    elif end == "fail":
        await timed.queue.fail(await timed.take(), "BAD", "Bad.")
    while end == "retry" and await timed.open_px():
        await timed.queue.retry(await timed.take(), "why")
        assert await timed.open_px() in ({NUCLEI: 7}, {})
    assert await timed.open_px() == {}
    await timed.queue.cleaned(job.id)
    await timed.queue.redrive(job.id)
    assert await timed.open_px() == {NUCLEI: 10}
    assert (await timed.queue.get(other.id)).state.is_final


async def test_models_and_versions_are_counted_apart(timed: TimedQueue) -> None:
    for model, version in [("a", "1"), ("a", "2"), ("a", "2"), ("b:c", "1"), ("", "")]:
        await timed.submit(10, model=model, model_version=version)
    assert (await timed.queue.backlog()).models == (
        ModelLoad(model="", version="", open_px=10),
        ModelLoad(model="a", version="1", open_px=10),
        ModelLoad(model="a", version="2", open_px=20),
        ModelLoad(model="b:c", version="1", open_px=10),
    )


async def test_jobs_of_unknown_size_count_nothing(timed: TimedQueue) -> None:
    await timed.planned(0, parts=2)
    await timed.passes(1.0)
    await timed.queue.complete(await timed.take())
    backlog = await timed.queue.backlog()
    assert (backlog.parts, backlog.models) == (2, ())


# ---------------------------------------------------------------- pace


async def test_pace_is_pixels_per_second_of_a_slot(timed: TimedQueue) -> None:
    await timed.submit(1000)
    assert await timed.pace() == 0.0
    slow = await timed.take()
    await timed.submit(1000)
    quick = await timed.take()
    await timed.passes(4.0)
    await timed.queue.succeed(quick, 1)
    assert await timed.pace() == pytest.approx(1000 / 4.0)
    await timed.passes(4.0)
    await timed.queue.succeed(slow, 1)
    # Two slots were busy, for eight and four seconds; four seconds later the first weighs less.
    weight = 2 ** (-4.0 / PACE_HALF_LIFE_S)
    assert await timed.pace() == pytest.approx((1000 * weight + 1000) / (4 * weight + 8))


async def test_plan_parts_and_join_are_the_work_of_a_job(timed: TimedQueue) -> None:
    job = await timed.submit(999)
    plan = await timed.take()
    await timed.passes(1.0)
    await timed.queue.planned(plan, parts_of(job.id, 2), [])
    assert await timed.pace() == 0.0  # no pixel is done yet
    first, second = await timed.take(), await timed.take()
    await timed.passes(3.0)
    await timed.queue.complete(first)
    await timed.queue.complete(second)
    join = await timed.take()
    assert join.part.kind is PartKind.JOIN
    await timed.passes(2.0)
    await timed.queue.succeed(join)
    weights = [2 ** (-5.0 / PACE_HALF_LIFE_S), 2 ** (-2.0 / PACE_HALF_LIFE_S)]
    px, slot_s = 998 * weights[1] + 1, 1.0 * weights[0] + 6.0 * weights[1] + 2.0
    assert await timed.pace() == pytest.approx(px / slot_s)


@pytest.mark.parametrize("end", ["retry", "postpone", "release", "fail", "cancel", "lost"])
async def test_what_did_not_end_well_says_nothing_of_the_pace(timed: TimedQueue, end: str) -> None:
    job = await timed.submit(1000)
    lease = await timed.take()
    await timed.passes(4.0)
    ends: dict[str, Callable[[], Any]] = {
        "retry": lambda: timed.queue.retry(lease, "why"),
        "postpone": lambda: timed.queue.postpone(lease, "Triton is away."),
        "release": lambda: timed.queue.release(lease),
        "fail": lambda: timed.queue.fail(lease, "BAD", "Bad."),
        "cancel": lambda: timed.queue.cancel(job.id),
        "lost": lambda: timed.passes(POLICY["lease_s"]),
    }
    await ends[end]()
    assert all(not load.px_per_slot_s for load in (await timed.queue.backlog()).models)
    if end in ("fail", "cancel"):
        await timed.queue.cleaned(job.id)
        await timed.queue.redrive(job.id)
    await timed.passes(60.0)  # the longest delay
    lease = await timed.take()
    await timed.passes(2.0)
    await timed.queue.succeed(lease, 1)
    assert await timed.pace() == pytest.approx(500.0)


async def test_a_lease_that_is_told_again_began_when_it_was_given(timed: TimedQueue) -> None:
    await timed.submit(1000)
    lease = await timed.queue.lease("c", 0)
    assert lease is not None
    await timed.passes(4.0)
    assert await timed.queue.lease("c", 0) == lease
    await timed.queue.renew(lease)
    await timed.passes(4.0)
    await timed.queue.succeed(lease, 1)
    assert await timed.pace() == pytest.approx(125.0)


async def test_pace_of_long_ago_weighs_less(timed: TimedQueue) -> None:
    await timed.done_at_once(1000, 10.0)
    await timed.passes(PACE_HALF_LIFE_S - 10.0)
    assert await timed.pace() == pytest.approx(100.0)
    await timed.done_at_once(5000, 10.0)
    assert await timed.pace() == pytest.approx((500 + 5000) / (5.0 + 10.0))


async def test_pace_of_very_long_ago_is_forgotten(timed: TimedQueue) -> None:
    half_lives = 3
    await timed.done_at_once(1000, LEAST_PACE_S * 2**half_lives)
    await timed.passes((half_lives - 0.1) * PACE_HALF_LIFE_S)
    assert await timed.pace() > 0
    await timed.passes(0.2 * PACE_HALF_LIFE_S)
    assert (await timed.queue.backlog()).models == ()


async def test_pace_is_remembered_while_there_is_work_for_it(timed: TimedQueue) -> None:
    await timed.done_at_once(1000, LEAST_PACE_S)
    await timed.submit(1)
    await timed.passes(PACE_HALF_LIFE_S)
    assert await timed.pace() == pytest.approx(1000 / LEAST_PACE_S)


async def test_work_that_takes_no_time_has_no_pace(timed: TimedQueue) -> None:
    await timed.submit(1000)
    await timed.submit(1)
    await timed.queue.succeed(await timed.take(), 1)
    assert (await timed.queue.backlog()).models == (
        ModelLoad(model="nuclei", version="1", open_px=1),
    )


# ---------------------------------------------------------------- leases and waiting


async def test_leases_that_are_held_are_counted(timed: TimedQueue) -> None:
    await timed.planned(10, parts=3)
    assert (await timed.queue.backlog()).leased == 0
    leases = [await timed.take() for _ in range(3)]
    assert (await timed.queue.backlog()).leased == 3
    await timed.queue.complete(leases[0])
    await timed.queue.release(leases[1])
    assert (await timed.queue.backlog()).leased == 1
    await timed.queue.cancel(leases[2].job.id)
    assert (await timed.queue.backlog()).leased == 0


async def test_oldest_of_those_next_in_line(timed: TimedQueue) -> None:
    assert (await timed.queue.backlog()).oldest_s == 0.0
    old = await timed.submit(1, owner="ann")
    await timed.passes(3.0)
    await timed.submit(1, owner="ann")
    await timed.submit(1, owner="bob")
    await timed.passes(4.0)
    assert (await timed.queue.backlog()).oldest_s == 7.0
    await timed.take()  # ann's first, of which nothing is left to hand out
    assert (await timed.queue.backlog()).oldest_s == 4.0
    await timed.queue.cancel(old.id)
    for _ in range(2):
        await timed.take()
    assert (await timed.queue.backlog()).oldest_s == 0.0


async def test_a_job_cancelled_while_it_waited_is_not_the_oldest(timed: TimedQueue) -> None:
    gone = await timed.submit(1, owner="ann")
    await timed.passes(3.0)
    await timed.submit(1, owner="bob")
    await timed.queue.cancel(gone.id)
    assert (await timed.queue.backlog()).oldest_s == 0.0
    await timed.queue.delete(gone.id)
    await timed.passes(1.0)
    assert (await timed.queue.backlog()).oldest_s == 1.0


async def test_a_job_with_parts_to_hand_out_is_in_line(timed: TimedQueue) -> None:
    job = await timed.submit(1)
    plan = await timed.take()
    await timed.passes(2.0)
    assert (await timed.queue.backlog()).oldest_s == 0.0
    part = Part(job_id=job.id, kind=PartKind.PART, index=0)
    await timed.queue.planned(plan, [part], [])
    assert (await timed.queue.backlog()).oldest_s == 2.0

"""Who leads: never two at a time, whatever clocks, writes and processes do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.errors import Outage
from kiosk.leadership import Leadership
from kiosk.ports import LeaderRecord
from kiosk.testing.fake_cluster import MemoryLeaderRecords

DURATION_S = 15.0
LEAD_S = 10.0


@dataclass
class Time:
    now_s: float = 0.0


def process(
    records: MemoryLeaderRecords, name: str, time: Time, *, rate: float = 1.0, skew_s: float = 0.0
) -> Leadership:
    """One whose clocks run faster or slower, and are somewhere else."""
    return Leadership(
        records,
        name,
        DURATION_S,
        monotonic=lambda: 1000.0 + time.now_s * rate + skew_s,
        unix_time=lambda: 1.7e9 + time.now_s * rate + 100 * skew_s,
    )


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def records() -> MemoryLeaderRecords:
    """Somebody has stepped down."""
    return MemoryLeaderRecords(
        LeaderRecord(holder="", duration_s=15, acquired_s=0, renewed_s=0, version="0")
    )


async def test_the_first_leads_and_the_second_waits(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    assert await a.step()
    assert not await b.step()
    assert (a.is_leader, b.is_leader, b.leader) == (True, False, "a")


async def test_a_leader_that_renews_is_not_followed(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    for _ in range(100):
        assert await a.step()
        assert not await b.step()
        time.now_s += a.step_s


async def test_a_leader_that_died_is_followed_after_the_duration(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    await a.step()
    await b.step()
    time.now_s += DURATION_S - 0.1
    assert not await b.step()
    time.now_s += 0.1
    assert await b.step()
    assert not a.is_leader
    assert records.record is not None
    assert (records.record.holder, records.record.transitions) == ("b", 2)


async def test_a_leader_that_cannot_write_stops_before_others_begin(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a = process(records, "a", time)
    await a.step()
    records.failure = Outage("away")
    time.now_s += LEAD_S - 0.1
    assert await a.step()
    time.now_s += 0.2
    assert not await a.step()


async def test_an_outage_is_logged_once(
    records: MemoryLeaderRecords, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    a = process(records, "a", time)
    for failure in (Outage("away"), Outage("away"), None, Outage("away"), Outage("ill")):
        records.failure = failure
        await a.step()
    told = [record.message.rpartition(" ")[2] for record in caplog.records]
    assert told == ["away", "away", "ill"]


async def test_who_steps_down_is_followed_at_once(records: MemoryLeaderRecords, time: Time) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    await a.step()
    assert not await b.step()
    await a.release()
    assert not a.is_leader
    assert await b.step()


async def test_only_the_leader_can_step_down(records: MemoryLeaderRecords, time: Time) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    await a.step()
    await b.step()
    await b.release()
    assert records.record is not None
    assert records.record.holder == "a"


async def test_stepping_down_is_tried_and_no_more(records: MemoryLeaderRecords, time: Time) -> None:
    a = process(records, "a", time)
    await a.step()
    records.failure = Outage("away")
    await a.release()
    assert not a.is_leader


async def test_without_a_record_the_first_waits_in_case_it_was_deleted(time: Time) -> None:
    records = MemoryLeaderRecords()
    a = process(records, "a", time)
    assert not await a.step()
    time.now_s += DURATION_S
    assert await a.step()


async def test_a_leader_writes_a_deleted_record_anew(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a = process(records, "a", time)
    await a.step()
    records.record = None
    assert await a.step()
    assert records.record is not None


async def test_a_write_whose_answer_was_lost_is_found_again(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a, b = process(records, "a", time), process(records, "b", time)
    records.record = replace(records.record or _nobody(), holder="a", version="9")  # a wrote so
    assert not await b.step()
    assert await a.step()


def _nobody() -> LeaderRecord:
    return LeaderRecord(holder="", duration_s=15, acquired_s=0, renewed_s=0)


async def test_a_longer_duration_of_the_other_is_respected(
    records: MemoryLeaderRecords, time: Time
) -> None:
    a = Leadership(records, "a", 60.0, lambda: time.now_s, lambda: time.now_s)
    b = process(records, "b", time)
    await a.step()
    await b.step()
    time.now_s += 39  # a leads for 40
    assert a.is_leader
    assert not await b.step()


@dataclass
class Unreliable(MemoryLeaderRecords):
    """Loses what the test says: the question, or the answer after the write has happened."""

    plan: list[str] = field(default_factory=list)

    async def read(self) -> LeaderRecord | None:
        self._meet("lost read")
        return await super().read()

    async def write(self, record: LeaderRecord, seen: LeaderRecord | None) -> LeaderRecord | None:
        self._meet("lost question")
        written = await super().write(record, seen)
        self._meet("lost answer")
        return written

    def _meet(self, event: str) -> None:
        if self.plan and self.plan[0] == event:
            self.plan.pop(0)
            raise Outage(event)


# So many steps of those that are not frozen or cut off meanwhile.
ROUNDS = st.tuples(
    st.just("rounds"),
    st.tuples(
        st.sampled_from([(0,), (1,), (2,), (0, 1), (1, 2), (2, 0), (0, 1, 2)]),
        st.sampled_from([1, 2, 4, 8, 12]),
        st.sampled_from([0.5, 1.0, 2.0, 3.0]),
    ),
)
ONE = st.integers(0, 2)
EVENTS = st.one_of(
    ROUNDS,
    ROUNDS,
    st.tuples(st.just("release"), ONE),
    st.tuples(st.just("restart"), ONE),
    st.tuples(st.sampled_from(["delete", "lost read", "lost question", "lost answer"]), ONE),
)


@settings(max_examples=300)
@given(
    events=st.lists(EVENTS, min_size=5, max_size=40),
    # A third is what the rules allow for.
    rates=st.tuples(*[st.floats(0.85, 1.15)] * 3),
    skews=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
)
def test_there_are_never_two_leaders(
    events: list[tuple[str, Any]], rates: tuple[float, ...], skews: tuple[float, ...]
) -> None:
    asyncio.run(play(events, rates, skews))


async def play(
    events: list[tuple[str, Any]], rates: tuple[float, ...], skews: tuple[float, ...]
) -> None:
    time, records = Time(), Unreliable(record=_nobody())

    def new(which: int, life: int) -> Leadership:
        name = f"{which}.{life}"
        return process(records, name, time, rate=rates[which], skew_s=skews[which])

    def check() -> None:
        assert sum(one.is_leader for one in living) <= 1

    living = [new(which, 0) for which in range(3)]
    for life, (event, value) in enumerate(events, 1):
        if event == "rounds":
            awake, rounds, step_s = value
            for _ in range(rounds):
                for which in awake:
                    await living[which].step()
                    check()
                time.now_s += step_s
        elif event == "release":
            await living[value].release()
        elif event == "restart":
            living[value] = new(value, life)
        elif event == "delete":
            records.record = None
        else:
            records.plan.append(event)
        check()


@given(st.lists(st.sampled_from(["lost question", "lost answer", "lost read"]), max_size=10))
def test_there_is_a_leader_again_soon_after_trouble(trouble: list[str]) -> None:
    async def check() -> None:
        time, records = Time(), Unreliable(record=_nobody(), plan=list(trouble))
        both = [process(records, name, time) for name in "ab"]
        for _ in range(2 * len(trouble) + both[0].steps_to_win):
            for one in both:
                await one.step()
            time.now_s += both[0].step_s
        assert sum(one.is_leader for one in both) == 1

    asyncio.run(check())

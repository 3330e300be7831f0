"""What `decide` keeps to whatever it sees, and what follows from it in the long run."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_fleet import POLL_S, Fleet, reversals

from kiosk.ports import Backlog, ModelLoad
from kiosk.scaling import Memory, RoleReplicas, ScalingPolicy, Snapshot, Starts, Want, decide
from kiosk.scaling.starts import MOST_S, Ask

# As rarely as in a real backlog, some numbers are nonsense.
PACES = st.one_of(st.just(0.0), st.floats(1e3, 1e8), st.just(math.inf), st.just(math.nan))
LOADS = st.builds(
    ModelLoad,
    model=st.sampled_from(["", "nuclei", "cells"]),
    version=st.just("1"),
    open_px=st.integers(0, 10**13),
    px_per_slot_s=PACES,
)
BACKLOGS = st.builds(
    Backlog,
    parts=st.integers(0, 10**6),
    jobs=st.integers(0, 10**5),
    leased=st.integers(0, 500),
    models=st.lists(LOADS, max_size=3).map(tuple),
)
EMPTY = Backlog(parts=0, jobs=0)
SIZES = st.integers(0, 20)
ROLES = st.builds(RoleReplicas, desired=SIZES, ready=SIZES)
TIMES = st.floats(0, 5000)


@st.composite
def policies(draw: st.DrawFn) -> ScalingPolicy:
    most = draw(st.integers(1, 20))
    triton_cost, consumer_cost = draw(st.floats(0.1, 5)), draw(st.floats(0.01, 0.5))
    per_triton = draw(st.integers(1, 8))
    unit = triton_cost + per_triton * consumer_cost
    return ScalingPolicy(
        max_triton=most,
        consumers_per_triton=per_triton,
        slots_per_consumer=draw(st.integers(1, 4)),
        cool_down_s=draw(st.sampled_from([0.0, 60.0, 300.0])),
        idle_s=draw(st.sampled_from([0.0, 100.0, 600.0])),
        tolerance_ratio=draw(st.sampled_from([0.0, 0.1, 0.5])),
        triton_cost_per_hour=triton_cost,
        consumer_cost_per_hour=consumer_cost,
        most_cost_per_hour=draw(st.one_of(st.just(0.0), st.floats(unit, 20 * unit))),
    )


MEASURED = st.one_of(st.none(), st.floats(0, MOST_S))


@st.composite
def starts(draw: st.DrawFn, times: list[float]) -> Starts:
    """Some that are measured at these times, or were."""
    asked = [Ask(time_s, draw(SIZES)) for time_s in times if draw(st.booleans())]
    asked.sort(key=lambda ask: ask.replicas)
    return Starts(average_s=draw(MEASURED), asked=tuple(asked), ready=draw(SIZES))


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    times = sorted(draw(st.lists(TIMES, min_size=3, max_size=8)))
    wants = tuple(Want(time_s, draw(SIZES), draw(SIZES)) for time_s in times[1:-1])
    busy_s = draw(st.sampled_from(times))
    return Memory(
        since_s=times[0], busy_s=busy_s, last_s=times[-1], wants=wants, starts=draw(starts(times))
    )


@st.composite
def snapshots(draw: st.DrawFn, backlogs: st.SearchStrategy[Backlog] = BACKLOGS) -> Snapshot:
    memory = draw(memories())
    return Snapshot(
        time_s=memory.last_s + draw(st.floats(0, 1000)),
        backlog=draw(backlogs),
        triton=draw(ROLES),
        consumers=draw(ROLES),
        memory=memory,
    )


def cost(policy: ScalingPolicy, triton: int, consumers: int) -> float:
    return triton * policy.triton_cost_per_hour + consumers * policy.consumer_cost_per_hour


@given(snapshots(), policies())
def test_replicas_stay_within_limits_and_cost(snapshot: Snapshot, policy: ScalingPolicy) -> None:
    """Also on the way down: what is too much already is not made more."""
    assert snapshot.triton is not None
    assert snapshot.consumers is not None
    decision = decide(snapshot, policy)
    assert decision.triton is not None
    assert decision.consumers is not None
    before = max(snapshot.consumers.desired, snapshot.consumers.ready)
    assert 0 <= decision.triton <= max(policy.max_triton, snapshot.triton.desired)
    assert 0 <= decision.consumers <= policy.max_triton * policy.consumers_per_triton
    most = policy.most_cost_per_hour or math.inf
    there = cost(policy, snapshot.triton.desired, before)
    assert cost(policy, decision.triton, decision.consumers) <= max(most, there) + 1e-6
    if there <= most:
        assert cost(policy, decision.triton, decision.consumers) <= most + 1e-6


@given(snapshots(), policies(), st.sampled_from(["backlog", "triton", "consumers"]))
def test_what_cannot_be_seen_stays_as_it_is(
    snapshot: Snapshot, policy: ScalingPolicy, hidden: str
) -> None:
    decision = decide(replace(snapshot, **{hidden: None}), policy)
    triton, consumers = snapshot.triton, snapshot.consumers
    assert triton is not None
    assert consumers is not None
    assert decision.triton == (None if hidden == "triton" else triton.desired)
    assert decision.consumers == (None if hidden == "consumers" else consumers.desired)


@given(snapshots(), policies(), st.floats(1, 1e6))
def test_time_in_which_nothing_is_seen_does_not_count(
    snapshot: Snapshot, policy: ScalingPolicy, gap_s: float
) -> None:
    """After an outage it goes on as if the outage had not been."""
    memory = replace(snapshot.memory, last_s=snapshot.time_s)
    blind = replace(snapshot, time_s=snapshot.time_s + gap_s, backlog=None, memory=memory)
    after = decide(blind, policy).memory
    assert after.last_s == blind.time_s
    assert math.isclose(after.busy_s - memory.busy_s, gap_s, abs_tol=1e-6)
    assert math.isclose(after.since_s - memory.since_s, gap_s, abs_tol=1e-6)
    for old, new in zip(memory.wants, after.wants, strict=True):
        assert math.isclose(new.time_s - old.time_s, gap_s, abs_tol=1e-6)


@given(snapshots(), policies())
def test_the_same_snapshot_gives_the_same_decision(
    snapshot: Snapshot, policy: ScalingPolicy
) -> None:
    assert decide(snapshot, policy) == decide(snapshot, policy)


@given(snapshots(st.just(EMPTY)), policies(), st.floats(0, 0.99))
def test_the_last_replicas_stay_until_there_was_no_work_for_long(
    snapshot: Snapshot, policy: ScalingPolicy, share: float
) -> None:
    assert snapshot.triton is not None
    assert snapshot.consumers is not None
    policy = replace(policy, idle_s=600.0)
    memory = replace(snapshot.memory, busy_s=snapshot.time_s - share * policy.idle_s)
    decision = decide(replace(snapshot, memory=memory), policy)
    assert decision.triton is not None
    assert decision.consumers is not None
    assert decision.triton >= min(1, snapshot.triton.desired)
    assert decision.consumers >= min(1, snapshot.consumers.desired)


@given(snapshots(), policies())
def test_whoever_has_work_keeps_somebody_to_do_it(
    snapshot: Snapshot, policy: ScalingPolicy
) -> None:
    assert snapshot.backlog is not None
    assert snapshot.triton is not None
    assume(snapshot.backlog.parts > 0)
    decision = decide(snapshot, policy)
    assert decision.consumers is not None
    assert decision.consumers >= 1
    if any(load.model and load.open_px for load in snapshot.backlog.models):
        assert (decision.triton or 0) >= 1


@given(snapshots(), policies())
def test_consumers_come_after_triton_and_go_before_it(
    snapshot: Snapshot, policy: ScalingPolicy
) -> None:
    triton, consumers = snapshot.triton, snapshot.consumers
    assert triton is not None
    assert consumers is not None
    decision = decide(snapshot, policy)
    assert decision.triton is not None
    assert decision.consumers is not None
    only_models = snapshot.backlog is not None and not any(
        not load.model and load.open_px for load in snapshot.backlog.models
    )
    per_triton = policy.consumers_per_triton
    if only_models and decision.consumers > max(consumers.desired, 1):
        assert decision.consumers <= min(triton.ready, decision.triton) * per_triton
    if triton.desired <= policy.most_triton and decision.triton < triton.desired:
        # Every consumer that is to stay, and every one that is still there, has its Triton.
        present = max(consumers.desired, consumers.ready)
        assert present <= max(decision.consumers, decision.triton * per_triton)


@settings(max_examples=25)
@given(load=st.floats(0.02, 7.5), startup_s=st.integers(30, 600))
def test_a_constant_load_gets_constant_replicas(load: float, startup_s: int) -> None:
    fleet = Fleet(ScalingPolicy(), startup_s)
    fleet.run(6000, lambda _: load)
    assert reversals(fleet.wanted_triton) <= 1
    assert len(set(fleet.wanted_triton[-200:])) <= 2
    assert abs(fleet.wanted_triton[-1] - math.ceil(load)) <= 1


@settings(max_examples=25)
@given(load=st.floats(0.02, 7.5), startup_s=st.integers(10, 900), measured_s=MEASURED)
def test_whatever_was_measured_before_replicas_are_constant(
    load: float, startup_s: int, measured_s: float | None
) -> None:
    fleet = Fleet(ScalingPolicy(), startup_s)
    fleet.memory = replace(fleet.memory, starts=Starts(average_s=measured_s))
    fleet.run(9000, lambda _: load)
    assert reversals(fleet.wanted_triton) <= 2
    assert len(set(fleet.wanted_triton[-200:])) <= 2


@given(snapshots(), policies())
def test_what_was_measured_stays_within_reason(snapshot: Snapshot, policy: ScalingPolicy) -> None:
    average_s = decide(snapshot, policy).memory.starts.average_s
    assert average_s is None or 0 <= average_s <= MOST_S


@settings(max_examples=20)
@given(load=st.floats(0.5, 6.0), startup_s=st.integers(5, 900))
def test_what_is_measured_is_what_starts_take(load: float, startup_s: int) -> None:
    """To the next look, where no start is cut short."""
    fleet = Fleet(ScalingPolicy(), startup_s)
    fleet.run(3000, lambda _: load)
    average_s = fleet.memory.starts.average_s
    assert average_s is not None
    assert startup_s <= average_s <= startup_s + POLL_S


@settings(max_examples=20)
@given(load=st.floats(0.5, 6.0), seed=st.integers(0, 1000))
def test_a_pace_that_is_measured_badly_does_not_shake_replicas(load: float, seed: int) -> None:
    noise = random.Random(seed)
    fleet = Fleet(ScalingPolicy(), pace=lambda _: noise.uniform(0.8, 1.2))
    fleet.run(6000, lambda _: load)
    assert reversals(fleet.wanted_triton) <= 2
    assert len(set(fleet.wanted_triton[-200:])) <= 2


@settings(max_examples=10)
@given(low=st.floats(0.2, 2), high=st.floats(3, 7), period_s=st.integers(7200, 20_000))
def test_a_load_that_rises_and_falls_is_followed_once(
    low: float, high: float, period_s: int
) -> None:
    def load(now_s: int) -> float:
        return low + (high - low) * (1 - math.cos(2 * math.pi * now_s / period_s)) / 2

    fleet = Fleet(ScalingPolicy())
    fleet.run(period_s, load)
    assert reversals(fleet.wanted_triton) <= 3
    assert max(fleet.wanted_triton) >= math.floor(high)


@settings(max_examples=25)
@given(
    parts=st.integers(1, 60_000),
    most=st.integers(1, 12),
    startup_s=st.integers(10, 900),
    drain_s=st.sampled_from([60.0, 300.0, 1800.0]),
)
def test_a_burst_is_always_done_and_leaves_nothing_running(
    parts: int, most: int, startup_s: int, drain_s: float
) -> None:
    policy = ScalingPolicy(max_triton=most, drain_s=drain_s)
    fleet = Fleet(policy, startup_s, open_parts=parts)
    work_s = parts / policy.slots_per_unit
    known_s = max(policy.startup_s, startup_s + POLL_S)  # set or measured
    longest_s = startup_s + max(work_s / most, drain_s + known_s) * 1.2 + 100
    fleet.run(math.ceil(longest_s), lambda _: 0.0)
    assert fleet.open_parts == 0
    fleet.run(math.ceil(policy.cool_down_s + policy.idle_s) + 100, lambda _: 0.0)
    assert (fleet.triton, fleet.consumers) == (0, 0)
    assert reversals(fleet.wanted_triton) <= 1
    idle = [s.time_s for s, d in fleet.decisions if d.triton == 0 and s.backlog == EMPTY]
    done = max(s.time_s for s, _ in fleet.decisions if s.backlog and s.backlog.parts)
    assert all(time_s - done >= policy.idle_s for time_s in idle)


@settings(max_examples=20)
@given(parts=st.integers(1, 20_000), startup_s=st.integers(10, 400))
def test_on_the_way_up_and_down_no_consumer_is_without_its_triton(
    parts: int, startup_s: int
) -> None:
    fleet = Fleet(ScalingPolicy(), startup_s, open_parts=parts)
    fleet.run(3000, lambda _: 0.0)
    per_triton = fleet.policy.consumers_per_triton
    for (snapshot, _), (_, after) in pairwise(fleet.decisions):
        assert snapshot.triton is not None
        assert (after.consumers or 0) <= max(1, (after.triton or 0) * per_triton)

"""Replicas for a backlog: the figures, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiosk.errors import InvalidRequest
from kiosk.ports import Backlog, ModelLoad
from kiosk.scaling import (
    Decision,
    Memory,
    RoleReplicas,
    ScalingPolicy,
    Snapshot,
    Starts,
    Want,
    decide,
)
from kiosk.scaling.decide import (
    COOLING,
    ENOUGH,
    FALLING,
    IDLE,
    LIMITED,
    MORE,
    STARTING,
    UNSEEN_BACKLOG,
    UNSEEN_CLUSTER,
    WAITING,
)

# Eight slots a unit; one unit does 8 million pixels per second.
POLICY = ScalingPolicy(drain_s=300)
UNIT_PX_PER_S = 8_000_000
NOW_S = 10_000.0
QUIET = Memory(since_s=0, busy_s=0, last_s=NOW_S - 10)
EMPTY = Backlog(parts=0, jobs=0)


def work(unit_s: float, *, model: str = "nuclei", parts: int = 10_000, leased: int = 0) -> Backlog:
    """So many seconds of work for one unit, in as many jobs as parts."""
    load = ModelLoad(
        model=model, version="1", open_px=int(unit_s * UNIT_PX_PER_S), px_per_slot_s=1e6
    )
    return Backlog(parts=parts, jobs=parts, leased=leased, models=(load,))


def decided(
    backlog: Backlog | None,
    triton: tuple[int, int] | None = (0, 0),
    consumers: tuple[int, int] | None = (0, 0),
    memory: Memory = QUIET,
    policy: ScalingPolicy = POLICY,
) -> Decision:
    """`triton`, `consumers`: desired and ready."""
    return decide(
        Snapshot(
            time_s=NOW_S,
            backlog=backlog,
            triton=None if triton is None else RoleReplicas(*triton),
            consumers=None if consumers is None else RoleReplicas(*consumers),
            memory=memory,
        ),
        policy,
    )


def replicas(decision: Decision) -> tuple[int | None, int | None]:
    return decision.triton, decision.consumers


@pytest.mark.parametrize(("unit_s", "units"), [(1, 1), (300, 1), (301, 2), (900, 3), (2400, 8)])
def test_from_zero_as_many_as_finish_in_time(unit_s: float, units: int) -> None:
    decision = decided(work(unit_s))
    assert replicas(decision) == (units, 1)  # one consumer plans meanwhile
    assert (decision.units, decision.work_s) == (units, unit_s)
    assert decision.reason == MORE


def test_what_ready_ones_get_done_meanwhile_needs_no_new_one() -> None:
    # Two units do 360 s of it while others start, and 300 s each afterwards.
    assert decided(work(960), (2, 2), (8, 8)).triton == 2
    assert decided(work(1400), (2, 2), (8, 8)).triton == 4


def test_slow_starts_that_were_measured_leave_more_time_to_ready_ones() -> None:
    slow = replace(QUIET, starts=Starts(average_s=600))
    assert decided(work(1400), (2, 2), (8, 8), slow).triton == 2  # 4 of them by the setting
    assert decided(work(900), memory=slow).triton == 3  # from zero nothing is done meanwhile


def test_replicas_that_are_starting_count() -> None:
    decision = decided(work(1500), (5, 0), (1, 1))
    assert replicas(decision) == (5, 1)
    assert decision.reason == STARTING


def test_consumers_follow_ready_triton() -> None:
    assert replicas(decided(work(1860), (5, 2), (1, 1))) == (5, 8)
    assert replicas(decided(work(2400), (5, 5), (8, 8))) == (5, 20)


def test_consumers_stay_while_a_node_is_replaced() -> None:
    assert replicas(decided(work(1700), (4, 3), (16, 16)))[1] == 16


def test_being_a_little_late_is_not_worth_a_unit() -> None:
    assert decided(work(4.3 * 300), (4, 0)).triton == 4
    assert decided(work(4.5 * 300), (4, 0)).triton == 5


def test_limits_hold_and_are_told() -> None:
    decision = decided(work(1e6), policy=replace(POLICY, max_triton=3))
    assert (decision.triton, decision.reason) == (3, LIMITED)


def test_the_ceiling_of_cost_pays_for_whole_units() -> None:
    policy = replace(
        POLICY, triton_cost_per_hour=1.0, consumer_cost_per_hour=0.1, most_cost_per_hour=4.2
    )
    assert policy.most_triton == 3
    decision = decided(work(1e6), (3, 3), (12, 12), policy=policy)
    assert (*replicas(decision), decision.reason) == (3, 12, LIMITED)


@pytest.mark.parametrize(
    "changes",
    [
        {"most_cost_per_hour": 1.3},
        {"most_cost_per_hour": 3.0, "min_triton": 3},
        {"most_cost_per_hour": 3.0, "min_consumers": 31},
        {"min_triton": 9},
    ],
)
def test_limits_that_leave_nothing_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=r"limits leave no number|Raise the ceiling"):
        replace(POLICY, triton_cost_per_hour=1.0, consumer_cost_per_hour=0.1, **changes)


def test_few_parts_need_few_slots_however_large_they_are() -> None:
    assert decided(work(1e6, parts=3)).triton == 1
    assert decided(work(1e6, parts=17)).triton == 3


def test_one_job_has_no_more_parts_out_than_the_queue_hands_out() -> None:
    backlog = replace(work(1e6), jobs=1)
    assert decided(backlog).triton == 2  # sixteen parts
    assert decided(backlog, policy=replace(POLICY, parts_per_job=64)).triton == 8


def test_a_model_that_nobody_measured_has_the_default_pace() -> None:
    load = ModelLoad(model="new", version="1", open_px=900 * UNIT_PX_PER_S)
    backlog = Backlog(parts=900, jobs=900, models=(load,))
    assert decided(backlog).triton == 3
    assert decided(backlog, policy=replace(POLICY, default_px_per_slot_s=5e5)).triton == 6


def test_work_of_several_models_adds_up() -> None:
    models = (*work(400).models, replace(work(500).models[0], model="cells"))
    assert decided(Backlog(parts=999, jobs=999, models=models)).triton == 3


def test_a_queue_that_counts_no_pixels_gets_one_unit() -> None:
    assert decided(Backlog(parts=500, jobs=3)).triton == 1


class TestWorkWithoutModel:
    def test_it_needs_consumers_and_no_triton(self) -> None:
        decision = decided(work(600, model=""))
        assert replicas(decision) == (0, 8)  # 2400 s for one consumer, in 300 s
        assert decision.work_s == 0

    def test_it_comes_on_top_of_the_other(self) -> None:
        both = Backlog(
            parts=9999, jobs=9999, models=(*work(600).models, *work(150, model="").models)
        )
        assert replicas(decided(both)) == (2, 2)
        assert replicas(decided(both, (2, 2), (2, 2))) == (2, 10)

    def test_what_is_left_of_a_join_may_need_triton(self) -> None:
        load = ModelLoad(model="", version="", open_px=7, px_per_slot_s=1e6)
        assert decided(Backlog(parts=1, jobs=1, models=(load,))).triton == 1

    def test_a_triton_that_is_there_stays_while_there_is_any_work(self) -> None:
        assert decided(work(600, model=""), (1, 1), (4, 4)).triton == 1


class TestOnTheWayDown:
    memory = replace(QUIET, wants=(Want(NOW_S - 310, 8, 32), Want(NOW_S - 200, 5, 20)))

    def test_only_to_the_most_that_was_wanted_lately(self) -> None:
        decision = decided(work(10), (8, 8), (32, 32), self.memory)
        assert replicas(decision) == (8, 20)  # consumers first
        assert decision.reason == FALLING
        decision = decided(work(10), (8, 8), (20, 20), self.memory)
        assert replicas(decision) == (5, 20)
        decision = decided(work(10), (5, 5), (20, 20), self.memory)
        assert (*replicas(decision), decision.reason) == (5, 20, COOLING)

    def test_triton_waits_for_consumers_that_are_still_there(self) -> None:
        assert replicas(decided(work(10), (8, 8), (20, 30), self.memory)) == (8, 20)
        assert replicas(decided(work(10), (8, 8), (20, 25), self.memory)) == (7, 20)

    def test_a_busy_unit_is_not_taken_away(self) -> None:
        assert replicas(decided(work(10, leased=40), (8, 8), (32, 32))) == (8, 20)
        assert decided(work(10, leased=33), (8, 8), (20, 20)).triton == 5

    def test_leases_of_the_dead_start_nothing(self) -> None:
        assert replicas(decided(work(10, leased=64), (1, 1), (4, 4))) == (1, 4)

    def test_a_new_leader_takes_nothing_away_during_the_cool_down(self) -> None:
        fresh = Memory.fresh(NOW_S - 290)
        assert replicas(decided(work(10), (8, 8), (32, 32), fresh)) == (8, 32)
        fresh = Memory.fresh(NOW_S - 310)
        assert replicas(decided(work(10), (8, 8), (32, 32), fresh)) == (8, 4)


class TestWithoutWork:
    def test_one_unit_waits(self) -> None:
        memory = replace(QUIET, busy_s=NOW_S - 590)
        decision = decided(EMPTY, (1, 1), (4, 4), memory)
        assert (*replicas(decision), decision.reason) == (1, 4, WAITING)

    def test_then_everything_goes_consumers_first(self) -> None:
        memory = replace(QUIET, busy_s=NOW_S - 600)
        decision = decided(EMPTY, (1, 1), (4, 4), memory)
        assert (*replicas(decision), decision.reason) == (1, 0, IDLE)
        assert replicas(decided(EMPTY, (1, 1), (0, 0), memory)) == (0, 0)
        decision = decided(EMPTY, (0, 0), (0, 0), memory)
        assert (*replicas(decision), decision.reason) == (0, 0, IDLE)

    def test_or_to_the_least_that_is_kept(self) -> None:
        policy = replace(POLICY, min_triton=2, min_consumers=3)
        assert replicas(decided(EMPTY, (4, 4), (16, 16), policy=policy)) == (4, 3)
        assert replicas(decided(EMPTY, (4, 4), (3, 3), policy=policy)) == (2, 3)
        assert replicas(decided(EMPTY, (0, 0), (0, 0), policy=policy)) == (2, 3)

    def test_a_new_leader_waits_as_if_there_had_been_work(self) -> None:
        assert replicas(decided(EMPTY, (1, 1), (4, 4), Memory.fresh(NOW_S - 590))) == (1, 4)


class TestBlind:
    @pytest.mark.parametrize(
        ("backlog", "triton", "consumers", "reason"),
        [
            (None, (5, 4), (20, 20), UNSEEN_BACKLOG),
            (EMPTY, None, (20, 20), UNSEEN_CLUSTER),
            (EMPTY, (5, 4), None, UNSEEN_CLUSTER),
            (work(1e6), (5, 4), None, UNSEEN_CLUSTER),
        ],
    )
    def test_everything_stays_as_it_is(
        self,
        backlog: Backlog | None,
        triton: tuple[int, int] | None,
        consumers: tuple[int, int] | None,
        reason: str,
    ) -> None:
        decision = decided(backlog, triton, consumers)
        assert replicas(decision) == (triton and triton[0], consumers and consumers[0])
        assert decision.reason == reason

    def test_an_outage_of_an_hour_is_no_idle_hour(self) -> None:
        memory = Memory(since_s=0, busy_s=NOW_S - 4000, last_s=NOW_S - 3600)
        after = decided(None, (1, 1), (4, 4), memory).memory
        assert after.busy_s == NOW_S - 400
        assert replicas(decided(EMPTY, (1, 1), (4, 4), after)) == (1, 4)


class TestTheFirstStart:
    """Nobody can submit before Triton was there once; its first start takes long."""

    def rounds(self, until_s: float, triton: tuple[int, int], memory: Memory) -> Decision:
        """A decision each 10 s without work; the last one."""
        time_s = memory.last_s
        while True:
            time_s += 10.0
            seen = RoleReplicas(*triton), RoleReplicas(1, 1)
            decision = decide(
                Snapshot(
                    time_s=time_s, backlog=EMPTY, triton=seen[0], consumers=seen[1], memory=memory
                ),
                POLICY,
            )
            memory = decision.memory
            if time_s >= until_s:
                return decision

    def test_it_is_left_alone_and_then_waits_for_work_as_any(self) -> None:
        starting = self.rounds(3000.0, (1, 0), Memory.fresh(0.0))
        assert (*replicas(starting), starting.reason) == (1, 1, WAITING)
        ready = self.rounds(3590.0, (1, 1), starting.memory)
        assert replicas(ready) == (1, 1)
        assert replicas(self.rounds(3600.0, (1, 1), ready.memory)) == (1, 0)

    def test_what_does_not_start_in_an_hour_does_not_start(self) -> None:
        assert replicas(self.rounds(4180.0, (1, 0), Memory.fresh(0.0))) == (1, 1)
        assert replicas(self.rounds(4190.0, (1, 0), Memory.fresh(0.0))) == (1, 0)

    def test_what_somebody_starts_by_hand_later_is_set_back(self) -> None:
        idle = self.rounds(610.0, (1, 1), Memory.fresh(0.0))
        assert replicas(idle) == (1, 0)
        assert replicas(self.rounds(630.0, (1, 0), idle.memory)) == (1, 0)

    def test_later_starts_are_for_work(self) -> None:
        memory = self.rounds(5000.0, (1, 1), Memory.fresh(0.0)).memory
        assert replicas(self.rounds(5010.0, (1, 0), memory)) == (1, 0)


def test_a_quiet_time_is_told_as_such() -> None:
    assert decided(work(100, leased=8), (1, 1), (4, 4)).reason == ENOUGH


def test_memory_keeps_no_more_than_the_cool_down() -> None:
    old = tuple(Want(NOW_S - 10 * age, 3, 12) for age in range(100, 0, -1))
    memory = decided(work(100), (3, 3), (12, 12), replace(QUIET, wants=old)).memory
    assert len(memory.wants) == 31
    assert (memory.busy_s, memory.last_s) == (NOW_S, NOW_S)

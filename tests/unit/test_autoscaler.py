"""The loop around `decide`: what is asked, written, told and measured."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY

from kiosk.autoscaler import Autoscaler
from kiosk.bootstrap import make_scaling_policy
from kiosk.errors import InvalidRequest, Outage, PermissionDenied, WrongState
from kiosk.leadership import Leadership
from kiosk.ports import Backlog, LeaderRecord, ModelLoad, Role, RoleReplicas
from kiosk.scaling import ScalingPolicy
from kiosk.settings import Settings
from kiosk.testing import MemoryQueue
from kiosk.testing.fake_cluster import FakeCluster, MemoryLeaderRecords

POLL_S = 10.0
EMPTY = Backlog(parts=0, jobs=0)


def work(unit_s: float) -> Backlog:
    load = ModelLoad(model="m", version="1", open_px=int(unit_s * 8e6), px_per_slot_s=1e6)
    return Backlog(parts=999, jobs=999, models=(load,))


class Queue(MemoryQueue):
    """Says what the test says."""

    told: Backlog | Exception | None = EMPTY

    async def backlog(self) -> Backlog:
        if self.told is None:
            await asyncio.Event().wait()
        if isinstance(self.told, Exception):
            raise self.told
        assert self.told is not None
        return self.told


def nobody_leads() -> MemoryLeaderRecords:
    return MemoryLeaderRecords(LeaderRecord(holder="", duration_s=15, acquired_s=0, renewed_s=0))


@dataclass
class Bench:
    """An autoscaler in virtual time."""

    queue: Queue = field(default_factory=Queue)
    cluster: FakeCluster = field(default_factory=lambda: FakeCluster(triton=0, consumers=0))
    records: MemoryLeaderRecords = field(default_factory=nobody_leads)
    lines: list[str] = field(default_factory=list)
    now_s: float = 0.0

    def autoscaler(self, *, leads: bool = False, dry_run: bool = False) -> Autoscaler:
        self.leadership = Leadership(
            self.records, "me", 15.0, lambda: self.now_s, lambda: self.now_s
        )
        return Autoscaler(
            queue=self.queue,
            cluster=self.cluster,
            policy=ScalingPolicy(drain_s=300),
            leadership=self.leadership if leads else None,
            poll_s=POLL_S,
            answer_s=0.01,
            monotonic=lambda: self.now_s,
            dry_run=dry_run,
            tell=self.lines.append,
        )

    async def rounds(self, autoscaler: Autoscaler, number: int) -> None:
        for _ in range(number):
            await autoscaler.round()
            self.now_s += POLL_S

    async def desired(self) -> tuple[int, int]:
        triton, consumers = [await self.cluster.replicas(role) for role in Role]
        return triton.desired, consumers.desired


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_burst_is_followed_up_and_down(bench: Bench) -> None:
    autoscaler = bench.autoscaler()
    bench.queue.told = work(1200)
    await bench.rounds(autoscaler, 3)
    assert bench.cluster.scaled == [(Role.TRITON, 4), (Role.CONSUMERS, 1)]
    bench.cluster.all_ready()
    await bench.rounds(autoscaler, 1)
    assert await bench.desired() == (4, 16)
    bench.queue.told = EMPTY
    await bench.rounds(autoscaler, 40)
    assert await bench.desired() == (1, 4)
    await bench.rounds(autoscaler, 40)
    assert await bench.desired() == (0, 0)
    assert bench.cluster.scaled[3:] == [
        (Role.CONSUMERS, 12),  # the four were wanted only until they were ready
        (Role.CONSUMERS, 4),
        (Role.TRITON, 3),
        (Role.TRITON, 1),
        (Role.CONSUMERS, 0),
        (Role.TRITON, 0),
    ]


async def test_only_what_changes_is_told(bench: Bench) -> None:
    autoscaler = bench.autoscaler()
    bench.queue.told = work(1200)
    await bench.rounds(autoscaler, 10)
    assert bench.lines == [
        "Triton 0 -> 4; consumers 0 -> 1. 999 jobs, 999 parts, 0 at work: 1200 s of work for one"
        " unit, 4 wanted. There is more work than the replicas get done in time.",
        "Triton 4 (0 ready); consumers 1 (0 ready). 999 jobs, 999 parts, 0 at work: 1200 s of work"
        " for one unit, 4 wanted. Triton is starting; consumers follow.",
    ]


@pytest.mark.parametrize("told", [Outage("Redis is away."), None])
async def test_without_an_answer_of_the_queue_nothing_changes(
    bench: Bench, told: Outage | None
) -> None:
    bench.cluster = FakeCluster(triton=3, consumers=12)
    bench.queue.told = told
    await bench.rounds(bench.autoscaler(), 100)
    assert bench.cluster.scaled == []
    assert bench.lines == [
        "Triton 3; consumers 12. Backlog unknown. The backlog cannot be read: everything stays as"
        " it is."
    ]


@pytest.mark.parametrize("role", list(Role))
async def test_without_an_answer_of_the_cluster_nothing_changes(bench: Bench, role: Role) -> None:
    autoscaler = bench.autoscaler()
    bench.queue.told = work(1200)
    bench.cluster.failures[role] = Outage("away")
    await bench.rounds(autoscaler, 5)
    assert bench.cluster.scaled == []
    bench.cluster.failures.clear()
    await bench.rounds(autoscaler, 1)
    assert await bench.desired() == (4, 1)


async def test_the_same_complaint_is_logged_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.cluster.failures[Role.TRITON] = PermissionDenied("not allowed")
    await bench.rounds(bench.autoscaler(), 5)
    assert [record.message for record in caplog.records] == ["triton: not allowed"]


class Stale(FakeCluster):
    """Somebody else is always a bit faster, as long as the test says."""

    meddles: bool = True

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        if self.meddles:
            self.change(role, desired=seen.desired + 1)
        return await super().scale(role, replicas, seen)


async def test_a_conflict_is_looked_at_again_in_the_next_round(bench: Bench) -> None:
    bench.cluster = Stale(triton=0, consumers=0)
    bench.queue.told = work(1200)
    autoscaler = bench.autoscaler()
    before = decisions("conflict")
    await bench.rounds(autoscaler, 2)
    assert bench.cluster.scaled == []
    assert decisions("conflict") == before + 2
    bench.cluster.meddles = False
    await bench.rounds(autoscaler, 1)
    assert await bench.desired() == (4, 1)


async def test_what_follows_a_failed_write_waits(bench: Bench) -> None:
    """Consumers would otherwise be there without their Triton, or Triton leave before them."""

    class Refuses(FakeCluster):
        async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
            raise PermissionDenied(f"{role} may not be scaled")

    bench.cluster = Refuses(triton=0, consumers=0)
    bench.queue.told = work(1200)
    before = decisions("failed")
    await bench.rounds(bench.autoscaler(), 1)
    assert await bench.desired() == (0, 0)
    assert decisions("failed") == before + 1


async def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    bench.queue.told = work(1200)
    await bench.rounds(bench.autoscaler(dry_run=True), 3)
    assert bench.cluster.scaled == []
    assert bench.lines[0].startswith("Triton 0 -> 4; consumers 0 -> 1.")


async def test_only_the_leader_asks_and_writes(bench: Bench) -> None:
    bench.queue.told = work(1200)
    autoscaler = bench.autoscaler(leads=True)
    assert await autoscaler.round() is None
    await bench.leadership.step()
    assert await autoscaler.round() is not None
    assert await bench.desired() == (4, 1)
    bench.now_s += 11  # the lead was not renewed
    assert await autoscaler.round() is None


async def test_who_leads_anew_has_forgotten_what_was(bench: Bench) -> None:
    """What was wanted long ago is no reason to take replicas away now."""
    bench.cluster = FakeCluster(triton=3, consumers=12)
    autoscaler = bench.autoscaler(leads=True)
    await bench.leadership.step()
    await autoscaler.round()
    bench.now_s += 5000
    assert await autoscaler.round() is None
    await bench.leadership.step()
    await autoscaler.round()
    assert await bench.desired() == (3, 12)


async def test_it_stops_when_told_and_steps_down(bench: Bench) -> None:
    autoscaler = bench.autoscaler(leads=True)
    stopping = asyncio.Event()
    running = asyncio.create_task(autoscaler.run(stopping))
    for _ in range(10):
        await asyncio.sleep(0)
    assert bench.leadership.is_leader
    stopping.set()
    await running
    assert bench.records.record is not None
    assert bench.records.record.holder == ""


async def test_the_log_says_who_leads_from_when_to_when(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "kiosk.autoscaler")
    autoscaler = bench.autoscaler(leads=True)
    await bench.rounds(autoscaler, 2)
    await bench.leadership.step()
    await bench.rounds(autoscaler, 3)
    assert [record.message for record in caplog.records] == [
        "This autoscaler leads.",
        "This autoscaler leads no longer.",
    ]


async def test_what_cannot_be_known_is_not_told(bench: Bench) -> None:
    bench.queue.told = work(1200)
    bench.cluster.failures[Role.TRITON] = Outage("away")
    await bench.rounds(bench.autoscaler(), 1)
    assert bench.lines == [
        "Triton unknown; consumers 0. 999 jobs, 999 parts, 0 at work. The cluster does not answer:"
        " everything stays as it is."
    ]


async def test_once_is_one_round_of_a_leader(bench: Bench) -> None:
    bench.queue.told = work(1200)
    await bench.autoscaler(leads=True).run_once()
    assert await bench.desired() == (4, 1)
    assert bench.records.record is not None
    assert bench.records.record.holder == ""


async def test_once_says_who_leads_if_it_is_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.records.record = LeaderRecord(
        holder="other", duration_s=15, acquired_s=0, renewed_s=0, version="7"
    )
    monkeypatch.setattr(Leadership, "step_s", 0.0)
    with pytest.raises(WrongState, match="other"):
        await bench.autoscaler(leads=True).run_once()


def decisions(outcome: str) -> float:
    value = REGISTRY.get_sample_value("kiosk_autoscaler_decisions_total", {"outcome": outcome})
    return value or 0.0


async def test_metrics_say_what_is_wanted_and_what_is_there(bench: Bench) -> None:
    bench.queue.told = work(1200)
    changed, kept = decisions("changed"), decisions("kept")
    autoscaler = bench.autoscaler()
    await bench.rounds(autoscaler, 2)
    value = REGISTRY.get_sample_value
    assert value("kiosk_autoscaler_work_seconds") == 1200
    assert value("kiosk_autoscaler_wanted_units") == 4
    assert value("kiosk_autoscaler_leader") == 1
    for role, state, replicas in (("triton", "desired", 4), ("triton", "ready", 0)):
        labels = {"role": role, "state": state}
        assert value("kiosk_autoscaler_replicas", labels) == replicas
    assert (decisions("changed"), decisions("kept")) == (changed + 1, kept + 1)


async def test_starts_are_measured_and_slow_ones_are_told_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    autoscaler = bench.autoscaler()
    bench.queue.told = work(1200)
    await bench.rounds(autoscaler, 1)
    value = REGISTRY.get_sample_value
    assert value("kiosk_autoscaler_startup_seconds") == 180  # the setting
    await bench.rounds(autoscaler, 39)
    bench.cluster.all_ready()
    await bench.rounds(autoscaler, 5)
    assert value("kiosk_autoscaler_startup_seconds") == 400
    told = [record.message for record in caplog.records]
    assert len(told) == 1
    assert "takes 400 s to start, more than twice KIOSK_AUTOSCALER__STARTUP_S (180)" in told[0]


async def test_a_start_during_which_something_was_unseen_is_not_measured(bench: Bench) -> None:
    autoscaler = bench.autoscaler()
    bench.queue.told = work(1200)
    await bench.rounds(autoscaler, 2)
    bench.queue.told = Outage("Redis is away.")
    await bench.rounds(autoscaler, 1)
    bench.queue.told = work(1200)
    bench.cluster.all_ready()
    await bench.rounds(autoscaler, 2)
    assert REGISTRY.get_sample_value("kiosk_autoscaler_startup_seconds") == 180


def test_the_policy_is_that_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_scaling_policy(Settings()) == ScalingPolicy()
    monkeypatch.setenv("KIOSK_AUTOSCALER__DRAIN_S", "60")
    monkeypatch.setenv("KIOSK_CONSUMER__PARTS_IN_FLIGHT", "3")
    monkeypatch.setenv("KIOSK_QUEUE__WINDOW_PARTS", "8")
    policy = make_scaling_policy(Settings())
    assert (policy.drain_s, policy.slots_per_consumer, policy.parts_per_job) == (60, 3, 8)
    monkeypatch.setenv("KIOSK_AUTOSCALER__MIN_TRITON", "9")
    with pytest.raises(InvalidRequest, match="at most 8"):
        make_scaling_policy(Settings())

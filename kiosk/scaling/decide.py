"""From a snapshot to replicas. Pure: the same snapshot and policy give the same decision."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kiosk.ports import RoleReplicas
from kiosk.scaling.policy import ScalingPolicy
from kiosk.scaling.snapshot import Memory, Snapshot, Want
from kiosk.scaling.work import Work, work_of

FIRST_START_S = 3600.0
"""Whoever begins to lead leaves a Triton that is starting alone for so long. The first one of all
copies an image of several GB and builds engines, which takes longer than anybody waits for work;
nobody could submit a job before it was there once."""

UNSEEN_BACKLOG = "The backlog cannot be read: everything stays as it is."
UNSEEN_CLUSTER = "The cluster does not answer: everything stays as it is."
LIMITED = "There is more work, but limits or costs allow no more replicas."
MORE = "There is more work than the replicas get done in time."
STARTING = "Triton is starting; consumers follow."
FALLING = "There is less work: consumers go first, then Triton."
COOLING = "There is less work, but more was wanted a short time ago."
WAITING = "There is no work; the replicas wait before they go."
IDLE = "There has been no work for long."
ENOUGH = "The replicas get the work done in time."


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What there should be now.

    Attributes:
        triton, consumers: replicas; None = leave them as they are, they could not be asked.
        units: that are wanted in the end; the replicas approach them in order.
        reason: a sentence without figures, the same for as long as nothing changes.
        memory: for the next snapshot.
        work_s: time that one unit would take for all work that needs a model.
    """

    triton: int | None
    consumers: int | None
    units: int
    reason: str
    memory: Memory
    work_s: float = 0.0


def decide(snapshot: Snapshot, policy: ScalingPolicy) -> Decision:
    """The replicas that the policy asks for; what could not be asked stays as it is.

    Triton and consumers make sense only together, so both are held when one cannot be asked. Where
    starts of Triton are measured to take longer than the policy's `startup_s`, that counts.
    """
    if snapshot.backlog is None:
        return _held(snapshot, UNSEEN_BACKLOG)
    if snapshot.triton is None or snapshot.consumers is None:
        return _held(snapshot, UNSEEN_CLUSTER)
    starts = snapshot.memory.starts.looked(snapshot.time_s, snapshot.triton)
    memory = replace(snapshot.memory, starts=starts)
    policy = replace(policy, startup_s=starts.startup_s(policy.startup_s))
    work = work_of(snapshot.backlog, policy)
    look = _Look(snapshot.time_s, memory, work, snapshot.triton, snapshot.consumers, policy)
    return look.decision()


def _held(snapshot: Snapshot, reason: str) -> Decision:
    triton, consumers = snapshot.triton, snapshot.consumers
    return Decision(
        triton=None if triton is None else triton.desired,
        consumers=None if consumers is None else consumers.desired,
        units=0 if triton is None else triton.desired,
        reason=reason,
        memory=snapshot.memory.unseen_until(snapshot.time_s),
    )


@dataclass(frozen=True)
class _Look:
    """One look at a kiosk that could be seen."""

    time_s: float
    before: Memory
    work: Work
    triton: RoleReplicas
    consumers: RoleReplicas
    policy: ScalingPolicy

    def decision(self) -> Decision:
        exact = self.work.exact_units(self.triton, self.policy)
        wanted = max(math.ceil(exact), int(self.work.needs_triton))
        lately = max((want.triton for want in self.before_lately), default=0)
        units = self._settled(self.triton.desired, exact, wanted, lately)
        if not self.is_idle:
            units = max(units, min(self.triton.desired, 1))
        allowed = min(units, self.policy.most_triton)
        bare = self.work.exact_bare(self.policy)
        need, goal = self._consumers(min(wanted, allowed), bare)
        full = allowed * self.policy.consumers_per_triton if self.work.needs_triton else 0
        goal = max(goal, full, self._standing(allowed))
        consumers = self._following(goal, allowed, math.ceil(bare))
        least = max(allowed, self.policy.min_triton)
        consumers = min(consumers, self.policy.most_consumers(least))
        triton = self._leaving_last(least, consumers)
        return Decision(
            triton=triton,
            consumers=consumers,
            units=allowed,
            reason=self._reason(triton, consumers, wanted, units),
            memory=self.before.seen(
                Want(self.time_s, wanted, need),
                self.before.starts.asked_for(self.time_s, self.triton, triton),
                is_busy=self.work.is_any or self._is_first_start,
                kept_s=self.policy.cool_down_s,
            ),
            work_s=self.work.model_s,
        )

    @property
    def is_idle(self) -> bool:
        """There was no work for long."""
        return not self.work.is_any and self.time_s - self.before.busy_s >= self.policy.idle_s

    @property
    def _is_first_start(self) -> bool:
        """Triton is starting, and there was no pause in which anybody saw it idle."""
        is_starting = self.triton.desired > 0 and not self.triton.ready
        is_early = self.time_s - self.before.since_s < FIRST_START_S
        return is_starting and is_early and math.isclose(self.before.busy_s, self.before.last_s)

    @property
    def before_lately(self) -> list[Want]:
        """What was wanted during the cool-down; before anything is known, what is there."""
        begin_s = self.time_s - self.policy.cool_down_s
        wants = [want for want in self.before.wants if want.time_s >= begin_s]
        if self.before.since_s > begin_s:
            wants.append(Want(begin_s, self.triton.desired, self.consumers.desired))
        return wants

    def _settled(self, current: int, exact: float, wanted: int, lately: int) -> int:
        """Up at once, but not for a little; down only to the most of the cool-down."""
        if wanted > current and (
            current == 0 or exact > current * (1 + self.policy.tolerance_ratio)
        ):
            return wanted
        return min(current, max(wanted, lately))

    def _consumers(self, units: int, bare: float) -> tuple[int, int]:
        """Consumers that are wanted at this moment, and those to aim for."""
        current = self.consumers.desired
        exact = units * self.policy.consumers_per_triton + bare
        exact = max(exact, min(self.work.busy_consumers, current))
        wanted = max(math.ceil(exact), int(self.work.is_any))
        lately = max((want.consumers for want in self.before_lately), default=0)
        return wanted, self._settled(current, exact, wanted, lately)

    def _standing(self, units: int) -> int:
        """Consumers that stay because their Triton does, or because work may come again."""
        least = 0 if self.is_idle else 1
        return min(self.consumers.desired, max(least, units * self.policy.consumers_per_triton))

    def _following(self, goal: int, units: int, bare: int) -> int:
        """More consumers only as Triton gets ready; one at once, which can plan meanwhile."""
        ready = min(units, self.triton.ready)
        supplied = ready * self.policy.consumers_per_triton + bare
        most = max(self.consumers.desired, supplied, int(self.work.is_any))
        return max(min(goal, most), self.policy.min_consumers)

    def _leaving_last(self, units: int, consumers: int) -> int:
        """Fewer replicas of Triton only when the consumers that they serve are gone."""
        present = max(self.consumers.desired, self.consumers.ready)
        if present <= consumers:
            return units
        needed = math.ceil(present / self.policy.consumers_per_triton)
        return max(units, min(self.triton.desired, needed))

    def _reason(self, triton: int, consumers: int, wanted: int, units: int) -> str:
        if max(wanted, units) > self.policy.most_triton:
            return LIMITED
        if triton > self.triton.desired or consumers > self.consumers.desired:
            return MORE if triton > self.triton.desired else STARTING
        if self.is_idle:
            return IDLE
        if triton < self.triton.desired or consumers < self.consumers.desired:
            return FALLING
        if not self.work.is_any:
            return WAITING
        if self.triton.ready < min(triton, wanted):
            return STARTING
        return COOLING if wanted < units else ENOUGH

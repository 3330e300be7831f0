"""A kiosk in a few lines, for what `decide` does in the long run.

Parts of one megapixel, of which a slot does one per second; replicas of Triton that take their time
to start and consumers that do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from kiosk.ports import Backlog, ModelLoad
from kiosk.scaling import (
    Decision,
    Memory,
    RoleReplicas,
    ScalingPolicy,
    Snapshot,
    decide,
)

PART_PX = 1_000_000
POLL_S = 10


@dataclass
class Fleet:
    """Steps of one second; a decision every `POLL_S`.

    Attributes:
        pace: what is measured at a time, relative to the truth.
        startup_s: that replicas really take.
    """

    policy: ScalingPolicy
    startup_s: int = 180
    pace: Callable[[int], float] = lambda _: 1.0
    now_s: int = 0
    open_parts: int = 0
    triton: int = 0
    ready: int = 0
    consumers: int = 0
    starting: list[int] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory.fresh(0))
    decisions: list[tuple[Snapshot, Decision]] = field(default_factory=list)
    _owed: float = 0.0

    @property
    def slots(self) -> int:
        served = min(self.consumers, self.ready * self.policy.consumers_per_triton)
        return served * self.policy.slots_per_consumer

    def run(self, seconds: int, load: Callable[[int], float]) -> None:
        """`load`: units that are kept busy by what arrives at a time."""
        for _ in range(seconds):
            self._owed += load(self.now_s) * self.policy.slots_per_unit
            self.open_parts += int(self._owed)
            self._owed -= int(self._owed)
            if self.now_s % POLL_S == 0:
                self._decide()
            self.open_parts -= min(self.open_parts, self.slots)
            self.now_s += 1
            self.ready += sum(1 for at_s in self.starting if at_s <= self.now_s)
            self.starting = [at_s for at_s in self.starting if at_s > self.now_s]

    def snapshot(self) -> Snapshot:
        load = ModelLoad(
            model="m",
            version="1",
            open_px=self.open_parts * PART_PX,
            px_per_slot_s=PART_PX * self.pace(self.now_s),
        )
        backlog = Backlog(
            parts=self.open_parts,
            jobs=self.open_parts,
            leased=min(self.open_parts, self.slots),
            models=(load,),
        )
        return Snapshot(
            time_s=self.now_s,
            backlog=backlog,
            triton=RoleReplicas(self.triton, self.ready),
            consumers=RoleReplicas(self.consumers, self.consumers),
            memory=self.memory,
        )

    def _decide(self) -> None:
        snapshot = self.snapshot()
        decision = decide(snapshot, self.policy)
        assert decision.triton is not None
        assert decision.consumers is not None
        self.decisions.append((snapshot, decision))
        self.memory = decision.memory
        self.starting += [self.now_s + self.startup_s] * max(0, decision.triton - self.triton)
        for _ in range(max(0, self.triton - decision.triton)):
            if self.starting:
                self.starting.pop()
            else:
                self.ready -= 1
        self.triton, self.consumers = decision.triton, decision.consumers

    @property
    def wanted_triton(self) -> list[int]:
        """Replicas of Triton after each decision."""
        return [decision.triton or 0 for _, decision in self.decisions]


def reversals(numbers: list[int]) -> int:
    """How often a row of numbers turns from rising to falling or back."""
    steps = [b - a for a, b in pairwise(numbers) if a != b]
    return sum((a > 0) != (b > 0) for a, b in pairwise(steps))

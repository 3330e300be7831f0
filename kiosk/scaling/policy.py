"""The numbers by which replicas are decided; `kiosk.settings.autoscaling` gives the reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kiosk.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class ScalingPolicy:
    """How much is wanted for how much work, and within which limits.

    A *unit* is one replica of Triton with the consumers that keep it busy.

    Attributes:
        drain_s: the backlog is to be done within this time, once new nodes are up.
        startup_s: from asking for a replica of Triton until it is ready; more where it is measured.
        cool_down_s: replicas fall only to the most that was wanted in this time.
        idle_s: they fall to the least only when there was no work for this time.
        tolerance_ratio: so much more than is there may be wanted before another unit is started.
        min_triton, max_triton, min_consumers: limits of replicas.
        consumers_per_triton: consumers of a unit.
        slots_per_consumer: parts that a consumer does at a time.
        parts_per_job: parts of one job that are handed out at a time.
        default_px_per_slot_s: pace of a model that nobody has measured yet.
        most_cost_per_hour: ceiling for what the replicas cost; 0 = none.
        triton_cost_per_hour, consumer_cost_per_hour: of one replica.
    """

    drain_s: float = 600.0
    startup_s: float = 180.0
    cool_down_s: float = 300.0
    idle_s: float = 600.0
    tolerance_ratio: float = 0.1
    min_triton: int = 0
    max_triton: int = 8
    min_consumers: int = 0
    consumers_per_triton: int = 4
    slots_per_consumer: int = 2
    parts_per_job: int = 16
    default_px_per_slot_s: float = 1_000_000.0
    most_cost_per_hour: float = 0.0
    triton_cost_per_hour: float = 0.0
    consumer_cost_per_hour: float = 0.0

    def __post_init__(self) -> None:
        if self.min_triton > self.max_triton:
            raise InvalidRequest(
                f"At least {self.min_triton} replicas of Triton and at most {self.max_triton}:"
                " these limits leave no number. Change one of them.",
                field="min_triton",
            )
        least = max(
            max(1, self.min_triton) * self.unit_cost_per_hour,
            self.min_triton * self.triton_cost_per_hour
            + self.min_consumers * self.consumer_cost_per_hour,
        )
        if 0 < self.most_cost_per_hour < least:
            raise InvalidRequest(
                f"{self.most_cost_per_hour:g} per hour do not pay for the least that is needed"
                f" ({least:g} per hour). Raise the ceiling or lower the least replicas.",
                field="most_cost_per_hour",
            )

    @property
    def slots_per_unit(self) -> int:
        return self.consumers_per_triton * self.slots_per_consumer

    @property
    def unit_cost_per_hour(self) -> float:
        return self.triton_cost_per_hour + self.consumers_per_triton * self.consumer_cost_per_hour

    @property
    def most_triton(self) -> int:
        """Replicas of Triton that are allowed and can be paid together with their consumers."""
        if not self.most_cost_per_hour or not self.unit_cost_per_hour:
            return self.max_triton
        # A ceiling of ten times 0.1 is meant to pay for ten.
        paid = math.floor(self.most_cost_per_hour / self.unit_cost_per_hour + 1e-9)
        return min(self.max_triton, paid)

    def most_consumers(self, triton: int) -> int:
        """Consumers that are allowed and can be paid beside so many replicas of Triton."""
        allowed = max(self.min_consumers, self.max_triton * self.consumers_per_triton)
        if not self.most_cost_per_hour or not self.consumer_cost_per_hour:
            return allowed
        left = self.most_cost_per_hour - triton * self.triton_cost_per_hour
        return max(0, min(allowed, math.floor(left / self.consumer_cost_per_hour + 1e-9)))

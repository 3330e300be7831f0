"""What Kubernetes' HorizontalPodAutoscaler makes of a metric, in its defaults.

Formulas: "Horizontal Pod Autoscaling", kubernetes.io; `getUsageRatioReplicaCount` and
`GetExternalPerPodMetricReplicas` of its replica calculator say which replicas are counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

SYNC_S = 15.0
TOLERANCE_RATIO = 0.1
STABILISATION_S = 300.0
# Up by whichever is more within 15 s: so many pods, or twice as many as there are.
UP_PODS, UP_FACTOR = 4, 2


def by_ratio(current: int, ready: int, ratio: float) -> int:
    """Of a metric for all together and its target: ready replicas x ratio, rounded up."""
    if current == 0:
        return math.ceil(ratio)
    if abs(ratio - 1) <= TOLERANCE_RATIO:
        return current
    return math.ceil(ratio * ready)


def by_share(current: int, total: float, target: float) -> int:
    """Of a metric that is shared out among replicas, each of which should have `target`."""
    if current and abs(total / (target * current) - 1) <= TOLERANCE_RATIO:
        return current
    return math.ceil(total / target)


@dataclass
class Horizontal:
    """One HorizontalPodAutoscaler; it remembers what it wanted for the last five minutes."""

    least: int
    most: int
    _wanted: list[tuple[float, int]] = field(default_factory=list)

    def replicas(self, time_s: float, current: int, wanted: int) -> int:
        """What it sets: up at once in steps, down only to the most that it lately wanted."""
        wanted = max(self.least, min(wanted, self.most))
        self._wanted = [w for w in self._wanted if w[0] > time_s - STABILISATION_S]
        self._wanted.append((time_s, wanted))
        if wanted < current:
            wanted = min(current, max(lately for _, lately in self._wanted))
        return min(wanted, max(current + UP_PODS, current * UP_FACTOR))

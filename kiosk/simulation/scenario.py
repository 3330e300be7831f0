"""The cluster that is simulated: how fast nodes come, how often they go, how many there may be."""

from __future__ import annotations

from dataclasses import dataclass

from kiosk.simulation.prices import Prices


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is the same for every policy.

    Attributes:
        prices: rates and prices.
        max_gpus: most Triton replicas, one on each GPU node.
        start_s: shortest and longest time from asking for a GPU node until its Triton serves:
            the machine, the image, the model. Each is as likely.
        pod_start_s: the same for a consumer, and for Triton on a node that is still there.
        preemptions_per_node_h: how often a spot GPU node is taken away.
        node_idle_s: how long a GPU node stays, and is paid, after its Triton is gone. 10 minutes is
            the default of the Kubernetes cluster autoscaler (scale-down-unneeded-time).
        drain_s: how long a consumer that has to go is paid until its parts are done.
        slots: parts that a consumer has in flight.
        slot_speedup: how much quicker a slot is when it has Triton for itself; it shapes the
            measured pace only.
        between_zones_ratio: share of the tensors that go from one zone to another.
        tail_s: how long is simulated, and paid, after the last image, unless all is gone before.
    """

    prices: Prices
    max_gpus: int = 8
    start_s: tuple[float, float] = (90.0, 600.0)
    pod_start_s: tuple[float, float] = (20.0, 60.0)
    preemptions_per_node_h: float = 0.05
    node_idle_s: float = 600.0
    drain_s: float = 10.0
    slots: int = 2
    slot_speedup: float = 2.0
    between_zones_ratio: float = 0.0
    tail_s: float = 1800.0

    @property
    def max_consumers(self) -> int:
        return self.max_gpus * self.prices.consumers_per_gpu

    @property
    def mean_start_s(self) -> float:
        return sum(self.start_s) / 2

    @property
    def slot_megapixels_s(self) -> float:
        """The pace of a slot that has Triton for itself."""
        return self.prices.megapixels_per_consumer_s / self.slots * self.slot_speedup

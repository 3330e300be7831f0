"""Policies to compare: this kiosk's, the DeepCell Kiosk's, KEDA on queue length, fixed replicas."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from kiosk.errors import InvalidRequest
from kiosk.scaling.decide import decide
from kiosk.scaling.policy import ScalingPolicy
from kiosk.scaling.snapshot import Memory, Snapshot
from kiosk.simulation.horizontal import SYNC_S, Horizontal, by_ratio, by_share
from kiosk.simulation.scenario import Scenario
from kiosk.simulation.view import Policy, View, Wanted

# The default of KIOSK_AUTOSCALER__POLL_S.
OWN_INTERVAL_S = 10.0
DEEPCELL_POLL_S = 5.0
GPU_TARGET_RATIO = 0.7
DEEPCELL_CONSUMERS_PER_GPU = 50
KEDA_POLL_S, KEDA_COOLDOWN_S = 30.0, 300.0
# Parts per Triton replica that somebody would set who wants a queue done in about five minutes.
KEDA_WAIT_S = 300.0
DEFAULT = ScalingPolicy()
NOTHING, ONE_CONSUMER = Wanted(0, 0), Wanted(0, 1)


@dataclass
class Ours:
    """`kiosk autoscaler`: the function that it runs, with the memory that its loop carries."""

    policy: ScalingPolicy
    name: str = "kiosk"
    interval_s: float = OWN_INTERVAL_S
    start: Wanted = NOTHING
    memory: Memory = field(default_factory=lambda: Memory.fresh(0.0))

    def decide(self, view: View) -> Wanted:
        snapshot = Snapshot(
            time_s=view.time_s,
            backlog=view.backlog,
            triton=view.triton,
            consumers=view.consumers,
            memory=self.memory,
        )
        decision = decide(snapshot, self.policy)
        self.memory = decision.memory
        return Wanted(
            view.triton.desired if decision.triton is None else decision.triton,
            view.consumers.desired if decision.consumers is None else decision.consumers,
        )


@dataclass
class DeepCell:
    """The DeepCell Kiosk 1.8: its autoscaler, and two HorizontalPodAutoscalers.

    Its autoscaler sets 1 Triton replica while there are keys in the queue, and 0 at once without;
    GPU load above 70 % adds more. There are as many consumers as keys while a replica serves, up to
    50 for each GPU that there may be. Each does one image at a time: one here stands for several.
    """

    scenario: Scenario
    name: str = "deepcell"
    interval_s: float = DEEPCELL_POLL_S
    start: Wanted = ONE_CONSUMER

    def __post_init__(self) -> None:
        self._gpus = Horizontal(1, self.scenario.max_gpus)
        self._consumers = Horizontal(1, self.scenario.max_consumers)
        self._busy: list[float] = []

    def decide(self, view: View) -> Wanted:
        keys = view.backlog.parts
        triton, consumers = view.triton.desired, view.consumers.desired
        triton = 0 if keys == 0 else max(triton, 1)
        self._busy.append(view.gpu_busy_ratio)
        if view.time_s % SYNC_S < DEEPCELL_POLL_S / 2:
            busy = sum(self._busy) / len(self._busy)
            self._busy = []
            # Kubernetes leaves a deployment with no replicas alone.
            if triton:
                wanted = by_ratio(triton, view.triton.ready, busy / GPU_TARGET_RATIO)
                triton = self._gpus.replicas(view.time_s, triton, wanted)
            theirs = DEEPCELL_CONSUMERS_PER_GPU / self.scenario.prices.consumers_per_gpu
            ratio = keys / (consumers * theirs) * (view.triton.ready > 0)
            wanted = by_ratio(consumers, view.consumers.ready, ratio)
            consumers = self._consumers.replicas(view.time_s, consumers, wanted)
        return Wanted(triton, consumers)


@dataclass
class Keda:
    """KEDA on queue length: a ScaledObject for Triton and one for consumers, to zero and back."""

    scenario: Scenario
    parts_per_triton: int
    name: str = "keda"
    interval_s: float = SYNC_S
    start: Wanted = NOTHING

    def __post_init__(self) -> None:
        self._triton = Horizontal(1, self.scenario.max_gpus)
        self._consumers = Horizontal(1, self.scenario.max_consumers)
        self._active_s = -math.inf

    def decide(self, view: View) -> Wanted:
        per_consumer = self.parts_per_triton / self.scenario.prices.consumers_per_gpu
        parts = view.backlog.parts
        is_poll = view.time_s % KEDA_POLL_S < SYNC_S / 2
        if is_poll and parts:
            self._active_s = view.time_s
        is_over = view.time_s - self._active_s > KEDA_COOLDOWN_S
        return Wanted(
            self._scaled(self._triton, view.triton.desired, view, self.parts_per_triton, is_over),
            self._scaled(self._consumers, view.consumers.desired, view, per_consumer, is_over),
        )

    def _scaled(
        self, scaler: Horizontal, current: int, view: View, target: float, is_over: bool
    ) -> int:
        if current == 0:
            return int(self._active_s == view.time_s)
        if is_over:
            return 0
        wanted = by_share(current, view.backlog.parts, target)
        return scaler.replicas(view.time_s, current, wanted)


@dataclass(frozen=True)
class Fixed:
    """So many units, always."""

    start: Wanted
    name: str
    interval_s: float = math.inf

    def decide(self, view: View) -> Wanted:
        return self.start


def own_policy(scenario: Scenario, policy: ScalingPolicy) -> ScalingPolicy:
    """The autoscaler's policy with the scenario's limits and units."""
    return replace(
        policy,
        min_triton=min(policy.min_triton, scenario.max_gpus),
        max_triton=scenario.max_gpus,
        consumers_per_triton=scenario.prices.consumers_per_gpu,
        slots_per_consumer=scenario.slots,
    )


def _units(scenario: Scenario, units: int) -> Wanted:
    units = min(units, scenario.max_gpus)
    return Wanted(units, units * scenario.prices.consumers_per_gpu)


def _keda(scenario: Scenario, number: int | None) -> Policy:
    parts = number or max(1, round(scenario.prices.megapixels_per_gpu_s * KEDA_WAIT_S))
    return Keda(scenario, parts, name=f"keda:{parts}")


def _fixed(scenario: Scenario, number: int | None) -> Policy:
    units = _units(scenario, number or scenario.max_gpus)
    return Fixed(units, f"fixed:{units.triton}")


NAMES = ("kiosk", "deepcell", "keda", "fixed")


def default_names(scenario: Scenario) -> list[str]:
    """Every policy, and fixed replicas with all and with half of the nodes."""
    half = max(1, scenario.max_gpus // 2)
    return ["kiosk", "deepcell", "keda", f"fixed:{scenario.max_gpus}", f"fixed:{half}"]


def policy_named(text: str, scenario: Scenario, own: ScalingPolicy = DEFAULT) -> Policy:
    """A policy of NAME or NAME:NUMBER, fresh, with no memory; `own` is that of the autoscaler.

    Raises:
        InvalidRequest: there is no such policy, or its number is none.
    """
    name, colon, number = text.partition(":")
    takes_number = name in ("keda", "fixed")
    if name not in NAMES or (colon and not (takes_number and number.isdigit() and int(number))):
        raise InvalidRequest(
            f"There is no policy '{text}'. Policies are kiosk, deepcell, keda, keda:PARTS (parts"
            " per Triton replica), fixed and fixed:NODES."
        )
    if name == "kiosk":
        return Ours(own_policy(scenario, own))
    if name == "deepcell":
        return DeepCell(scenario)
    return (_keda if name == "keda" else _fixed)(scenario, int(number) if colon else None)

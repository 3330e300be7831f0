"""How much work a backlog is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kiosk.ports import Backlog, ModelLoad, RoleReplicas
from kiosk.scaling.policy import ScalingPolicy

LEFTOVER_PX = 250_000
"""A job that is being joined has fewer pixels left: what the division by its parts left over."""


@dataclass(frozen=True)
class Work:
    """A backlog in the measures of scaling.

    Attributes:
        open_parts: parts that are waiting or being done.
        model_s: time that one unit would take for all work that needs a model.
        bare_s: time that one consumer would take for the rest.
        busy_units: units that the parts in hand of models fill.
        busy_consumers: consumers that the parts in hand fill.
        usable_units: units beyond this would find no part to do.
        needs_triton: there is, or may be, something to do for Triton.
    """

    open_parts: int
    model_s: float
    bare_s: float
    busy_units: float
    busy_consumers: float
    usable_units: float
    needs_triton: bool

    @property
    def is_any(self) -> bool:
        return self.open_parts > 0

    def exact_units(self, triton: RoleReplicas, policy: ScalingPolicy) -> float:
        """Units that get the work done in time, or at least those that are busy.

        The time is `startup_s` + `drain_s` from now. Units that are ready have all of it, those
        that must be started first only `drain_s`. Whoever is busy stays: it costs the same to
        finish with all of them soon as with few of them late.
        """
        ready = min(triton.ready, triton.desired)
        whole_s = policy.startup_s + policy.drain_s
        if self.model_s <= ready * whole_s:
            timely = self.model_s / whole_s
        else:
            timely = (self.model_s - ready * policy.startup_s) / policy.drain_s
        # More can be leased than there are slots for: leases of the dead run out only later.
        busy = min(self.busy_units, triton.desired)
        return max(min(timely, self.usable_units), busy)

    def exact_bare(self, policy: ScalingPolicy) -> float:
        """Consumers that get the work in time that needs no model; they start within seconds."""
        return min(self.bare_s / policy.drain_s, self.open_parts / policy.slots_per_consumer)


def work_of(backlog: Backlog, policy: ScalingPolicy) -> Work:
    """The work that a backlog stands for."""
    bare_slot_s = sum(_slot_s(load, policy) for load in backlog.models if not load.model)
    model_slot_s = sum(_slot_s(load, policy) for load in backlog.models if load.model)
    slot_s = bare_slot_s + model_slot_s
    model_share = model_slot_s / slot_s if slot_s else 1.0
    open_parts = max(backlog.parts, backlog.jobs)
    # No more parts of a job are handed out at a time, however many it has.
    usable_slots = min(open_parts, max(1, backlog.jobs) * policy.parts_per_job)
    # Some joins ask a model, also of jobs whose parts do not.
    is_bare = any(not load.model and load.open_px > LEFTOVER_PX for load in backlog.models)
    return Work(
        open_parts=open_parts,
        model_s=model_slot_s / policy.slots_per_unit,
        bare_s=bare_slot_s / policy.slots_per_consumer,
        busy_units=backlog.leased * model_share / policy.slots_per_unit,
        busy_consumers=backlog.leased / policy.slots_per_consumer,
        usable_units=usable_slots / policy.slots_per_unit,
        needs_triton=open_parts > 0 and (model_slot_s > 0 or not is_bare),
    )


def _slot_s(load: ModelLoad, policy: ScalingPolicy) -> float:
    """Time that one slot would take for what is open for a model."""
    pace = load.px_per_slot_s
    if not (math.isfinite(pace) and pace > 0):
        pace = policy.default_px_per_slot_s
    return max(0, load.open_px) / pace

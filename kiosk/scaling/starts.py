"""How long replicas of Triton take to start, measured from one look to the next.

Only clean starts count. One is forgotten when fewer replicas are wanted before it is over, when a
replica is lost meanwhile, and when something cannot be asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kiosk.ports import RoleReplicas

NEWEST_RATIO = 0.3
"""Weight of the newest start: three or four of them outweigh what was before."""
MOST_S = 3600.0
"""A start that took longer says that there was no node, and not how long the next one takes."""


@dataclass(frozen=True)
class Ask:
    """More replicas were asked for: so many altogether."""

    time_s: float
    replicas: int


@dataclass(frozen=True, kw_only=True)
class Starts:
    """What was measured, and what is being measured.

    Attributes:
        average_s: from asking for replicas until all are ready; None = no start was seen yet.
        asked: replicas that are not all ready yet, the oldest first.
        ready: replicas at the last look.
    """

    average_s: float | None = None
    asked: tuple[Ask, ...] = ()
    ready: int = 0

    def startup_s(self, setting_s: float) -> float:
        """What to go by: the longer of what was measured and of what is set.

        A start that is quicker than was thought is no reason to be in more of a hurry: `kiosk
        simulate` then pays for nodes that finish soon and wait (docs/simulation.md).
        """
        return max(setting_s, self.average_s or 0.0)

    def looked(self, time_s: float, triton: RoleReplicas) -> Starts:
        """With the starts that are over now."""
        asked = self.asked
        if asked and (triton.desired < asked[-1].replicas or triton.ready < self.ready):
            asked = ()
        over = [ask for ask in asked if ask.replicas <= triton.ready]
        average_s = self.average_s
        for ask in over:
            took_s = min(time_s - ask.time_s, MOST_S)
            before_s = took_s if average_s is None else average_s
            average_s = before_s + NEWEST_RATIO * (took_s - before_s)
        return Starts(average_s=average_s, asked=asked[len(over) :], ready=triton.ready)

    def asked_for(self, time_s: float, triton: RoleReplicas, replicas: int) -> Starts:
        """With what is asked for now, unless others are starting of which it is not known since."""
        is_known = bool(self.asked) or triton.ready == triton.desired
        if replicas <= triton.desired or not is_known:
            return self
        return replace(self, asked=(*self.asked, Ask(time_s, replicas)))

    def unseen(self) -> Starts:
        return replace(self, asked=())

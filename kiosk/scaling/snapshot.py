"""What a decision is made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from kiosk.ports import Backlog, RoleReplicas
from kiosk.scaling.starts import Starts

__all__ = ["Memory", "RoleReplicas", "Snapshot", "Want"]


@dataclass(frozen=True)
class Want:
    """What was wanted at one time, before any limit or cool-down."""

    time_s: float
    triton: int
    consumers: int


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What is carried from one decision to the next.

    Time in which the backlog could not be read does not count: all times move on by it.

    Attributes:
        since_s: when remembering began.
        busy_s: when there was work last; at first `since_s`, as if there had been until then.
        last_s: when the last decision was made.
        wants: of the cool-down, the oldest first.
        starts: of Triton, and how long they take.
    """

    since_s: float
    busy_s: float
    last_s: float
    wants: tuple[Want, ...] = ()
    starts: Starts = field(default_factory=Starts)

    @classmethod
    def fresh(cls, time_s: float) -> Memory:
        """Of one who knows nothing of what was before."""
        return cls(since_s=time_s, busy_s=time_s, last_s=time_s)

    def unseen_until(self, time_s: float) -> Memory:
        """As if the time since the last decision had not passed."""
        gap_s = time_s - self.last_s
        moved = tuple(replace(want, time_s=want.time_s + gap_s) for want in self.wants)
        return Memory(
            since_s=self.since_s + gap_s,
            busy_s=self.busy_s + gap_s,
            last_s=time_s,
            wants=moved,
            starts=self.starts.unseen(),
        )

    def seen(self, want: Want, starts: Starts, *, is_busy: bool, kept_s: float) -> Memory:
        """With what is wanted and starts now, and without what was wanted `kept_s` ago."""
        young = tuple(w for w in self.wants if w.time_s >= want.time_s - kept_s)
        return Memory(
            since_s=self.since_s,
            busy_s=want.time_s if is_busy else self.busy_s,
            last_s=want.time_s,
            wants=(*young, want),
            starts=starts,
        )


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The kiosk at one time; None stands for what could not be asked.

    Attributes:
        time_s: of any clock that never goes back.
    """

    time_s: float
    backlog: Backlog | None
    triton: RoleReplicas | None
    consumers: RoleReplicas | None
    memory: Memory

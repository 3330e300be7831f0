"""What a policy sees of the kiosk, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kiosk.ports import Backlog, RoleReplicas


@dataclass(frozen=True)
class View:
    """The kiosk at one time.

    Attributes:
        time_s: since the trace began.
        gpu_busy_ratio: of the ready Triton replicas, since the last look.
    """

    time_s: float
    backlog: Backlog
    triton: RoleReplicas
    consumers: RoleReplicas
    gpu_busy_ratio: float


class Wanted(NamedTuple):
    """Replicas that a policy sets."""

    triton: int
    consumers: int


class Policy(Protocol):
    """Decides replicas every `interval_s`; infinite = never, it stays with `start`."""

    @property
    def name(self) -> str: ...

    @property
    def interval_s(self) -> float: ...

    @property
    def start(self) -> Wanted:
        """Replicas that are ready before the first image comes."""
        ...

    def decide(self, view: View) -> Wanted: ...

"""The cluster that runs the roles, and who of several autoscalers leads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """Roles whose replicas the autoscaler sets."""

    TRITON = "triton"
    CONSUMERS = "consumers"


@dataclass(frozen=True)
class RoleReplicas:
    """Replicas of a role.

    Attributes:
        desired: that it was told to have; those that are starting count.
        ready: that can work.
    """

    desired: int
    ready: int


class Cluster(Protocol):
    """Where replicas run. All methods raise KioskError when no answer is to be had."""

    async def replicas(self, role: Role) -> RoleReplicas:
        """What there is. Raises NotFound, PermissionDenied, Outage."""

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        """Set the replicas, unless somebody else has set them since they were `seen`.

        False, and nothing is changed, when they have. Replicas that got ready meanwhile, which they
        do all the time, are no reason.
        """


@dataclass(frozen=True, kw_only=True)
class LeaderRecord:
    """Who of several processes leads.

    Attributes:
        holder: identity of the leader; "" = nobody, it has stepped down.
        duration_s: a record that does not change for so long may be taken over.
        acquired_s, renewed_s: Unix times by the holder's clock, for people; nothing is decided by
            them, because clocks differ.
        transitions: how often the leader changed.
        version: of what was read; "" in a record that is to be written.
    """

    holder: str
    duration_s: float
    acquired_s: float
    renewed_s: float
    transitions: int = 0
    version: str = ""


class LeaderRecords(Protocol):
    """One record that all who would lead can read and write. All methods raise KioskError."""

    async def read(self) -> LeaderRecord | None:
        """The record with its version; None while there is none."""

    async def write(self, record: LeaderRecord, seen: LeaderRecord | None) -> LeaderRecord | None:
        """Write it in the place of the one that was `seen` (None: where none is).

        Returns it with its new version, or None when somebody else wrote meanwhile.
        """

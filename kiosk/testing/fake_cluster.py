"""A cluster and a leader's record in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kiosk.errors import KioskError, NotFound
from kiosk.ports import LeaderRecord, Role, RoleReplicas


class FakeCluster:
    """`ports.Cluster`: replicas get ready when a test says so.

    Attributes:
        failures: what is raised when a role is asked or scaled, for as long as it is in here.
        scaled: what was written, in this order.
    """

    def __init__(self, **desired: int) -> None:
        self._roles = {Role(name): RoleReplicas(n, n) for name, n in desired.items()}
        self.failures: dict[Role, KioskError] = {}
        self.scaled: list[tuple[Role, int]] = []

    async def replicas(self, role: Role) -> RoleReplicas:
        self._check(role)
        return self._roles[role]

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        self._check(role)
        if seen.desired != self._roles[role].desired:
            return False
        self.change(role, desired=replicas)
        self.scaled.append((role, replicas))
        return True

    def change(self, role: Role, *, desired: int | None = None, ready: int | None = None) -> None:
        """As somebody else, or the cluster itself, changes it; what is not wanted stops at once."""
        before = self._roles[role]
        desired = before.desired if desired is None else desired
        ready = min(desired, before.ready if ready is None else ready)
        self._roles[role] = RoleReplicas(desired, ready)

    def all_ready(self) -> None:
        """Everything that was asked for has started."""
        for role, seen in self._roles.items():
            self.change(role, ready=seen.desired)

    def _check(self, role: Role) -> None:
        if role in self.failures:
            raise self.failures[role]
        if role not in self._roles:
            raise NotFound(f"There is nothing that runs {role}.")


@dataclass
class MemoryLeaderRecords:
    """`ports.LeaderRecords`."""

    record: LeaderRecord | None = None
    failure: KioskError | None = None
    writes: int = 0

    async def read(self) -> LeaderRecord | None:
        if self.failure:
            raise self.failure
        return self.record

    async def write(self, record: LeaderRecord, seen: LeaderRecord | None) -> LeaderRecord | None:
        if self.failure:
            raise self.failure
        is_seen = seen.version if seen else None
        if is_seen != (self.record.version if self.record else None):
            return None
        self.writes += 1
        self.record = replace(record, version=str(self.writes))
        return self.record

"""Who calls, and what that caller may do: the one place with the rules of access.

What belongs to others does not exist for a caller (NotFound, in the words for what was never
there), so that nobody learns which ids are in use. What a caller may not do at all is
PermissionDenied.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from kiosk.errors import PermissionDenied


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"  # see and fetch what is theirs
    WRITE = "write"  # upload, submit, cancel, extend, delete what is theirs
    ADMIN = "admin"  # everything, with everybody's uploads and jobs
    METRICS = "metrics"  # the figures of the kiosk


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who makes a call. Made by `Authentication`, asked by everything that touches a job.

    Attributes:
        owner: whose uploads and jobs these are; "" for the kiosk without authentication.
        key_id, share_id: by which API key or share link the caller was recognised; "" = neither.
        job_id: the one job that a share link opens; "" = all of the owner's.
        address: of the other end of the connection, for the audit log.
        expire_time_s: when the credentials end, in Unix seconds; 0 = never.
    """

    owner: str
    scopes: frozenset[Scope]
    key_id: str = ""
    share_id: str = ""
    job_id: str = ""
    address: str = ""
    expire_time_s: float = 0.0

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    @property
    def can_end(self) -> bool:
        """Whether the credentials may stop to hold."""
        return bool(self.key_id or self.share_id or self.expire_time_s)

    def at(self, address: str) -> Caller:
        """The same caller at an address."""
        return replace(self, address=address)

    def require(self, *scopes: Scope) -> None:
        """Raises PermissionDenied for a caller with none of these scopes."""
        if self.job_id:
            raise PermissionDenied("A share link shows one job and lets nobody do anything else.")
        self._require(scopes)

    def require_for_jobs(self, scope: Scope) -> None:
        """As `require`, for what a share link may do too, with its own job."""
        if self.job_id and scope is not Scope.READ:
            raise PermissionDenied(
                "A share link lets you look at a job and fetch its results only."
            )
        self._require((scope,))

    def _require(self, scopes: tuple[Scope, ...]) -> None:
        if self.is_admin or self.scopes.intersection(scopes):
            return
        wanted = " or ".join(f"'{scope}'" for scope in scopes)
        raise PermissionDenied(
            f"This takes the scope {wanted}, which your key does not have. Ask the people who run"
            " this kiosk for another key."
        )

    def sees_job(self, job_id: str, owner: str) -> bool:
        """Whether there is such a job for this caller."""
        return job_id == self.job_id if self.job_id else self._has(owner)

    def sees_upload(self, owner: str) -> bool:
        """Whether there is an upload of that owner for this caller."""
        return not self.job_id and self._has(owner)

    def _has(self, owner: str) -> bool:
        return self.is_admin or owner == self.owner


LOCAL = Caller(owner="", scopes=frozenset(Scope))
"""Everybody, where nobody is asked who they are: a kiosk without authentication."""

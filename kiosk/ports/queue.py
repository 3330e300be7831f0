"""The queue of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kiosk.jobs import DeadLetter, Job, JobEvent, Lease, Part


@dataclass(frozen=True, kw_only=True)
class ModelLoad:
    """Open work for one version of one model; `model` "" are jobs that need none.

    Attributes:
        open_px: pixels of open jobs that are not done yet.
        px_per_slot_s: pixels that one slot of a consumer (it does a part at a time) gets done per
            second, as measured over the last minutes; 0 = nothing was measured yet.
    """

    model: str
    version: str
    open_px: int
    px_per_slot_s: float = 0.0


@dataclass(frozen=True)
class Backlog:
    """Work that is waiting or being done.

    Attributes:
        parts: of all open jobs.
        jobs: that are open.
        leased: parts that consumers hold.
        oldest_s: about how long ago the oldest job was submitted of those next in line; 0 = none.
            Next in line is the first job of each owner; of many owners only some are looked at.
        models: what is open for each model; one with nothing open stays while its pace is known.
    """

    parts: int
    jobs: int
    leased: int = 0
    oldest_s: float = 0.0
    models: tuple[ModelLoad, ...] = ()


class JobQueue(Protocol):
    """Jobs and their parts. Every method is one atomic step of the queue."""

    async def submit(self, job: Job) -> Job:
        """Store a job and queue its plan part; a known request_id returns the job of then.

        Raises AlreadyExists when the request_id came before with other content, and Overloaded
        when too much is open already, of this owner or of all.
        """

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        """The next part for this consumer, or None when none came within `wait_s`.

        Interactive jobs go first; owners take turns, and so do the jobs of each.
        """

    async def renew(self, lease: Lease) -> None:
        """Keep a lease. Raises LeaseLost when it is gone or the job is no longer open."""

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        """End of a plan part: store the parts and hand out the first of them."""

    async def complete(self, lease: Lease) -> None:
        """End of a part; the last one of a job releases its join."""

    async def succeed(self, lease: Lease, parts: int = 0, notes: Sequence[str] = ()) -> None:
        """The job has succeeded: end of a join, or of a plan whose few parts were done at once.

        Args:
            parts, notes: of such a plan; left out for a join.
        """

    async def retry(self, lease: Lease, reason: str) -> None:
        """Give a part back for another attempt, or to the dead letters after the last one."""

    async def postpone(self, lease: Lease, reason: str) -> None:
        """Give a part back because an outside system is out of order.

        It is handed out again after a delay that grows, the attempt does not count, and the job
        shows the reason. After many such delays of one part it counts as an attempt after all.
        """

    async def release(self, lease: Lease) -> None:
        """Give a part back at once, without counting the attempt: its consumer is stopping."""

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        """The job has failed for a reason that another attempt would not change."""

    async def get(self, job_id: str) -> Job:
        """The job as it stands. Raises NotFound."""

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        """Newest first: at most `limit` jobs and the token for the page that follows ('' = end).

        Args:
            owner: only jobs of this owner; None for those of all.
        """

    async def jobs_ahead(self, job_id: str) -> int | None:
        """About how many jobs have a turn before a queued one; None when it is not queued.

        An estimate in bounded time, as if nobody came and every turn ended a job: of its owner
        those before it, of every other owner as many as have a turn meanwhile, of the other
        priority those that come in between. Raises NotFound.
        """

    async def cancel(self, job_id: str) -> Job:
        """Stop an open job; a finished one is left as it is."""

    async def delete(self, job_id: str) -> None:
        """Forget a finished job. Raises WrongState while it is open."""

    async def extend(self, job_id: str, expire_time_s: float) -> Job:
        """Keep a job until then. Raises NotFound."""

    async def redrive(self, job_id: str) -> Job:
        """Begin a failed or cancelled job anew, with all of its attempts.

        Raises WrongState for any other job, and while what it left is still being removed.
        """

    def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        """The job now (or as soon as it has changed since the event `after`), then its changes.

        Changes that come faster than they are taken are told as one. Ends with a final state.
        """

    async def expired(self) -> list[str]:
        """Ids of jobs whose expire time has passed."""

    async def litter(self) -> list[str]:
        """Ids of closed jobs whose intermediate files are due to be removed; see `cleaned`."""

    async def cleaned(self, job_id: str) -> None:
        """The intermediate files of a closed job are gone."""

    async def backlog(self) -> Backlog:
        """How much work there is, in a time that does not grow with it."""

    async def dead_letters(self, limit: int = 100, owner: str | None = None) -> list[DeadLetter]:
        """Parts that were given up, newest first; each goes with its job."""

"""Jobs as their callers may see them."""

from __future__ import annotations

from kiosk.callers import Caller, Scope
from kiosk.errors import NotFound, WrongState
from kiosk.jobs import Job, JobState
from kiosk.ports import JobQueue


async def job_of(queue: JobQueue, job_id: str, *, caller: Caller, scope: Scope = Scope.READ) -> Job:
    """A job that this caller may see.

    Raises:
        PermissionDenied: the caller may not do this with any job.
        NotFound: there is no such job, or it is not the caller's; nobody can tell which.
    """
    caller.require_for_jobs(scope)
    try:
        job = await queue.get(job_id)
    except NotFound:
        raise _no_job(job_id) from None
    if not caller.sees_job(job.id, job.owner):
        raise _no_job(job_id)
    return job


async def finished_job_of(queue: JobQueue, job_id: str, *, caller: Caller) -> Job:
    """A job that has results, for a caller who may see it.

    Raises:
        PermissionDenied, NotFound: as `job_of`.
        WrongState: it has not succeeded.
    """
    job = await job_of(queue, job_id, caller=caller)
    if job.state is not JobState.SUCCEEDED:
        hint = "Wait until it has succeeded." if not job.state.is_final else "It has none."
        raise WrongState(
            f"The job is {job.state.value} and has no results. {hint}", reason="NO_RESULTS"
        )
    return job


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"There is no job '{job_id}'. It may have expired or been deleted.")

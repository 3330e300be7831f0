"""Jobs as their callers may see them."""

from __future__ import annotations

from kiosk.callers import Caller, Scope
from kiosk.errors import NotFound, WrongState
from kiosk.job_search import JobSearch
from kiosk.jobs import Job, JobState, page_token
from kiosk.logs import note_job
from kiosk.ports import JobQueue

# For one page no more jobs are looked at than this, which takes about 0.2 s; the caller goes on.
MOST_LOOKED_AT = 2000
# Where few jobs fit, so many are read at a time.
AT_A_TIME = 100


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
    note_job(job.id)
    return job


async def found_jobs(
    queue: JobQueue, search: JobSearch, size: int, token: str, owner: str | None
) -> tuple[list[Job], str]:
    """A page of at most `size` jobs that fit, newest first, and the token of the next one.

    Pages of the queue are looked through until the page is full or many jobs were looked at, so
    a page may have fewer jobs, or none, and still a next one.
    """
    found: list[Job] = []
    looked_at = 0
    while True:
        wanted = size - len(found)
        jobs, token = await queue.list_jobs(
            max(wanted, AT_A_TIME) if search.is_narrow else wanted, token, owner=owner
        )
        looked_at += len(jobs)
        fitting = [job for job in jobs if search.fits(job)]
        found += fitting[:wanted]
        if len(fitting) > wanted:
            return found, page_token(found[-1])
        if not token or len(found) == size or looked_at >= MOST_LOOKED_AT:
            return found, token


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

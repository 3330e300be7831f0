"""How jobs end, for the metrics: each end is counted once, by the process that sees it.

A consumer sees what it has finished or failed, a server what it has cancelled. A job that was given
up because its consumers died is seen by the server that removes what they left.
"""

from __future__ import annotations

from contextlib import suppress

from kiosk.errors import KioskError
from kiosk.jobs import Job, JobState
from kiosk.ports import JobQueue
from kiosk.telemetry import JOB_SECONDS, JOBS, STAGE_SECONDS

GIVEN_UP = "ATTEMPTS_EXHAUSTED"


def outcome_of(job: Job) -> str:
    """How a job has ended, as the metrics have it."""
    is_given_up = job.state is JobState.FAILED and job.error_reason == GIVEN_UP
    return "given_up" if is_given_up else job.state.value


def count_end(job: Job) -> None:
    """Count a job that has just ended."""
    JOBS.labels(job.pipeline, outcome_of(job)).inc()


async def count_success(
    queue: JobQueue, job: Job, *, planning_s: float = 0.0, joining_s: float = 0.0
) -> None:
    """Count a job that has just succeeded, and the time that it took.

    Args:
        planning_s: of a job that was planned and joined under one lease.
    """
    JOBS.labels(job.pipeline, JobState.SUCCEEDED.value).inc()
    with suppress(KioskError):
        # Its times are those of the queue's clock, whoever has worked on it.
        job = await queue.get(job.id)
        JOB_SECONDS.labels(job.pipeline).observe(job.end_time_s - job.create_time_s)
        STAGE_SECONDS.labels("waiting").observe(job.start_time_s - job.create_time_s)
        between_s = job.end_time_s - job.start_time_s - planning_s - joining_s
        STAGE_SECONDS.labels("parts").observe(max(0.0, between_s))
        STAGE_SECONDS.labels("joining").observe(joining_s)

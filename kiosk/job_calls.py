"""What the client library does with jobs that are there: look, cancel, begin anew, delete."""

from __future__ import annotations

from kiosk._proto import kiosk_pb2 as pb
from kiosk.connection import Connection


def job_name(job: str) -> str:
    """`jobs/{id}` of a name or an id."""
    return job if job.startswith("jobs/") else f"jobs/{job}"


class JobCalls:
    """The part of `AsyncKiosk` that is about jobs."""

    _connection: Connection

    async def job(self, job: str) -> pb.Job:
        """A job as it stands."""
        answer: pb.Job = await self._connection.call("GetJob", pb.GetJobRequest(name=job_name(job)))
        return answer

    async def jobs(self, limit: int = 50) -> list[pb.Job]:
        """The newest jobs."""
        found: list[pb.Job] = []
        token = ""
        while len(found) < limit:
            request = pb.ListJobsRequest(page_size=min(500, limit - len(found)), page_token=token)
            answer = await self._connection.call("ListJobs", request)
            found += answer.jobs
            token = answer.next_page_token
            if not token:
                break
        return found

    async def cancel(self, job: str) -> pb.Job:
        """Stop a job."""
        answer: pb.Job = await self._connection.call(
            "CancelJob", pb.CancelJobRequest(name=job_name(job))
        )
        return answer

    async def redrive(self, job: str) -> pb.Job:
        """Begin a failed or cancelled job anew."""
        request = pb.RedriveJobRequest(name=job_name(job))
        answer: pb.Job = await self._connection.call("RedriveJob", request)
        return answer

    async def dead_letters(
        self, limit: int = 100, *, all_owners: bool = False
    ) -> list[pb.DeadLetter]:
        """Parts that were given up after their last attempt, newest first."""
        request = pb.ListDeadLettersRequest(page_size=limit, all_owners=all_owners)
        answer = await self._connection.call("ListDeadLetters", request)
        return list(answer.dead_letters)

    async def delete(self, job: str) -> None:
        """Delete a finished job and its results."""
        await self._connection.call("DeleteJob", pb.DeleteJobRequest(name=job_name(job)))

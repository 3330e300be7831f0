"""What the client library asks about jobs: progress, results, keeping, sharing, an end."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from google.protobuf import timestamp_pb2

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client_arguments import state_of
from kiosk.connection import ATTEMPTS, Connection, Progress, ProgressCallback, pause_s
from kiosk.ctc_folder import is_ctc_zip, unpack
from kiosk.errors import JobFailed
from kiosk.job_files import check_free
from kiosk.jobs import result_stem
from kiosk.segmentation import Segmentation
from kiosk.tracking import Tracking

DAY_S = 24 * 3600.0
FINAL = {pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED}


class JobCalls:
    """Calls about jobs. A job is named "jobs/ID", or by its bare id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def watch(self, job: str) -> AsyncIterator[pb.Job]:
        """The job now and after each change, until it is final. Bridges short outages."""
        after, failures = "", 0
        while True:
            try:
                request = pb.WatchJobRequest(name=job_name(job), after_event_id=after)
                async for event in self._connection.stub.WatchJob(request):
                    after, failures = event.id, 0
                    yield event.job
                    if event.job.state in FINAL:
                        return
                failures += 1  # the stream ended early, without an error
            except grpc.aio.AioRpcError as error:
                failures += 1
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= ATTEMPTS:
                    raise self._connection.error(error) from None
            await asyncio.sleep(pause_s(failures))

    async def wait(self, job: str, *, progress: ProgressCallback | None = None) -> pb.Job:
        """Wait until a job has succeeded. Raises JobFailed when it ends otherwise."""
        last = pb.Job()
        async for last in self.watch(job):
            if progress:
                progress(Progress(last.stage, last.parts_done, last.parts_total))
        if last.state == pb.JOB_STATE_FAILED:
            raise JobFailed(last.error.message, job_id=_id(job), reason=last.error.reason)
        if last.state == pb.JOB_STATE_CANCELLED:
            raise JobFailed("The job was cancelled.", job_id=_id(job), reason="CANCELLED")
        return last

    async def results(self, job: str) -> list[pb.Result]:
        """The result files of a succeeded job."""
        answer = await self._connection.call(
            "ListResults", pb.ListResultsRequest(job=job_name(job))
        )
        return list(answer.results)

    async def fetch(self, job: str) -> Segmentation:
        """All results of a segmentation, in memory."""
        return Segmentation(_id(job), await self._files(job))

    async def fetch_tracking(self, job: str) -> Tracking:
        """All results of a tracking, in memory."""
        return Tracking(_id(job), await self._files(job))

    async def _files(self, job: str) -> dict[str, bytes]:
        files = {}
        for result in await self.results(job):
            with io.BytesIO() as file:
                await self._connection.receive(result, file)
                files[result.file_name] = file.getvalue()
        return files

    async def download(
        self, job: str, directory: str | Path, *, stem: str = "", overwrite: bool = False
    ) -> list[Path]:
        """Write the results of a job to a directory; `stem` replaces the uploaded file's.

        NAME_RES.zip becomes the folder NAME_RES.

        Raises AlreadyExists when one of the files is there and `overwrite` is not set.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
        results = await self.results(job)
        own = result_stem((await self.job(job)).file_name) if stem else ""
        paths = [folder / f"{stem}{item.file_name.removeprefix(own)}" for item in results]
        if not overwrite:
            check_free(paths)
        for result, path in zip(results, paths, strict=True):
            partial = path.with_name(f".{path.name}.part")
            with partial.open("wb") as file:
                await self._connection.receive(result, file)
            partial.replace(path)
        return [unpack(path) if is_ctc_zip(path) else path for path in paths]

    async def job(self, job: str) -> pb.Job:
        """A job as it stands."""
        answer: pb.Job = await self._connection.call("GetJob", pb.GetJobRequest(name=job_name(job)))
        return answer

    async def jobs(
        self, limit: int = 50, *, all_owners: bool = False, search: str = "", state: str = ""
    ) -> list[pb.Job]:
        """The newest jobs.

        Args:
            all_owners: those of everybody, for administrators.
            search: only those with all of these words in file name, model, state or owner.
            state: only those that are "queued", "running", "succeeded", "failed" or "cancelled".
        """
        found: list[pb.Job] = []
        token = ""
        while len(found) < limit:
            request = pb.ListJobsRequest(
                page_size=min(500, limit - len(found)),
                page_token=token,
                all_owners=all_owners,
                search=search,
                state=state_of(state),
            )
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

    async def keep(self, job: str, *, days: float) -> pb.Job:
        """Keep a job, its results and its image for so many days from now."""
        request = pb.ExtendJobRequest(name=job_name(job), expire_time=_in_days(days))
        answer: pb.Job = await self._connection.call("ExtendJob", request)
        return answer

    async def share(self, job: str, *, days: float = 7.0) -> pb.Share:
        """A link that shows a job and its results to whoever has it (`url`), for so many days."""
        request = pb.CreateShareRequest(job=job_name(job), expire_time=_in_days(days))
        answer: pb.Share = await self._connection.call("CreateShare", request)
        return answer

    async def shares(self, job: str) -> list[pb.Share]:
        """The links to a job that have not ended, without their tokens."""
        answer = await self._connection.call("ListShares", pb.ListSharesRequest(job=job_name(job)))
        return list(answer.shares)

    async def withdraw(self, share: str) -> None:
        """Withdraw a link, by its name ("jobs/ID/shares/ID"): it shows nothing any more."""
        await self._connection.call("DeleteShare", pb.DeleteShareRequest(name=share))

    async def delete(self, job: str) -> None:
        """Delete a finished job and its results."""
        await self._connection.call("DeleteJob", pb.DeleteJobRequest(name=job_name(job)))


def _in_days(days: float) -> timestamp_pb2.Timestamp:
    return timestamp_pb2.Timestamp(seconds=round(time.time() + days * DAY_S))


def job_name(job: str) -> str:
    """`jobs/{id}` of a name or an id."""
    return job if job.startswith("jobs/") else f"jobs/{job}"


def _id(job: str) -> str:
    return job.removeprefix("jobs/")

"""Figures of finished jobs for tables and plots: instances, statistics, tracks, agreement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kiosk.access import finished_job_of
from kiosk.callers import Caller
from kiosk.figures.comparing import Comparing
from kiosk.figures.comparison import Comparison
from kiosk.figures.instance_table import InstanceTable, read_instances
from kiosk.figures.kept_answers import KeptAnswers
from kiosk.figures.statistics import Statistics, read_statistics
from kiosk.figures.track_table import Family, Ways, read_lineage, read_tracks
from kiosk.jobs import Job
from kiosk.pipelines.context import Origin
from kiosk.ports import ImageFiles, JobQueue, ObjectStore
from kiosk.reading import ReadOptions
from kiosk.uploads import Uploads

# Tables read at a time, of all callers: one may take 200 MB of memory.
AT_A_TIME = 2
# Statistics of so many jobs are kept, at most 2.4 MB each; they take seconds of a long movie.
MOST_KEPT = 16

T = TypeVar("T")


class Figures:
    """What tables and plots show of a finished job.

    Every call names its caller. All raise PermissionDenied and NotFound for jobs of others,
    WrongState for a job without results, and NotFound where the job lacks what it takes.
    """

    def __init__(
        self, *, queue: JobQueue, store: ObjectStore, images: ImageFiles, uploads: Uploads
    ) -> None:
        self._queue, self._store, self._uploads = queue, store, uploads
        self._comparing = Comparing(store, images)
        self._readers = ThreadPoolExecutor(AT_A_TIME, "figures")
        self._statistics: KeptAnswers[Statistics] = KeptAnswers(MOST_KEPT)

    async def instances(
        self,
        job_id: str,
        t: int = 0,
        z: int | None = None,
        label: int | None = None,
        *,
        caller: Caller,
    ) -> InstanceTable:
        """The rows of a plane, see `read_instances`. Reason NO_TABLE."""
        return await self._of(
            job_id, caller, lambda job: read_instances(self._store, job, t, z, label)
        )

    async def statistics(self, job_id: str, *, caller: Caller) -> Statistics:
        """Counts per plane and distributions. Reason NO_TABLE."""
        job = await finished_job_of(self._queue, job_id, caller=caller)
        found = self._statistics.get(job.id)
        if found is None:
            found = await self._in_thread(lambda: read_statistics(self._store, job))
            self._statistics.put(job.id, found)
        return found

    async def lineage(self, job_id: str, *, caller: Caller) -> Family:
        """The tracks and who is whose daughter. Reason NO_TRACKS."""
        return await self._of(job_id, caller, lambda job: read_lineage(self._store, job))

    async def tracks(
        self, job_id: str, first_t: int = 0, last_t: int | None = None, *, caller: Caller
    ) -> Ways:
        """The ways of the cells in some frames. Reason NO_TRACKS; TooLarge for too many cells."""
        return await self._of(
            job_id, caller, lambda job: read_tracks(self._store, job, first_t, last_t)
        )

    async def comparison(
        self,
        job_id: str,
        *,
        with_job: str = "",
        with_upload: str = "",
        reading: ReadOptions = ReadOptions(),
        caller: Caller,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Comparison:
        """The labels of a job against other ones, which count as the truth; see `Comparing`.

        Args:
            with_job, with_upload: id of the one or the other; the caller must see both.
            reading: how to read the upload.
        """
        job = await finished_job_of(self._queue, job_id, caller=caller)
        if with_job:
            other = await finished_job_of(self._queue, with_job, caller=caller)
            return await self._comparing.compare(job, other, is_wanted)
        upload = await self._uploads.get_complete(with_upload, caller=caller)
        origin = Origin(file_name=upload.file_name, upload_id=upload.id, reading=reading)
        return await self._comparing.compare(job, origin, is_wanted)

    async def _of(self, job_id: str, caller: Caller, read: Callable[[Job], T]) -> T:
        job = await finished_job_of(self._queue, job_id, caller=caller)
        return await self._in_thread(lambda: read(job))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

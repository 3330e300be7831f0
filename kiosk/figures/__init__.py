"""Figures of finished jobs for tables and plots: instances, statistics, tracks, agreement."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from typing import TypeVar

from kiosk.access import finished_job_of
from kiosk.callers import Caller
from kiosk.errors import TooLarge
from kiosk.figures.comparison import Comparison, compare
from kiosk.figures.instance_table import InstanceTable, read_instances
from kiosk.figures.kept_answers import KeptAnswers
from kiosk.figures.label_stacks import LabelStack, UploadedLabels, job_labels
from kiosk.figures.statistics import Statistics, read_statistics
from kiosk.figures.track_table import Family, Ways, read_lineage, read_tracks
from kiosk.jobs import Job
from kiosk.pipelines.context import OpenImages
from kiosk.ports import ImageFiles, JobQueue, ObjectStore
from kiosk.uploads import Uploads

# Tables read at a time, of all callers: one may take 200 MB of memory.
AT_A_TIME = 2
# Statistics of so many jobs are kept, at most 2.4 MB each; they take seconds of a long movie.
MOST_KEPT = 16
# Several comparisons take turns, plane by plane.
COMPARED_AT_A_TIME = 1
# What takes longer is no label image, or there is too much to do; nobody waits for so long.
COMPARISON_S = 120.0

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
        self._images = OpenImages(store, images, keep=1)
        self._comparers = ThreadPoolExecutor(COMPARED_AT_A_TIME, "compare")
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
        caller: Caller,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Comparison:
        """The labels of a job against other ones, which count as the truth; see `compare`.

        Args:
            with_job, with_upload: id of the one or the other.

        Raises:
            NotFound: one of the jobs has no label image (NO_LABELS), or one of the ids leads
                nowhere.
            InvalidRequest: they do not fit, or the upload is no label image.
            TooLarge: it would take too long.
        """
        job = await finished_job_of(self._queue, job_id, caller=caller)
        try:
            async with asyncio.timeout(COMPARISON_S), AsyncExitStack() as stack:
                predicted = await self._job_labels(stack, job, "this job")
                truth: LabelStack
                if with_job:
                    other = await finished_job_of(self._queue, with_job, caller=caller)
                    truth = await self._job_labels(stack, other, "the other job")
                else:
                    upload = await self._uploads.get_complete(with_upload, caller=caller)
                    opened = self._images.use(upload.id, upload.file_name)
                    truth = UploadedLabels(await stack.enter_async_context(opened))
                return await compare(predicted, truth, self._in_comparer, is_wanted)
        except TimeoutError:
            raise TooLarge(
                "Comparing these takes too long. Download both label images and use 'kiosk"
                " evaluate'.",
                reason="TOO_SLOW",
            ) from None

    async def _job_labels(self, stack: AsyncExitStack, job: Job, name: str) -> LabelStack:
        files = stack.enter_context(ExitStack())
        return await self._in_comparer(
            lambda: files.enter_context(job_labels(self._store, job, name))
        )

    async def _in_comparer(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._comparers, work)

    async def _of(self, job_id: str, caller: Caller, read: Callable[[Job], T]) -> T:
        job = await finished_job_of(self._queue, job_id, caller=caller)
        return await self._in_thread(lambda: read(job))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

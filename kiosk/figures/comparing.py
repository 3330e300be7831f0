"""Opens what is compared and has it read plane by plane, for whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kiosk.errors import KioskError, NotFound, TooLarge
from kiosk.figures.comparison import Comparison, PlanePair, PlaneScores, fitting
from kiosk.figures.job_tables import run_record
from kiosk.figures.label_stacks import (
    LabelStack,
    job_labels,
    no_label_image,
    origin_of_labels,
    uploaded_labels,
)
from kiosk.imaging.scores import Scores, score_plane
from kiosk.jobs import Job
from kiosk.pipelines.context import OpenImages, Origin
from kiosk.ports import ImageFiles, ObjectStore, Window

# Several comparisons take turns, plane by plane.
AT_A_TIME = 1
# The two that are compared are kept open from one plane to the next.
KEPT_OPEN = 2
# What takes longer is no label image, or there is too much to do; nobody waits for so long.
PATIENCE_S = 120.0

T = TypeVar("T")


class Comparing:
    """Compares label images of jobs and uploads that the caller may see."""

    def __init__(self, store: ObjectStore, images: ImageFiles) -> None:
        self._store = store
        self._images = OpenImages(store, images, keep=KEPT_OPEN)
        self._workers = ThreadPoolExecutor(AT_A_TIME, "compare")

    async def compare(
        self, job: Job, other: Job | Origin, is_wanted: Callable[[], bool]
    ) -> Comparison:
        """The labels of a job against other ones, which count as the truth.

        Args:
            other: a job, or an upload that is read as labels.
            is_wanted: asked before each plane; once it says no, a KioskError ends it all.

        Raises:
            NotFound: a job has no label image (NO_LABELS).
            InvalidRequest: they do not fit, or the upload is no label image.
            TooLarge: it would take too long.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                predicted = await self._job("this job", job)
                if isinstance(other, Job):
                    truth = await self._job("the other job", other)
                else:
                    truth = await self._upload(other)
                return await self._compared(predicted, truth, is_wanted)
        except TimeoutError:
            raise TooLarge(
                "Comparing these takes too long. Download both label images and use 'kiosk"
                " evaluate'.",
                reason="TOO_SLOW",
            ) from None

    async def _job(self, name: str, job: Job) -> LabelStack:
        origin = origin_of_labels(job)
        try:
            async with self._images.use_origin(origin) as source:
                record = await self._in_thread(lambda: run_record(self._store, job))
                return job_labels(name, origin, source, record)
        except NotFound as error:
            raise no_label_image(name) from error

    async def _upload(self, origin: Origin) -> LabelStack:
        async with self._images.use_origin(origin) as source:
            return uploaded_labels(origin, source)

    async def _compared(
        self, predicted: LabelStack, truth: LabelStack, is_wanted: Callable[[], bool]
    ) -> Comparison:
        pairs, window = fitting(predicted, truth)
        planes = []
        for pair in pairs:
            if not is_wanted():
                raise KioskError("Nobody waits for this comparison any more.", reason="CANCELLED")
            scores = await self._scores(predicted, truth, pair, window)
            planes.append(PlaneScores(*pair.place, scores))
        return Comparison(planes, sum((plane.scores for plane in planes), Scores()))

    async def _scores(
        self, predicted: LabelStack, truth: LabelStack, pair: PlanePair, window: Window
    ) -> Scores:
        # One image at a time is held, so that two comparisons never wait for each other.
        async with self._images.use_origin(predicted.origin) as source:
            found = await self._in_thread(lambda: predicted.read(source, pair.predicted, window))
        async with self._images.use_origin(truth.origin) as source:
            true = await self._in_thread(lambda: truth.read(source, pair.truth, window))
        return await self._in_thread(lambda: score_plane(true, found))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

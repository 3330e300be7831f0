"""What the kiosk does for its callers. The gRPC API and the web page are thin shells over it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kiosk import tracing
from kiosk.access import finished_job_of, found_jobs, job_of
from kiosk.admission import OPEN_TIMEOUT_S, Admission, patience
from kiosk.callers import Caller, Scope
from kiosk.disk_room import ANY_ROOM, DiskRoom
from kiosk.errors import AlreadyExists, InvalidRequest, KioskError, NotFound, Overloaded
from kiosk.exports import kind_of
from kiosk.exports.tracks import kind_of_track_file
from kiosk.figures import Figures
from kiosk.inspection import inspect_file
from kiosk.job_ends import GIVEN_UP, count_end
from kiosk.job_groups import JobGroups
from kiosk.job_search import JobSearch
from kiosk.jobs import (
    DeadLetter,
    Job,
    JobEvent,
    JobState,
    Priority,
    ResultFile,
    Upload,
    job_prefix,
    new_id,
    parts_prefix,
    plain_name,
    results_prefix,
)
from kiosk.logs import note_job
from kiosk.models import SEGMENTATION, ModelCard
from kiosk.pipelines.context import OpenImages, open_upload
from kiosk.ports import Backlog, ImageFiles, InferenceClient, JobQueue, ObjectStore, RolloutBook
from kiosk.queue_gauges import QueueGauges
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.shares import Shares
from kiosk.telemetry import JOBS_ACCEPTED
from kiosk.tracking_request import TrackingRequest
from kiosk.uploads import LONGEST_FILE_NAME, Uploads

log = logging.getLogger(__name__)

# Thumbnails read pixels, which takes as long as the file has many; what is there by then is shown.
INSPECT_PATIENCE_S = 15.0
INSPECTIONS_AT_A_TIME = 2
# A message of gRPC may have 4 MiB, and the rest of the answer is in it too.
THUMBNAILS_BYTES = 2 * 1024 * 1024
PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 500
# They come by the thousand after an outage; other calls do not wait behind all of them.
NEW_WATCHERS_AT_A_TIME = 4
DEAD_LETTERS, MOST_DEAD_LETTERS = 100, 1000


class KioskService:
    """Models, uploads, jobs and results; every error is a `KioskError` with a plain sentence.

    Every call names its caller. Besides what is listed, each raises PermissionDenied for what the
    caller may not do, and NotFound for what belongs to others.
    """

    def __init__(
        self,
        *,
        queue: JobQueue,
        store: ObjectStore,
        images: ImageFiles,
        inference: InferenceClient,
        rollouts: RolloutBook,
        uploads: Uploads,
        shares: Shares,
        job_px: int,
        frame_px: int,
        longest_retention_s: float,
        room: DiskRoom = ANY_ROOM,
    ) -> None:
        self._room = room
        self._queue = queue
        self._store = store
        self._files = images
        self._admission = Admission(
            inference=inference,
            rollouts=rollouts,
            images=OpenImages(store, images),
            job_px=job_px,
            frame_px=frame_px,
        )
        # Threads of their own: thumbnails take seconds, and nobody else shall wait for them.
        self._inspectors = ThreadPoolExecutor(INSPECTIONS_AT_A_TIME, "inspect")
        self.uploads = uploads
        self.shares = shares
        self.groups = JobGroups(queue=queue, store=store)
        self._longest_retention_s = longest_retention_s
        self.gauges = QueueGauges(queue)
        self.figures = Figures(queue=queue, store=store, images=images, uploads=uploads)
        self._new_watchers = asyncio.Semaphore(NEW_WATCHERS_AT_A_TIME)

    # ------------------------------------------------------------------ models

    async def list_models(self, *, caller: Caller) -> list[ModelCard]:
        caller.require(Scope.READ)
        return await self._admission.cards()

    async def get_model(self, name: str, *, caller: Caller) -> ModelCard:
        caller.require(Scope.READ)
        return await self._admission.card(name)

    # ------------------------------------------------------------------ uploads

    async def inspect(
        self,
        upload_id: str,
        reading: ReadOptions = ReadOptions(),
        *,
        caller: Caller,
        thumbnail_px: int = 0,
        list_only: bool = False,
    ) -> list[InspectedImage]:
        """What the kiosk sees in an upload, see `inspection.inspect_file`.

        Raises:
            NotFound: no such upload.
            WrongState: the upload is not complete.
            InvalidRequest: the file cannot be read at all.
        """
        upload = await self.uploads.get_complete(upload_id, caller=caller)
        begun = False

        def inspect() -> list[InspectedImage]:
            nonlocal begun
            begun = True
            return inspect_file(
                self._files,
                lambda: open_upload(self._store, upload.id),
                upload.file_name,
                reading,
                thumbnail_px=thumbnail_px,
                list_only=list_only,
                most_thumbnail_bytes=THUMBNAILS_BYTES,
                patience_s=INSPECT_PATIENCE_S,
            )

        with patience(upload):
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    loop = asyncio.get_running_loop()
                    return await loop.run_in_executor(self._inspectors, inspect)
            except TimeoutError:
                if begun:
                    raise
        raise Overloaded("Too many files are looked at at present; try again in a minute.")

    # ------------------------------------------------------------------ jobs

    async def segment(
        self,
        *,
        upload_id: str,
        model: str,
        model_version: str = "",
        request: SegmentationRequest = SegmentationRequest(),
        request_id: str = "",
        priority: Priority | None = None,
        caller: Caller,
    ) -> Job:
        """Accept a segmentation job.

        Raises:
            NotFound: no such upload, model or version.
            WrongState: the upload is not complete.
            InvalidRequest: the image cannot go through this model as asked.
        """
        caller.require(Scope.WRITE)
        job_id = new_id()
        card, version = await self._admission.model(
            model, model_version, SEGMENTATION, request_id or job_id
        )
        upload = await self.uploads.get_complete(upload_id, caller=caller)
        if request.within:
            await self._check_mask(request.within, upload, caller)
        work_px = await self._admission.check_image(upload, card, request)
        return await self._accept(
            upload,
            request.reading,
            others=() if model_version else card.versions,
            id=job_id,
            pipeline=card.pipeline,
            model=card.name,
            model_version=version,
            parameters=request.as_parameters(),
            request_id=request_id,
            # Somebody looks at the place where it will appear.
            priority=Priority.INTERACTIVE if request.preview else priority,
            owner=caller.owner,
            work_px=work_px,
        )

    async def _accept(
        self, upload: Upload, reading: ReadOptions, *, others: Sequence[str] = (), **fields: Any
    ) -> Job:
        """Submit a job. `others`: versions that it may have got when it was submitted before."""
        self._room.check()
        job = Job(
            upload_id=upload.id,
            # The name of a member of a zip says more than that of the zip.
            file_name=plain_name(reading.member or upload.file_name)[-LONGEST_FILE_NAME:],
            trace=tracing.traceparent(),
            **fields,
        )
        note_job(job.id)
        accepted = await self._submit(job, others)
        JOBS_ACCEPTED.labels(job.pipeline).inc()
        return accepted

    async def _submit(self, job: Job, others: Sequence[str]) -> Job:
        try:
            return await self._queue.submit(job)
        except AlreadyExists:
            # The same request, sent again after another version was promoted, is no other one.
            for version in others:
                with suppress(AlreadyExists):
                    return await self._queue.submit(job.evolve(model_version=version))
            raise

    async def _check_mask(self, within: str, upload: Upload, caller: Caller) -> None:
        if within == upload.id:
            raise InvalidRequest(
                "The mask is the image itself. Upload the mask as a file of its own.",
                reason="BAD_MASK",
                field="within",
            )
        await self.uploads.get_complete(within, caller=caller)

    async def track(
        self,
        *,
        upload_id: str,
        model: str = "",
        model_version: str = "",
        request: TrackingRequest = TrackingRequest(),
        request_id: str = "",
        priority: Priority | None = None,
        caller: Caller,
    ) -> Job:
        """Accept a tracking job; as `segment`, for all frames of a movie and their links.

        Args:
            model: finds the instances; not needed where the request has labels.

        Raises:
            NotFound: no such upload, model or version.
            WrongState: an upload is not complete.
            InvalidRequest: the movie cannot be tracked as asked.
        """
        caller.require(Scope.WRITE)
        job_id = new_id()
        key = request_id or job_id
        card, version = None, ""
        if not request.labels:
            card, version = await self._admission.model(model, model_version, SEGMENTATION, key)
        upload = await self.uploads.get_complete(upload_id, caller=caller)
        labels, tracks = [
            await self.uploads.get_complete(name, caller=caller) if name else None
            for name in (request.labels, request.tracks)
        ]
        work_px = await self._admission.check_movie(upload, labels, card, request)
        request = replace(
            request,
            linking_version=await self._admission.linking_version(request, key),
            labels_name=plain_name(labels.file_name) if labels else request.labels_name,
            tracks_name=plain_name(tracks.file_name) if tracks else request.tracks_name,
        )
        return await self._accept(
            upload,
            request.segmentation.reading,
            others=card.versions if card and not model_version else (),
            id=job_id,
            pipeline="tracking",
            model=card.name if card else "",
            model_version=version,
            parameters=request.as_parameters(),
            request_id=request_id,
            priority=priority,
            owner=caller.owner,
            work_px=work_px,
        )

    async def get_job(self, job_id: str, *, caller: Caller) -> Job:
        return await job_of(self._queue, job_id, caller=caller)

    async def list_jobs(
        self,
        page_size: int = 0,
        page_token: str = "",
        *,
        caller: Caller,
        all_owners: bool = False,
        search: JobSearch = JobSearch(),
    ) -> tuple[list[Job], str]:
        """The caller's jobs, newest first, and the token of the next page.

        Args:
            all_owners: those of everybody; for administrators.
            search: only those that fit; where few do, a page may have fewer than there are.
        """
        owner = _owner_to_list(caller, all_owners)
        if page_size < 0:
            raise InvalidRequest("The page size must not be negative.", field="page_size")
        if page_token and not _is_number(page_token.partition("-")[0]):
            raise InvalidRequest(
                "This page token is not one of ours. Use next_page_token as it was given.",
                field="page_token",
            )
        size = min(page_size or PAGE_SIZE, LARGEST_PAGE_SIZE)
        return await found_jobs(self._queue, search, size, page_token, owner)

    async def watch_job(
        self, job_id: str, after: str = "", *, caller: Caller
    ) -> AsyncIterator[JobEvent]:
        """The events of a job; what is wrong with the request is raised at once."""
        if after and not _is_number(after):
            raise InvalidRequest("This event id is not one of ours.", field="after_event_id")
        async with self._new_watchers:
            await job_of(self._queue, job_id, caller=caller)
        return self._queue.watch(job_id, after)

    async def jobs_ahead(self, job_id: str, *, caller: Caller) -> int | None:
        """About how many jobs go before a queued one, see `JobQueue.jobs_ahead`."""
        job = await job_of(self._queue, job_id, caller=caller)
        return await self._queue.jobs_ahead(job_id) if job.state is JobState.QUEUED else None

    async def cancel_job(self, job_id: str, *, caller: Caller) -> Job:
        before = await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE)
        job = await self._cancelled(before)
        if job.state is JobState.CANCELLED:
            await self._store.delete_prefix(parts_prefix(job_id))
        return job

    async def _cancelled(self, before: Job) -> Job:
        job = await self._queue.cancel(before.id)
        if job.state is JobState.CANCELLED and not before.state.is_final:
            count_end(job)
        return job

    async def extend_job(self, job_id: str, expire_time_s: float, *, caller: Caller) -> Job:
        """Keep a job, its results and its image until then.

        Raises InvalidRequest for a time that has passed, or later than jobs are kept.
        """
        job = await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE)
        if not 0 < expire_time_s - time.time() <= self._longest_retention_s:
            raise InvalidRequest(
                "A job is kept until a time to come, and for"
                f" {self._longest_retention_s / 86400:g} days at the longest.",
                field="expire_time",
            )
        with suppress(NotFound):  # the results are there without their image
            await self.uploads.extend(job.upload_id, expire_time_s, caller=caller)
        return await self._queue.extend(job_id, expire_time_s)

    async def delete_job(self, job_id: str, *, caller: Caller) -> None:
        await self._forget(await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE))

    async def _forget(self, job: Job) -> None:
        if job.state.is_final:
            # Results first: if the store fails, the job is still there to be deleted again.
            await self._store.delete_prefix(job_prefix(job.id))
        await self._queue.delete(job.id)

    async def redrive_job(self, job_id: str, *, caller: Caller) -> Job:
        """Begin a failed or cancelled job anew.

        Raises WrongState for any other, and NotFound when its upload is gone.
        """
        job = await job_of(self._queue, job_id, caller=caller, scope=Scope.WRITE)
        await self.uploads.get(job.upload_id, caller=caller)
        return await self._queue.redrive(job_id)

    async def list_dead_letters(
        self, page_size: int = 0, *, caller: Caller, all_owners: bool = False
    ) -> list[DeadLetter]:
        """Parts that were given up, newest first; each goes with its job."""
        owner = _owner_to_list(caller, all_owners)
        most = min(max(page_size, 0) or DEAD_LETTERS, MOST_DEAD_LETTERS)
        return await self._queue.dead_letters(most, owner=owner)

    # ------------------------------------------------------------------ results

    async def list_results(self, job_id: str, *, caller: Caller) -> list[ResultFile]:
        job = await finished_job_of(self._queue, job_id, caller=caller)
        prefix = results_prefix(job_id)
        return [
            _result_file(job, key.removeprefix(prefix), size)
            for key, size in await self._store.list(prefix)
        ]

    async def get_result(self, job_id: str, file_name: str, *, caller: Caller) -> ResultFile:
        for result in await self.list_results(job_id, caller=caller):
            if result.file_name == file_name:
                return result
        raise NotFound(f"The job '{job_id}' has no result named '{file_name}'.")

    async def read_result(
        self, result: ResultFile, offset_bytes: int = 0, *, caller: Caller
    ) -> AsyncIterator[bytes]:
        """The bytes of a result from an offset on. Raises InvalidRequest beyond its end."""
        await job_of(self._queue, result.job_id, caller=caller)
        if not 0 <= offset_bytes <= result.size_bytes:
            raise InvalidRequest(
                f"The offset {offset_bytes} is outside of the file, which has"
                f" {result.size_bytes} bytes.",
                reason="OFFSET_OUT_OF_RANGE",
                field="offset_bytes",
            )
        key = results_prefix(result.job_id) + result.file_name
        return self._store.read(key, offset_bytes)

    # ------------------------------------------------------------------ upkeep

    async def backlog(self, *, caller: Caller) -> Backlog:
        """How much work there is."""
        caller.require(Scope.READ, Scope.METRICS)
        return await self._queue.backlog()

    async def metrics(self, *, caller: Caller) -> bytes:
        """The metrics of this server and of the queue, as Prometheus reads them."""
        caller.require(Scope.READ, Scope.METRICS)
        return await self.gauges.exposition()

    async def sweep(self) -> None:
        """Delete what has expired: jobs with their results, and uploads."""
        going_on = True
        while going_on and (expired := await self._queue.expired()):  # some at a time
            going_on = False
            for job_id in expired:
                try:
                    await self._forget(await self._cancelled(await self._queue.get(job_id)))
                    going_on = True
                except KioskError as error:
                    log.warning("job %s could not be swept: %s", job_id, error)
        while litter := await self._queue.litter():
            # What a consumer that was lost, or a job that was cancelled, has left.
            for job_id in litter:
                await self._store.delete_prefix(parts_prefix(job_id))
                await self._queue.cleaned(job_id)
                await self._count_given_up(job_id)
        await self.uploads.sweep()

    async def _count_given_up(self, job_id: str) -> None:
        """Nobody else has seen the end of a job whose consumers died; see `job_ends`."""
        with suppress(NotFound):
            job = await self._queue.get(job_id)
            if job.error_reason == GIVEN_UP:
                count_end(job)


def _owner_to_list(caller: Caller, all_owners: bool) -> str | None:
    """Whose jobs a list has; None = everybody's. Raises PermissionDenied."""
    caller.require(Scope.READ)
    if all_owners:
        caller.require(Scope.ADMIN)
    # Without an owner there is nobody to tell apart: a kiosk without authentication.
    return None if all_owners or not caller.owner else caller.owner


def _is_number(text: str) -> bool:
    """Digits as the queue writes them, and few enough for its 64 bits."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _result_file(job: Job, file_name: str, size_bytes: int) -> ResultFile:
    kind = kind_of_track_file if job.pipeline == "tracking" else kind_of
    media_type, description, opens_with = kind(file_name)
    return ResultFile(
        job_id=job.id,
        file_name=file_name,
        size_bytes=size_bytes,
        media_type=media_type,
        description=description,
        opens_with=opens_with,
    )

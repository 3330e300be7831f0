"""What the kiosk does for its callers. The gRPC API and the web page are thin shells over it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any

from kiosk.errors import (
    InvalidRequest,
    KioskError,
    NotFound,
    Overloaded,
    WrongState,
)
from kiosk.exports import kind_of
from kiosk.exports.tracks import kind_of_track_file
from kiosk.inspection import inspect_file
from kiosk.jobs import (
    Job,
    JobEvent,
    JobState,
    ResultFile,
    Upload,
    new_id,
    parts_prefix,
    plain_name,
    results_prefix,
)
from kiosk.models import LINKING, SEGMENTATION, ModelCard
from kiosk.pipelines import PIPELINES, tracking
from kiosk.pipelines.context import OpenImages, open_upload
from kiosk.pipelines.linking_model import LINKING_MODEL
from kiosk.ports import Backlog, ImageFiles, InferenceClient, JobQueue, ObjectStore
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.telemetry import BACKLOG_JOBS, BACKLOG_PARTS, JOBS
from kiosk.tracking_request import GEOMETRIC, NETWORK, TrackingRequest
from kiosk.uploads import LONGEST_FILE_NAME, Uploads

log = logging.getLogger(__name__)

# Reading headers takes milliseconds; some files are made so that it takes minutes.
OPEN_TIMEOUT_S = 60.0
# Thumbnails read pixels, which takes as long as the file has many; what is there by then is shown.
INSPECT_PATIENCE_S = 15.0
INSPECTIONS_AT_A_TIME = 2
# A message of gRPC may have 4 MiB, and the rest of the answer is in it too.
THUMBNAILS_BYTES = 2 * 1024 * 1024
PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 500


class KioskService:
    """Models, uploads, jobs and results; every error is a `KioskError` with a plain sentence."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        store: ObjectStore,
        images: ImageFiles,
        inference: InferenceClient,
        uploads: Uploads,
        job_px: int,
        frame_px: int,
    ) -> None:
        self._queue = queue
        self._store = store
        self._inference = inference
        self._files = images
        self._images = OpenImages(store, images)
        self._job_px, self._frame_px = job_px, frame_px
        # Threads of their own: thumbnails take seconds, and nobody else shall wait for them.
        self._inspectors = ThreadPoolExecutor(INSPECTIONS_AT_A_TIME, "inspect")
        self.uploads = uploads

    # ------------------------------------------------------------------ models

    async def list_models(self) -> list[ModelCard]:
        return sorted(await self._inference.models(), key=lambda card: card.name)

    async def get_model(self, name: str) -> ModelCard:
        cards = await self.list_models()
        for card in cards:
            if card.name == name:
                return card
        # Nobody asks for the network that links.
        known = ", ".join(c.name for c in cards if c.pipeline != LINKING) or "none at present"
        raise NotFound(
            f"There is no model '{name}'. The models are: {known}.",
            reason="MODEL_NOT_FOUND",
            field="model",
        )

    # ------------------------------------------------------------------ uploads

    async def inspect(
        self,
        upload_id: str,
        reading: ReadOptions = ReadOptions(),
        *,
        thumbnail_px: int = 0,
        list_only: bool = False,
    ) -> list[InspectedImage]:
        """What the kiosk sees in an upload, see `inspection.inspect_file`.

        Raises:
            NotFound: no such upload.
            WrongState: the upload is not complete.
            InvalidRequest: the file cannot be read at all.
        """
        upload = await self._complete_upload(upload_id)
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

        with _patience(upload):
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
        owner: str = "",
    ) -> Job:
        """Accept a segmentation job.

        The image is opened here already (headers only), so that a file that cannot be read or a
        channel that is not there is answered at once and not by a failed job.

        Raises:
            NotFound: no such upload, model or version.
            WrongState: the upload is not complete.
            InvalidRequest: the image cannot go through this model as asked.
        """
        card, version = await self._card(model, model_version, SEGMENTATION)
        upload = await self._complete_upload(upload_id)
        if request.within:
            await self._check_mask(request.within, upload)
        await self._check_image(upload, card, request)
        return await self._accept(
            upload,
            request.reading,
            pipeline=card.pipeline,
            model=card.name,
            model_version=version,
            parameters=request.as_parameters(),
            request_id=request_id,
            owner=owner,
        )

    async def _accept(self, upload: Upload, reading: ReadOptions, **fields: Any) -> Job:
        job = Job(
            id=new_id(),
            upload_id=upload.id,
            # The name of a member of a zip says more than that of the zip.
            file_name=plain_name(reading.member or upload.file_name)[-LONGEST_FILE_NAME:],
            **fields,
        )
        accepted = await self._queue.submit(job)
        JOBS.labels(job.pipeline).inc()
        return accepted

    async def _complete_upload(self, upload_id: str) -> Upload:
        upload = await self.uploads.get(upload_id)
        if not upload.complete:
            raise WrongState(
                f"The upload is not complete: {upload.offset_bytes} bytes have arrived. Send the"
                " rest first.",
                reason="UPLOAD_INCOMPLETE",
            )
        return upload

    async def _check_mask(self, within: str, upload: Upload) -> None:
        if within == upload.id:
            raise InvalidRequest(
                "The mask is the image itself. Upload the mask as a file of its own.",
                reason="BAD_MASK",
                field="within",
            )
        await self._complete_upload(within)

    async def _check_image(
        self, upload: Upload, card: ModelCard, request: SegmentationRequest
    ) -> None:
        with _patience(upload):
            async with (
                asyncio.timeout(OPEN_TIMEOUT_S),
                self._images.use(upload.id, upload.file_name, request.reading) as source,
            ):
                PIPELINES[card.pipeline].check(source, card, request, self._job_px)

    async def track(
        self,
        *,
        upload_id: str,
        model: str = "",
        model_version: str = "",
        request: TrackingRequest = TrackingRequest(),
        request_id: str = "",
        owner: str = "",
    ) -> Job:
        """Accept a tracking job; as `segment`, for all frames of a movie and their links.

        Args:
            model: finds the instances; not needed where the request has labels.

        Raises:
            NotFound: no such upload, model or version.
            WrongState: an upload is not complete.
            InvalidRequest: the movie cannot be tracked as asked.
        """
        card, version = None, ""
        if not request.labels:
            card, version = await self._card(model, model_version, SEGMENTATION)
        upload = await self._complete_upload(upload_id)
        labels = await self._complete_upload(request.labels) if request.labels else None
        tracks = await self._complete_upload(request.tracks) if request.tracks else None
        await self._check_movie(upload, labels, card, request)
        request = replace(
            request,
            linking_version=await self._linking_version(request),
            labels_name=plain_name(labels.file_name) if labels else request.labels_name,
            tracks_name=plain_name(tracks.file_name) if tracks else request.tracks_name,
        )
        return await self._accept(
            upload,
            request.segmentation.reading,
            pipeline="tracking",
            model=card.name if card else "",
            model_version=version,
            parameters=request.as_parameters(),
            request_id=request_id,
            owner=owner,
        )

    async def _check_movie(
        self,
        upload: Upload,
        labels: Upload | None,
        card: ModelCard | None,
        request: TrackingRequest,
    ) -> None:
        reading = request.segmentation.reading
        with _patience(upload):
            async with asyncio.timeout(OPEN_TIMEOUT_S), AsyncExitStack() as opened:
                # In the order of their ids: two requests of which each has the other's movie as
                # its labels would wait for each other for ever.
                wanted = {upload.id: (upload.id, upload.file_name, reading)}
                if labels is not None:
                    wanted.setdefault(labels.id, (labels.id, labels.file_name, ReadOptions()))
                sources = {
                    name: await opened.enter_async_context(self._images.use(*wanted[name]))
                    for name in sorted(wanted)
                }
                given = sources[labels.id] if labels is not None else None
                limits = {"job_px": self._job_px, "frame_px": self._frame_px}
                tracking.check(sources[upload.id], card, request, labels=given, **limits)

    async def _linking_version(self, request: TrackingRequest) -> str:
        """The version of the network that will link; "" where none does."""
        if not request.is_linked or request.linker == GEOMETRIC:
            return ""
        for card in await self._inference.models():
            if card.name == LINKING_MODEL and card.pipeline == LINKING:
                return card.latest
        if request.linker == NETWORK:
            raise NotFound(
                f"This kiosk hosts no linking network (a model named '{LINKING_MODEL}'); choose the"
                f" linker '{GEOMETRIC}'.",
                reason="MODEL_NOT_FOUND",
                field="linker",
            )
        return ""

    async def get_job(self, job_id: str) -> Job:
        return await self._queue.get(job_id)

    async def list_jobs(self, page_size: int = 0, page_token: str = "") -> tuple[list[Job], str]:
        if page_size < 0:
            raise InvalidRequest("The page size must not be negative.", field="page_size")
        if page_token and not _is_number(page_token.partition("-")[0]):
            raise InvalidRequest(
                "This page token is not one of ours. Use next_page_token as it was given.",
                field="page_token",
            )
        return await self._queue.list_jobs(
            min(page_size or PAGE_SIZE, LARGEST_PAGE_SIZE), page_token
        )

    def watch_job(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        if after and not _is_number(after):
            raise InvalidRequest("This event id is not one of ours.", field="after_event_id")
        return self._queue.watch(job_id, after)

    async def cancel_job(self, job_id: str) -> Job:
        job = await self._queue.cancel(job_id)
        if job.state is JobState.CANCELLED:
            await self._store.delete_prefix(parts_prefix(job_id))
        return job

    async def delete_job(self, job_id: str) -> None:
        if (await self._queue.get(job_id)).state.is_final:
            # Results first: if the store fails, the job is still there to be deleted again.
            await self._store.delete_prefix(f"jobs/{job_id}/")
        await self._queue.delete(job_id)

    # ------------------------------------------------------------------ results

    async def list_results(self, job_id: str) -> list[ResultFile]:
        job = await self._succeeded(job_id)
        prefix = results_prefix(job_id)
        return [
            _result_file(job, key.removeprefix(prefix), size)
            for key, size in await self._store.list(prefix)
        ]

    async def get_result(self, job_id: str, file_name: str) -> ResultFile:
        for result in await self.list_results(job_id):
            if result.file_name == file_name:
                return result
        raise NotFound(f"The job '{job_id}' has no result named '{file_name}'.")

    def read_result(self, result: ResultFile, offset_bytes: int = 0) -> AsyncIterator[bytes]:
        """The bytes of a result from an offset on. Raises InvalidRequest beyond its end."""
        if not 0 <= offset_bytes <= result.size_bytes:
            raise InvalidRequest(
                f"The offset {offset_bytes} is outside of the file, which has"
                f" {result.size_bytes} bytes.",
                reason="OFFSET_OUT_OF_RANGE",
                field="offset_bytes",
            )
        key = results_prefix(result.job_id) + result.file_name
        return self._store.read(key, offset_bytes)

    async def _succeeded(self, job_id: str) -> Job:
        job = await self._queue.get(job_id)
        if job.state is not JobState.SUCCEEDED:
            hint = "Wait until it has succeeded." if not job.state.is_final else "It has none."
            raise WrongState(
                f"The job is {job.state.value} and has no results. {hint}", reason="NO_RESULTS"
            )
        return job

    # ------------------------------------------------------------------ upkeep

    async def backlog(self) -> Backlog:
        backlog = await self._queue.backlog()
        BACKLOG_PARTS.set(backlog.parts)
        BACKLOG_JOBS.set(backlog.jobs)
        return backlog

    async def sweep(self) -> None:
        """Delete what has expired: jobs with their results, and uploads."""
        for job_id in await self._queue.expired():
            try:
                await self._queue.cancel(job_id)
                await self.delete_job(job_id)
            except KioskError as error:
                log.warning("job %s could not be swept: %s", job_id, error)
        for job_id in await self._queue.litter():
            # What a consumer that was lost, or a job that was cancelled, has left.
            await self._store.delete_prefix(parts_prefix(job_id))
            await self._queue.cleaned(job_id)
        await self.uploads.sweep()

    async def _card(self, model: str, version: str, pipeline: str) -> tuple[ModelCard, str]:
        if not model:
            raise InvalidRequest("The request names no model. Name one.", field="model")
        card = await self.get_model(model)
        if card.pipeline != pipeline:
            raise InvalidRequest(
                f"The model '{model}' is for {card.pipeline}, not for {pipeline}.", field="model"
            )
        if version and version not in card.versions:
            raise NotFound(
                f"The model '{model}' has no version '{version}'. Its versions are:"
                f" {', '.join(card.versions)}.",
                reason="MODEL_VERSION_NOT_FOUND",
                field="model_version",
            )
        return card, version or card.latest


@contextmanager
def _patience(upload: Upload) -> Iterator[None]:
    """A sentence instead of a TimeoutError."""
    try:
        yield
    except TimeoutError as error:
        raise InvalidRequest(
            f"The headers of '{upload.file_name}' take longer than {OPEN_TIMEOUT_S:g} seconds"
            " to read. Save the image anew as one plain or OME-TIFF stack.",
            reason="TOO_COMPLEX",
        ) from error


def _is_number(text: str) -> bool:
    """Digits as the queue writes them, and few enough for its 64 bits."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def _result_file(job: Job, file_name: str, size_bytes: int) -> ResultFile:
    kind = kind_of_track_file if job.pipeline == "tracking" else kind_of
    media_type, description = kind(file_name)
    return ResultFile(
        job_id=job.id,
        file_name=file_name,
        size_bytes=size_bytes,
        media_type=media_type,
        description=description,
    )

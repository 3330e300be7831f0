"""The client library: images in, labels and tables out.

    from kiosk.client import Kiosk

    with Kiosk("127.0.0.1:50051") as kiosk:
        result = kiosk.segment("cells.tif", model="nuclei", progress=True)
        result.labels          # (y, x) or (t, y, x) label image
        result.table["area_px"]  # one entry per instance
        result.save("results/")

`AsyncKiosk` has the same methods as coroutines, `Kiosk` runs them on a thread of its own.
Only light packages are imported here: gRPC, numpy, and tifffile when an array is sent or read.
"""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import numpy as np

from kiosk._proto import kiosk_pb2 as pb
from kiosk.blocking import Blocking
from kiosk.client_arguments import (
    Rectangle,
    as_labels,
    format_list,
    mask_axes,
    priority_of,
    read_options,
    region_of,
    stack_axes,
)
from kiosk.connection import ATTEMPTS, FIRST_PAUSE_S, Connection, Progress, ProgressCallback
from kiosk.ctc_folder import is_ctc_zip, unpack
from kiosk.errors import InvalidRequest, JobFailed
from kiosk.folder_zip import zipped_folder
from kiosk.job_calls import JobCalls, job_name
from kiosk.job_files import check_free
from kiosk.jobs import result_stem
from kiosk.linked import name_in
from kiosk.progress_bar import reporting
from kiosk.segmentation import Segmentation, as_tiff
from kiosk.settings import Settings
from kiosk.tracking import Tracking

_FINAL = {pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED}


class AsyncKiosk(JobCalls):
    """A connection to a kiosk.

    Args:
        server: HOST:PORT; default: KIOSK_SERVER, then 127.0.0.1:50051.
    """

    def __init__(self, server: str = "") -> None:
        self._connection = Connection(server or Settings().server)

    @property
    def server(self) -> str:
        return self._connection.server

    async def __aenter__(self) -> AsyncKiosk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    # ------------------------------------------------------------------ models

    async def models(self) -> list[pb.Model]:
        """The models that are ready."""
        answer = await self._connection.call("ListModels", pb.ListModelsRequest())
        return list(answer.models)

    async def model(self, name: str) -> pb.Model:
        """One model, with every parameter that a request may set. Raises NotFound."""
        return await self._connection.call("GetModel", pb.GetModelRequest(name=f"models/{name}"))

    # ------------------------------------------------------------------ the whole way

    async def segment(
        self,
        image: str | Path | np.ndarray,
        *,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        axes: str = "",
        member: str = "",
        series: int = 0,
        pixel_size_um: float = 0.0,
        z_step_um: float = 0.0,
        region: Rectangle | None = None,
        volume: bool = False,
        formats: Sequence[str] | str = (),
        within: str | Path | np.ndarray = "",
        progress: bool | ProgressCallback = False,
    ) -> Segmentation:
        """Upload an image, segment it, wait, and fetch the results.

        Args:
            image: path of an image file, of an OME-Zarr folder, or an array (see `axes`).
            model: name of a model, see `models()`, or NAME:VERSION; version: "" = the latest.
            channel: name or index from 0, needed when the image has several channels.
            parameters: post-processing parameters in place of the model's defaults.
            axes: order of the axes, letters of TCZYXS; for an array by default YX, TYX (ZYX for a
                volume) or TZYX by the number of axes, for a file what the file says.
            member: path of the image inside a zip.
            series: number of the image inside a file that holds several.
            pixel_size_um, z_step_um: in place of what the file says; 0 = as it says.
            region: segment only this part of every plane, see `Rectangle`.
            volume: join the instances of the planes of a z-stack to instances in 3-D.
            formats: result formats by name (docs/reference/results.md), "all", () = the default.
            within: mask or label image, as a path, an array, or the name of an upload
                ("uploads/..."): only instances inside of it count. An array has the axes of the
                image without channels, or YX.
            progress: True for a bar, or a function that is called with a `Progress`.

        Raises:
            InvalidRequest: the image or the request cannot be processed; says why.
            JobFailed: the job was accepted and failed.
            TransientError: the kiosk does not answer.
        """
        axes = axes or stack_axes(image, volume)
        reading = read_options(
            member=member,
            series=series,
            # An array is sent with its axes.
            axes="" if isinstance(image, np.ndarray) else axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
        )
        with reporting(progress) as report:
            mask = await self.mask(within, axes=mask_axes(within, axes, volume))
            upload = await self.upload(image, axes=axes, progress=report)
            job = await self.submit(
                upload,
                model=model,
                version=version,
                channel=channel,
                parameters=parameters,
                reading=reading,
                region=region,
                volume=volume,
                formats=formats,
                within=mask,
            )
            job = await self.wait(job.name, progress=report)
        return await self.fetch(job.name)

    async def track(
        self,
        movie: str | Path | np.ndarray,
        *,
        labels: str | Path | np.ndarray = "",
        tracks: str | Path = "",
        axes: str = "",
        member: str = "",
        series: int = 0,
        pixel_size_um: float = 0.0,
        z_step_um: float = 0.0,
        progress: bool | ProgressCallback = False,
        **options: Any,
    ) -> Tracking:
        """Upload a movie, find its cells, link them through time, wait, and fetch the results.

        Args:
            movie: path of an image file, or an array (t, y, x).
            labels: label images of all frames, as a path or an array, to link instead of
                segmenting; an array has the axes of the movie without channels.
            tracks: path of a corrected NAME_tracks.csv of these labels: it says who is who.
            axes, member, series, pixel_size_um, z_step_um: as in `segment`.
            progress: True for a bar, or a function that is called with a `Progress`.
            options: all others of `submit_tracking`: model, channel, parameters, formats,
                labels_are_tracks, skip_bad_frames, linker, longest_gap_frames, reach_px,
                divisions, correct_drift, mend.

        Raises:
            InvalidRequest: the movie or the request cannot be processed; says why.
            JobFailed: the job was accepted and failed.
            TransientError: the kiosk does not answer.
        """
        reading = read_options(
            member=member,
            series=series,
            axes="" if isinstance(movie, np.ndarray) else axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
        )
        with reporting(progress) as report:
            given = await self.mask(labels, axes=mask_axes(labels, axes, False))
            table = await self.upload(tracks) if str(tracks) else ""
            upload = await self.upload(movie, axes=axes, progress=report)
            job = await self.submit_tracking(
                upload, labels=given, tracks=table, reading=reading, **options
            )
            job = await self.wait(job.name, progress=report)
        return await self.fetch_tracking(job.name)

    # ------------------------------------------------------------------ step by step
    # A job is named "jobs/ID", or by its bare id.

    async def upload(
        self,
        image: str | Path | np.ndarray,
        *,
        axes: str = "",
        progress: ProgressCallback | None = None,
    ) -> str:
        """Upload a file, an OME-Zarr folder or an array; returns the upload's name.

        Bridges short outages. An address like s3://bucket/plate.ome.zarr is not uploaded: the
        kiosk reads it from there, if its owner allows that place.
        """
        if isinstance(image, np.ndarray):
            data = as_tiff(image, axes)
            with io.BytesIO(data) as file:
                return await self._connection.send(file, "array.tif", len(data), progress)
        if "://" in str(image):
            answer = await self._connection.call(
                "CreateUpload",
                pb.CreateUploadRequest(file_name=name_in(str(image)), url=str(image)),
            )
            return str(answer.name)
        path = Path(image)
        opened: AbstractContextManager[BinaryIO]
        try:
            if path.is_dir():  # noqa: ASYNC240 - local calls
                opened, name = zipped_folder(path), f"{path.name}.zip"
            else:
                opened, name = path.open("rb"), path.name  # noqa: ASYNC230
        except OSError as error:
            raise InvalidRequest(
                f"The file '{path}' cannot be read: {error.strerror or error}.",
                reason="CANNOT_READ_FILE",
            ) from error
        with opened as file:
            size = await asyncio.to_thread(file.seek, 0, io.SEEK_END)
            return await self._connection.send(file, name, size, progress)

    async def mask(self, within: str | Path | np.ndarray, *, axes: str = "") -> str:
        """The name of an upload with a mask, which is uploaded unless it is there; "" for none."""
        if isinstance(within, np.ndarray):
            return await self.upload(as_labels(within), axes=axes)
        if not str(within) or str(within).startswith("uploads/"):
            return str(within)
        return await self.upload(within)

    async def inspect(
        self,
        upload: str,
        *,
        reading: pb.ReadOptions | None = None,
        thumbnail_px: int = 0,
        list_only: bool = False,
    ) -> list[pb.Image]:
        """What the kiosk sees in an upload: its images, axes, channels, pixel sizes, guesses."""
        request = pb.InspectUploadRequest(
            name=upload, reading=reading, thumbnail_px=thumbnail_px, list_only=list_only
        )
        answer = await self._connection.call("InspectUpload", request)
        return list(answer.images)

    async def submit(
        self,
        upload: str,
        *,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        reading: pb.ReadOptions | None = None,
        region: Rectangle | None = None,
        volume: bool = False,
        formats: Sequence[str] | str = (),
        within: str = "",
        request_id: str = "",
        priority: str = "",
    ) -> pb.Job:
        """Queue the segmentation of an upload; a request_id of yours makes it repeatable.

        A model may be given as NAME or as NAME:VERSION. The priority is "interactive", "batch", or
        left to the kiosk.
        """
        model, _, named = model.partition(":")
        request = pb.SegmentRequest(
            upload=upload,
            model=model,
            model_version=version or named,
            channel=str(channel),
            parameters=dict(parameters or {}),
            # Also when the caller gives none: the call may be sent twice over a bad connection.
            request_id=request_id or str(uuid.uuid4()),
            reading=reading,
            region=region_of(region),
            volume=volume,
            formats=format_list(formats),
            within=within,
            priority=priority_of(priority),
        )
        job: pb.Job = await self._connection.call("Segment", request)
        return job

    async def submit_tracking(
        self,
        upload: str,
        *,
        labels: str = "",
        tracks: str = "",
        labels_are_tracks: bool = False,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
        reading: pb.ReadOptions | None = None,
        formats: Sequence[str] | str = (),
        skip_bad_frames: bool = False,
        linker: str = "",
        longest_gap_frames: int | None = None,
        reach_px: float = 0.0,
        divisions: bool = True,
        correct_drift: bool = True,
        mend: bool = True,
        request_id: str = "",
        priority: str = "",
    ) -> pb.Job:
        """Queue the tracking of an upload; labels and tracks are names of uploads too."""
        model, _, named = model.partition(":")
        request = pb.TrackRequest(
            upload=upload,
            model="" if labels else model,
            model_version="" if labels else version or named,
            channel=str(channel),
            request_id=request_id or str(uuid.uuid4()),
            parameters=dict(parameters or {}),
            reading=reading,
            formats=format_list(formats),
            labels=labels,
            tracks=tracks,
            labels_are_tracks=labels_are_tracks,
            skip_bad_frames=skip_bad_frames,
            linker=linker,
            longest_gap_frames=longest_gap_frames,
            reach_px=reach_px,
            no_divisions=not divisions,
            no_drift_correction=not correct_drift,
            no_mending=not mend,
            priority=priority_of(priority),
        )
        job: pb.Job = await self._connection.call("Track", request)
        return job

    async def watch(self, job: str) -> AsyncIterator[pb.Job]:
        """The job now and after each change, until it is final. Bridges short outages."""
        after, failures = "", 0
        while True:
            try:
                request = pb.WatchJobRequest(name=job_name(job), after_event_id=after)
                async for event in self._connection.stub.WatchJob(request):
                    after, failures = event.id, 0
                    yield event.job
                    if event.job.state in _FINAL:
                        return
                failures += 1  # the stream ended early, without an error
            except grpc.aio.AioRpcError as error:
                failures += 1
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= ATTEMPTS:
                    raise self._connection.error(error) from None
            await asyncio.sleep(FIRST_PAUSE_S * 2**failures)

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


class Kiosk(Blocking):
    """`AsyncKiosk` for programs that are not asynchronous: the same methods, blocking.

    Asynchronous iterators (`watch`) become plain ones. Use it in a `with` block, or call
    `close()`.
    """

    def __init__(self, server: str = "") -> None:
        super().__init__(AsyncKiosk(server))

    def __enter__(self) -> Kiosk:
        return self


def _id(job: str) -> str:
    return job.removeprefix("jobs/")

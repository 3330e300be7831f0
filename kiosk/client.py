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
import inspect
import io
import operator
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import numpy as np

from kiosk._proto import kiosk_pb2 as pb
from kiosk.connection import ATTEMPTS, FIRST_PAUSE_S, Connection, Progress, ProgressCallback
from kiosk.errors import InvalidRequest, JobFailed
from kiosk.folder_zip import zipped_folder
from kiosk.linked import name_in
from kiosk.reading import ReadOptions
from kiosk.segmentation import Segmentation, as_tiff, check_free
from kiosk.settings import Settings

# A rectangle of a plane: (min_y_px, min_x_px, max_y_px, max_x_px), the maxima not included.
Rectangle = tuple[int, int, int, int]

_FINAL = {pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED}


class AsyncKiosk:
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
            model: name of a model, see `models()`; version: "" = the latest.
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
        axes = axes or _stack_axes(image, volume)
        reading = _reading(
            member=member,
            series=series,
            # An array is sent with its axes.
            axes="" if isinstance(image, np.ndarray) else axes,
            pixel_size_um=pixel_size_um,
            z_step_um=z_step_um,
        )
        with _reporting(progress) as report:
            mask = await self.mask(within, axes=_mask_axes(within, axes, volume))
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
            return await self.upload(_as_labels(within), axes=axes)
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
    ) -> pb.Job:
        """Queue the segmentation of an upload; a request_id of yours makes it repeatable."""
        request = pb.SegmentRequest(
            upload=upload,
            model=model,
            model_version=version,
            channel=str(channel),
            parameters=dict(parameters or {}),
            # Also when the caller gives none: the call may be sent twice over a bad connection.
            request_id=request_id or str(uuid.uuid4()),
            reading=reading,
            region=_region(region),
            volume=volume,
            formats=formats.split(",") if isinstance(formats, str) and formats else formats,
            within=within,
        )
        job: pb.Job = await self._connection.call("Segment", request)
        return job

    async def track(self) -> pb.Job:
        """Not available yet: the kiosk answers Unimplemented."""
        job: pb.Job = await self._connection.call("Track", pb.TrackRequest())
        return job

    async def watch(self, job: str) -> AsyncIterator[pb.Job]:
        """The job now and after each change, until it is final. Bridges short outages."""
        after, failures = "", 0
        while True:
            try:
                request = pb.WatchJobRequest(name=_name(job), after_event_id=after)
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
        answer = await self._connection.call("ListResults", pb.ListResultsRequest(job=_name(job)))
        return list(answer.results)

    async def fetch(self, job: str) -> Segmentation:
        """All results of a job, in memory."""
        files = {}
        for result in await self.results(job):
            with io.BytesIO() as file:
                await self._connection.receive(result, file)
                files[result.file_name] = file.getvalue()
        return Segmentation(_id(job), files)

    async def download(
        self, job: str, directory: str | Path, *, stem: str = "", overwrite: bool = False
    ) -> list[Path]:
        """Write the results of a job to a directory; `stem` replaces the uploaded file's.

        Raises AlreadyExists when one of the files is there and `overwrite` is not set.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
        results = await self.results(job)
        paths = [folder / _renamed(result.file_name, stem) for result in results]
        if not overwrite:
            check_free(paths)
        for result, path in zip(results, paths, strict=True):
            partial = path.with_name(f".{path.name}.part")
            with partial.open("wb") as file:
                await self._connection.receive(result, file)
            partial.replace(path)
        return paths

    async def job(self, job: str) -> pb.Job:
        """A job as it stands."""
        answer: pb.Job = await self._connection.call("GetJob", pb.GetJobRequest(name=_name(job)))
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
            "CancelJob", pb.CancelJobRequest(name=_name(job))
        )
        return answer

    async def delete(self, job: str) -> None:
        """Delete a finished job and its results."""
        await self._connection.call("DeleteJob", pb.DeleteJobRequest(name=_name(job)))


class Kiosk:
    """`AsyncKiosk` for programs that are not asynchronous: the same methods, blocking.

    Asynchronous iterators (`watch`) become plain ones. Use it in a `with` block, or call
    `close()`.
    """

    def __init__(self, server: str = "") -> None:
        self._kiosk = AsyncKiosk(server)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Kiosk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._run(self._kiosk.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._kiosk, name)
        if inspect.isasyncgenfunction(member):
            return lambda *args, **kwargs: self._iterate(member(*args, **kwargs))
        if inspect.iscoroutinefunction(member):
            return lambda *args, **kwargs: self._run(member(*args, **kwargs))
        return member

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(n for n in dir(self._kiosk) if not n.startswith("_"))]

    def _run(self, coroutine: Any) -> Any:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _iterate(self, iterator: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._run(anext(iterator))
            except StopAsyncIteration:
                return


class _reporting:  # noqa: N801 - used like a function
    """`progress` as given by the caller, as a callback; draws a bar for True."""

    def __init__(self, progress: bool | ProgressCallback) -> None:
        self._wanted = progress
        self._bar: Any = None

    def __enter__(self) -> ProgressCallback | None:
        if self._wanted is not True:
            return self._wanted or None
        import rich.progress

        self._bar = rich.progress.Progress()
        task = self._bar.add_task("uploading", total=None)
        self._bar.start()
        return lambda step: self._bar.update(
            task, description=step.stage, completed=step.done, total=step.total or None
        )

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _reading(**options: Any) -> pb.ReadOptions:
    """Checked by being made, before anything is sent."""
    return pb.ReadOptions(**vars(ReadOptions(**options)))


def _region(region: Rectangle | None) -> pb.Region | None:
    if region is None:
        return None
    try:
        min_y, min_x, max_y, max_x = (operator.index(edge) for edge in region)
        return pb.Region(min_y_px=min_y, min_x_px=min_x, max_y_px=max_y, max_x_px=max_x)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"The region {region!r} is not four whole numbers: min_y_px, min_x_px, max_y_px,"
            " max_x_px.",
            reason="BAD_REGION",
            field="region",
        ) from error


def _as_labels(mask: np.ndarray) -> np.ndarray:
    """True is label 1."""
    return mask.astype(np.uint8) if mask.dtype == np.bool_ else mask


def _mask_axes(within: object, axes: str, volume: bool) -> str:
    """Axes of a mask that is an array: those of its image without channels, where they fit."""
    count = within.ndim if isinstance(within, np.ndarray) else 0
    planes = "".join(axis for axis in axes.upper() if axis not in "CS")
    return planes if len(planes) == count else _stack_axes(within, volume)


def _stack_axes(pixels: object, volume: bool) -> str:
    """What an array of three axes is when nobody says so: depths of a volume, or time points."""
    return "ZYX" if volume and isinstance(pixels, np.ndarray) and pixels.ndim == 3 else ""


def _renamed(file_name: str, stem: str) -> str:
    """Result names end in _labels.tif, _instances.csv and the like, after the stem."""
    return f"{stem}_{file_name.rpartition('_')[2]}" if stem else file_name


def _name(job: str) -> str:
    return job if job.startswith("jobs/") else f"jobs/{job}"


def _id(job: str) -> str:
    return job.removeprefix("jobs/")

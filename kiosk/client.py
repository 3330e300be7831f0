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
import hashlib
import inspect
import io
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import numpy as np
from google.rpc import error_details_pb2, status_pb2

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.errors import (
    AlreadyExists,
    InvalidRequest,
    JobFailed,
    KioskError,
    NotFound,
    Overloaded,
    TransientError,
    Unimplemented,
    WrongState,
)
from kiosk.segmentation import Segmentation, as_tiff
from kiosk.settings import Settings

SEND_BYTES = 1024 * 1024
MESSAGE_BYTES = 8 * 1024 * 1024
# Short outages (a server that restarts) are bridged: 0.2, 0.4, ... s, about 25 s in all.
ATTEMPTS = 8
FIRST_PAUSE_S = 0.2

_FINAL = {pb.JOB_STATE_SUCCEEDED, pb.JOB_STATE_FAILED, pb.JOB_STATE_CANCELLED}
_ERROR_OF_STATUS: dict[grpc.StatusCode, type[KioskError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: TransientError,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
}


@dataclass(frozen=True)
class Progress:
    """How far a call is. `stage` is uploading, or the stage of the job; 0 of 0 = not known yet."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


class AsyncKiosk:
    """A connection to a kiosk.

    Args:
        server: HOST:PORT; default: KIOSK_SERVER, then 127.0.0.1:50051.
    """

    def __init__(self, server: str = "") -> None:
        self.server = server or Settings().server
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def __aenter__(self) -> AsyncKiosk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    # ------------------------------------------------------------------ models

    async def models(self) -> list[pb.Model]:
        """The models that are ready."""
        answer = await self._call("ListModels", pb.ListModelsRequest())
        return list(answer.models)

    async def model(self, name: str) -> pb.Model:
        """One model, with every parameter that a request may set. Raises NotFound."""
        return await self._call("GetModel", pb.GetModelRequest(name=f"models/{name}"))

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
        progress: bool | ProgressCallback = False,
    ) -> Segmentation:
        """Upload an image, segment it, wait, and fetch the results.

        Args:
            image: path of an image file, or an array (see `axes`).
            model: name of a model, see `models()`; version: "" = the latest.
            channel: name or index from 0, needed when the image has several channels.
            parameters: post-processing parameters in place of the model's defaults.
            axes: order of an array's axes, letters of TCZYXS; default YX, TYX or TZYX by
                the number of axes.
            progress: True for a bar, or a function that is called with a `Progress`.

        Raises:
            InvalidRequest: the image or the request cannot be processed; says why.
            JobFailed: the job was accepted and failed.
            TransientError: the kiosk does not answer.
        """
        with _reporting(progress) as report:
            upload = await self.upload(image, axes=axes, progress=report)
            job = await self.submit(
                upload, model=model, version=version, channel=channel, parameters=parameters
            )
            job = await self.wait(job.name, progress=report)
        return await self.fetch(job.name)

    # ------------------------------------------------------------------ step by step

    async def upload(
        self,
        image: str | Path | np.ndarray,
        *,
        axes: str = "",
        progress: ProgressCallback | None = None,
    ) -> str:
        """Upload a file or an array; returns the upload's name. Bridges short outages."""
        if isinstance(image, np.ndarray):
            data = as_tiff(image, axes)
            with io.BytesIO(data) as file:
                return await self._upload(file, "array.tif", len(data), progress)
        path = Path(image)
        try:
            file_size = path.stat().st_size  # noqa: ASYNC240 - one local call
            opened = path.open("rb")  # noqa: ASYNC230
        except OSError as error:
            raise InvalidRequest(
                f"The file '{path}' cannot be read: {error.strerror or error}.",
                reason="CANNOT_READ_FILE",
            ) from error
        with opened:
            return await self._upload(opened, path.name, file_size, progress)

    async def submit(
        self,
        upload: str,
        *,
        model: str = "nuclei",
        version: str = "",
        channel: str | int = "",
        parameters: Mapping[str, float] | None = None,
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
        )
        job: pb.Job = await self._call("Segment", request)
        return job

    async def watch(self, job: str) -> AsyncIterator[pb.Job]:
        """The job now and after each change, until it is final. Bridges short outages."""
        after, failures = "", 0
        while True:
            try:
                request = pb.WatchJobRequest(name=job, after_event_id=after)
                async for event in self._connected().WatchJob(request):
                    after, failures = event.id, 0
                    yield event.job
                    if event.job.state in _FINAL:
                        return
                failures += 1  # the stream ended early, without an error
            except grpc.aio.AioRpcError as error:
                failures += 1
                if error.code() is not grpc.StatusCode.UNAVAILABLE or failures >= ATTEMPTS:
                    raise self._error(error) from None
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
        answer = await self._call("ListResults", pb.ListResultsRequest(job=job))
        return list(answer.results)

    async def fetch(self, job: str) -> Segmentation:
        """All results of a job, in memory."""
        files = {}
        for result in await self.results(job):
            with io.BytesIO() as file:
                await self._download(result, file)
                files[result.file_name] = file.getvalue()
        return Segmentation(_id(job), files)

    async def download(self, job: str, directory: str | Path, *, stem: str = "") -> list[Path]:
        """Write the results of a job to a directory; `stem` replaces the uploaded file's."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
        written = []
        for result in await self.results(job):
            # Result names end in _labels.tif, _instances.csv and the like, after the stem.
            ending = result.file_name.rpartition("_")[2]
            path = folder / (f"{stem}_{ending}" if stem else result.file_name)
            partial = path.with_name(f".{path.name}.part")
            with partial.open("wb") as file:
                await self._download(result, file)
            partial.replace(path)
            written.append(path)
        return written

    async def job(self, job: str) -> pb.Job:
        """A job as it stands; `job` is its name or its bare id."""
        answer: pb.Job = await self._call("GetJob", pb.GetJobRequest(name=_name(job)))
        return answer

    async def jobs(self, limit: int = 50) -> list[pb.Job]:
        """The newest jobs."""
        found: list[pb.Job] = []
        token = ""
        while len(found) < limit:
            request = pb.ListJobsRequest(page_size=min(500, limit - len(found)), page_token=token)
            answer = await self._call("ListJobs", request)
            found += answer.jobs
            token = answer.next_page_token
            if not token:
                break
        return found

    async def cancel(self, job: str) -> pb.Job:
        """Stop a job."""
        answer: pb.Job = await self._call("CancelJob", pb.CancelJobRequest(name=_name(job)))
        return answer

    async def delete(self, job: str) -> None:
        """Delete a finished job and its results."""
        await self._call("DeleteJob", pb.DeleteJobRequest(name=_name(job)))

    # ------------------------------------------------------------------ inner

    async def _upload(
        self, file: BinaryIO, file_name: str, size: int, progress: ProgressCallback | None
    ) -> str:
        sha256 = await asyncio.to_thread(_sha256, file)
        upload = await self._call(
            "CreateUpload",
            pb.CreateUploadRequest(file_name=file_name, size_bytes=size, sha256=sha256),
        )
        name = upload.name
        for attempt in range(ATTEMPTS):
            try:
                messages = self._messages(file, name, upload.offset_bytes, size, progress)
                upload = await self._connected().WriteUpload(messages)
                return str(upload.name)
            except grpc.aio.AioRpcError as error:
                mapped = self._error(error)
                broken = error.code() is grpc.StatusCode.UNAVAILABLE
                # After a break the server may still be busy with the old connection.
                if not broken and mapped.reason != "UPLOAD_IN_PROGRESS":
                    raise mapped from None
                if attempt + 1 == ATTEMPTS:
                    raise mapped from None
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
            upload = await self._call("GetUpload", pb.GetUploadRequest(name=name))
            if upload.complete:
                return str(upload.name)
        raise AssertionError("unreachable")

    async def _messages(
        self, file: BinaryIO, name: str, offset: int, size: int, progress: ProgressCallback | None
    ) -> AsyncIterator[pb.WriteUploadRequest]:
        file.seek(offset)
        while True:
            data = await asyncio.to_thread(file.read, SEND_BYTES)
            finish = offset + len(data) >= size
            yield pb.WriteUploadRequest(name=name, offset_bytes=offset, data=data, finish=finish)
            offset += len(data)
            if progress:
                progress(Progress("uploading", offset, size))
            if finish or not data:
                return

    async def _download(self, result: pb.Result, file: BinaryIO) -> None:
        for attempt in range(ATTEMPTS):
            request = pb.DownloadResultRequest(name=result.name, offset_bytes=file.tell())
            try:
                async for answer in self._connected().DownloadResult(request):
                    file.write(answer.data)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt + 1 == ATTEMPTS:
                    raise self._error(error) from None
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)

    async def _call(self, method: str, request: Any) -> Any:
        try:
            return await getattr(self._connected(), method)(request)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    def _connected(self) -> Any:
        # Made on first use: the channel belongs to the event loop that runs then.
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self.server,
                options=[
                    # gRPC would send even loopback calls to the proxy of an institute.
                    ("grpc.enable_http_proxy", 0 if _is_loopback(self.server) else 1),
                    ("grpc.max_receive_message_length", MESSAGE_BYTES),
                    ("grpc.max_send_message_length", MESSAGE_BYTES),
                ],
            )
            self._stub = pb_grpc.KioskStub(self._channel)  # type: ignore[no-untyped-call]
        return self._stub

    def _error(self, error: grpc.aio.AioRpcError) -> KioskError:
        """The kiosk's own error behind a gRPC error."""
        info = _error_info(error)
        if info is None and error.code() is grpc.StatusCode.UNAVAILABLE:
            return TransientError(
                f"The kiosk at {self.server} does not answer. Is it running? `kiosk up` starts"
                " one on this machine; --server or KIOSK_SERVER names another."
            )
        kind = _ERROR_OF_STATUS.get(error.code(), KioskError)
        return kind(error.details() or str(error.code()), reason=info or error.code().name)


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


def _error_info(error: grpc.aio.AioRpcError) -> str | None:
    """The reason word of an error that comes from a kiosk; None for one of gRPC itself."""
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return None


def _sha256(file: BinaryIO) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while data := file.read(SEND_BYTES):
        digest.update(data)
    return digest.hexdigest()


def _is_loopback(server: str) -> bool:
    return server.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")


def _name(job: str) -> str:
    return job if job.startswith("jobs/") else f"jobs/{job}"


def _id(job: str) -> str:
    return job.removeprefix("jobs/")

"""The gRPC API: a thin shell over the service, with health and reflection."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from functools import wraps
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kiosk import wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.errors import InvalidRequest, KioskError, TooLarge, WrongState
from kiosk.service import KioskService

log = logging.getLogger(__name__)

SERVICE = "kiosk.v1.Kiosk"
MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024  # 4 MiB of data and its envelope
DOWNLOAD_CHUNK_BYTES = 1024 * 1024

Context = grpc.aio.ServicerContext


async def _abort(context: Context, error: Exception) -> None:
    if not isinstance(error, KioskError):
        log.exception("a call failed", exc_info=error)
        error = KioskError("An internal error stopped this call. The log of the server has it.")
    details = ("grpc-status-details-bin", wire.rpc_status(error).SerializeToString())
    await context.abort(wire.status_of(error)[0], error.message, (details,))


def _unary(method: Callable[..., Any]) -> Callable[..., Any]:
    """The caller of a call with one answer, and its errors as gRPC statuses."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Context) -> Any:
        try:
            return _sendable(await method(self, request, await self.caller(context)))
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            await _abort(context, error)

    return call


def _sendable(answer: Any) -> Any:
    """The answer. Raises TooLarge, where gRPC itself would break the call without a word."""
    if answer.ByteSize() > MESSAGE_BYTES:
        raise TooLarge(
            f"The answer has {answer.ByteSize()} bytes and a message may have {MESSAGE_BYTES}; ask"
            " for less at a time (a smaller page, one image of the file), or use the HTTP API.",
            reason="ANSWER_TOO_LARGE",
        )
    return answer


def _streaming(method: Callable[..., Any]) -> Callable[..., Any]:
    """The caller of a call with a stream of answers, and its errors as gRPC statuses."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for answer in method(self, request, await self.caller(context)):
                yield answer
        except Exception as error:
            if isinstance(error, grpc.aio.AbortError):
                raise
            await _abort(context, error)

    return call


class KioskServicer(pb_grpc.KioskServicer):
    """kiosk.v1.Kiosk over a `KioskService`. Each method gets the caller in place of a context."""

    def __init__(self, service: KioskService, authentication: Authentication) -> None:
        self._service = service
        self._authentication = authentication

    async def caller(self, context: Context) -> Caller:
        """Who calls. Raises Unauthenticated."""
        brought: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
        credentials = str(brought.get("authorization", ""))
        return await self._authentication.caller(credentials, context.peer())

    @_unary
    async def ListModels(self, request: pb.ListModelsRequest, caller: Caller) -> Any:
        cards = await self._service.list_models(caller=caller)
        return pb.ListModelsResponse(models=[wire.model_to_proto(card) for card in cards])

    @_unary
    async def GetModel(self, request: pb.GetModelRequest, caller: Caller) -> Any:
        return wire.model_to_proto(
            await self._service.get_model(wire.id_of(request.name, "models"), caller=caller)
        )

    @_unary
    async def CreateUpload(self, request: pb.CreateUploadRequest, caller: Caller) -> Any:
        if request.url:
            return wire.upload_to_proto(
                await self._service.uploads.link(request.url, request.file_name, caller=caller)
            )
        size_bytes = request.size_bytes if request.size_bytes > 0 else -1
        upload = await self._service.uploads.create(
            request.file_name, size_bytes, request.sha256, caller=caller
        )
        return wire.upload_to_proto(upload)

    @_unary
    async def GetUpload(self, request: pb.GetUploadRequest, caller: Caller) -> Any:
        upload = await self._service.uploads.get(wire.id_of(request.name, "uploads"), caller=caller)
        return wire.upload_to_proto(upload)

    @_unary
    async def DeleteUpload(self, request: pb.DeleteUploadRequest, caller: Caller) -> Any:
        await self._service.uploads.delete(wire.id_of(request.name, "uploads"), caller=caller)
        return pb.DeleteUploadResponse()

    @_unary
    async def InspectUpload(self, request: pb.InspectUploadRequest, caller: Caller) -> Any:
        images = await self._service.inspect(
            wire.id_of(request.name, "uploads"),
            wire.reading_from_proto(request.reading),
            caller=caller,
            thumbnail_px=request.thumbnail_px,
            list_only=request.list_only,
        )
        return pb.InspectUploadResponse(images=[wire.image_to_proto(image) for image in images])

    @_unary
    async def WriteUpload(
        self, requests: AsyncIterator[pb.WriteUploadRequest], caller: Caller
    ) -> Any:
        incoming = _Incoming(requests)
        first = await incoming.first()
        upload_id = wire.id_of(first.name, "uploads")
        uploads = self._service.uploads
        upload = await uploads.append(upload_id, first.offset_bytes, incoming.data(), caller=caller)
        if incoming.finished and not upload.complete:
            upload = await uploads.append(
                upload_id, upload.offset_bytes, _nothing(), finish=True, caller=caller
            )
        return wire.upload_to_proto(upload)

    @_unary
    async def Segment(self, request: pb.SegmentRequest, caller: Caller) -> Any:
        job = await self._service.segment(
            upload_id=wire.id_of(request.upload, "uploads"),
            model=request.model.removeprefix("models/"),
            model_version=request.model_version,
            request=wire.segmentation_from_proto(request),
            request_id=request.request_id,
            priority=wire.priority_from_proto(request.priority),
            caller=caller,
        )
        return wire.job_to_proto(job)

    @_unary
    async def Track(self, request: pb.TrackRequest, caller: Caller) -> Any:
        job = await self._service.track(
            upload_id=wire.id_of(request.upload, "uploads"),
            model=request.model.removeprefix("models/"),
            model_version=request.model_version,
            request=wire.tracking_from_proto(request),
            request_id=request.request_id,
            priority=wire.priority_from_proto(request.priority),
            caller=caller,
        )
        return wire.job_to_proto(job)

    @_unary
    async def GetJob(self, request: pb.GetJobRequest, caller: Caller) -> Any:
        job = await self._service.get_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @_unary
    async def ListJobs(self, request: pb.ListJobsRequest, caller: Caller) -> Any:
        jobs, token = await self._service.list_jobs(
            request.page_size, request.page_token, caller=caller, all_owners=request.all_owners
        )
        return pb.ListJobsResponse(
            jobs=[wire.job_to_proto(job) for job in jobs], next_page_token=token
        )

    @_streaming
    async def WatchJob(
        self, request: pb.WatchJobRequest, caller: Caller
    ) -> AsyncIterator[pb.JobEvent]:
        job_id = wire.id_of(request.name, "jobs")
        events = await self._service.watch_job(job_id, request.after_event_id, caller=caller)
        async for event in events:
            yield wire.event_to_proto(event)

    @_unary
    async def CancelJob(self, request: pb.CancelJobRequest, caller: Caller) -> Any:
        job = await self._service.cancel_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @_unary
    async def RedriveJob(self, request: pb.RedriveJobRequest, caller: Caller) -> Any:
        job = await self._service.redrive_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @_unary
    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, caller: Caller) -> Any:
        letters = await self._service.list_dead_letters(
            request.page_size, caller=caller, all_owners=request.all_owners
        )
        listed = [wire.dead_letter_to_proto(letter) for letter in letters]
        return pb.ListDeadLettersResponse(dead_letters=listed)

    @_unary
    async def DeleteJob(self, request: pb.DeleteJobRequest, caller: Caller) -> Any:
        await self._service.delete_job(wire.id_of(request.name, "jobs"), caller=caller)
        return pb.DeleteJobResponse()

    @_unary
    async def ListResults(self, request: pb.ListResultsRequest, caller: Caller) -> Any:
        results = await self._service.list_results(wire.id_of(request.job, "jobs"), caller=caller)
        return pb.ListResultsResponse(results=[wire.result_to_proto(item) for item in results])

    @_streaming
    async def DownloadResult(
        self, request: pb.DownloadResultRequest, caller: Caller
    ) -> AsyncIterator[pb.DownloadResultResponse]:
        job_id, file_name = wire.result_of(request.name)
        result = await self._service.get_result(job_id, file_name, caller=caller)
        chunks = await self._service.read_result(result, request.offset_bytes, caller=caller)
        async for data in chunks:
            for start in range(0, len(data), DOWNLOAD_CHUNK_BYTES):
                yield pb.DownloadResultResponse(data=data[start : start + DOWNLOAD_CHUNK_BYTES])


class _Incoming:
    """The messages of a WriteUpload stream, checked for gaps."""

    def __init__(self, requests: AsyncIterator[pb.WriteUploadRequest]) -> None:
        self._requests = requests
        self._first: pb.WriteUploadRequest | None = None
        self.finished = False

    async def first(self) -> pb.WriteUploadRequest:
        async for request in self._requests:
            self._first = request
            return request
        raise InvalidRequest("The stream ended before its first message.", field="name")

    async def data(self) -> AsyncIterator[bytes]:
        assert self._first is not None
        expected = self._first.offset_bytes + len(self._first.data)
        self.finished = self._first.finish
        yield self._first.data
        async for request in self._requests:
            if request.offset_bytes != expected:
                raise WrongState(
                    f"The next byte expected is {expected}, not {request.offset_bytes}.",
                    reason="OFFSET_MISMATCH",
                )
            expected += len(request.data)
            self.finished = self.finished or request.finish
            yield request.data


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


class GrpcServer:
    """A gRPC server with the Kiosk service, health and reflection."""

    def __init__(
        self, service: KioskService, authentication: Authentication, host: str, port: int
    ) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a port in use must be an error, not a shared port
            ]
        )
        servicer = KioskServicer(service, authentication)
        pb_grpc.add_KioskServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.port = self._server.add_insecure_port(f"{host}:{port}")

    async def start(self) -> None:
        await self._server.start()
        await self.set_serving(True)

    async def set_serving(self, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        state = status.SERVING if serving else status.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, state)

    async def stop(self, grace_s: float) -> None:
        await self.set_serving(False)
        await self._server.stop(grace_s)

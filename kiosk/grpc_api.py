"""The gRPC API: a thin shell over the service, with health and reflection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from kiosk import wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.certificate import Certificate
from kiosk.grpc_calls import (
    MESSAGE_BYTES,
    SERVICE,
    Context,
    Incoming,
    mutating,
    streaming,
    unary,
)
from kiosk.service import KioskService

DOWNLOAD_CHUNK_BYTES = 1024 * 1024
# What one connection may hold. gRPC itself refuses headers of more than 16 KiB and connections that
# ping without end.
CONNECTION_LIMITS = (
    # Calls at a time. A program may watch each of its jobs, and all of its channels to one server
    # share a connection; one call more would wait in the client without a word.
    ("grpc.max_concurrent_streams", 4000),
    ("grpc.server_handshake_timeout_ms", 20_000),  # to say hello, TLS included
    ("grpc.keepalive_time_ms", 60_000),  # a peer that is gone without a word holds no streams
    ("grpc.keepalive_timeout_ms", 20_000),
)


class KioskServicer(pb_grpc.KioskServicer):
    """kiosk.v1.Kiosk over a `KioskService`. Each method gets the caller in place of a context."""

    def __init__(self, service: KioskService, authentication: Authentication) -> None:
        self._service = service
        self.authentication = authentication

    async def caller(self, context: Context) -> Caller:
        """Who calls. Raises Unauthenticated."""
        brought: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
        credentials = str(brought.get("authorization", ""))
        return await self.authentication.caller(credentials, context.peer())

    @unary
    async def ListModels(self, request: pb.ListModelsRequest, caller: Caller) -> Any:
        cards = await self._service.list_models(caller=caller)
        return pb.ListModelsResponse(models=[wire.model_to_proto(card) for card in cards])

    @unary
    async def GetModel(self, request: pb.GetModelRequest, caller: Caller) -> Any:
        return wire.model_to_proto(
            await self._service.get_model(wire.id_of(request.name, "models"), caller=caller)
        )

    @mutating
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

    @unary
    async def GetUpload(self, request: pb.GetUploadRequest, caller: Caller) -> Any:
        upload = await self._service.uploads.get(wire.id_of(request.name, "uploads"), caller=caller)
        return wire.upload_to_proto(upload)

    @mutating
    async def DeleteUpload(self, request: pb.DeleteUploadRequest, caller: Caller) -> Any:
        await self._service.uploads.delete(wire.id_of(request.name, "uploads"), caller=caller)
        return pb.DeleteUploadResponse()

    @unary
    async def InspectUpload(self, request: pb.InspectUploadRequest, caller: Caller) -> Any:
        images = await self._service.inspect(
            wire.id_of(request.name, "uploads"),
            wire.reading_from_proto(request.reading),
            caller=caller,
            thumbnail_px=request.thumbnail_px,
            list_only=request.list_only,
        )
        return pb.InspectUploadResponse(images=[wire.image_to_proto(image) for image in images])

    @mutating
    async def WriteUpload(self, incoming: Incoming, caller: Caller) -> Any:
        first = await incoming.first()
        upload_id = wire.id_of(first.name, "uploads")
        uploads = self._service.uploads
        upload = await uploads.append(upload_id, first.offset_bytes, incoming.data(), caller=caller)
        if incoming.finished and not upload.complete:
            upload = await uploads.append(
                upload_id, upload.offset_bytes, _nothing(), finish=True, caller=caller
            )
        return wire.upload_to_proto(upload)

    @mutating
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

    @mutating
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

    @unary
    async def GetJob(self, request: pb.GetJobRequest, caller: Caller) -> Any:
        job = await self._service.get_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @unary
    async def ListJobs(self, request: pb.ListJobsRequest, caller: Caller) -> Any:
        jobs, token = await self._service.list_jobs(
            request.page_size,
            request.page_token,
            caller=caller,
            all_owners=request.all_owners,
            search=wire.search_from_proto(request),
        )
        # In a thread: a page of 500 takes a tenth of a second, which nobody else shall wait for.
        listed = await asyncio.to_thread(lambda: [wire.job_to_proto(job) for job in jobs])
        return pb.ListJobsResponse(jobs=listed, next_page_token=token)

    @streaming
    async def WatchJob(
        self, request: pb.WatchJobRequest, caller: Caller
    ) -> AsyncIterator[pb.JobEvent]:
        job_id = wire.id_of(request.name, "jobs")
        events = await self._service.watch_job(job_id, request.after_event_id, caller=caller)
        async for event in events:
            yield wire.event_to_proto(event)

    @mutating
    async def CancelJob(self, request: pb.CancelJobRequest, caller: Caller) -> Any:
        job = await self._service.cancel_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @mutating
    async def RedriveJob(self, request: pb.RedriveJobRequest, caller: Caller) -> Any:
        job = await self._service.redrive_job(wire.id_of(request.name, "jobs"), caller=caller)
        return wire.job_to_proto(job)

    @unary
    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, caller: Caller) -> Any:
        letters = await self._service.list_dead_letters(
            request.page_size, caller=caller, all_owners=request.all_owners
        )
        listed = [wire.dead_letter_to_proto(letter) for letter in letters]
        return pb.ListDeadLettersResponse(dead_letters=listed)

    @mutating
    async def ExtendJob(self, request: pb.ExtendJobRequest, caller: Caller) -> Any:
        job_id, until_s = wire.id_of(request.name, "jobs"), wire.seconds(request.expire_time)
        return wire.job_to_proto(await self._service.extend_job(job_id, until_s, caller=caller))

    @mutating
    async def CreateShare(self, request: pb.CreateShareRequest, caller: Caller) -> Any:
        job_id, until_s = wire.id_of(request.job, "jobs"), wire.seconds(request.expire_time)
        shares = self._service.shares
        share, token = await shares.create(job_id, until_s, caller=caller)
        return wire.share_to_proto(share, token, shares.url(token), shares.zarr_url(token))

    @unary
    async def ListShares(self, request: pb.ListSharesRequest, caller: Caller) -> Any:
        found = await self._service.shares.list(wire.id_of(request.job, "jobs"), caller=caller)
        return pb.ListSharesResponse(shares=[wire.share_to_proto(share) for share in found])

    @mutating
    async def DeleteShare(self, request: pb.DeleteShareRequest, caller: Caller) -> Any:
        job_id, share_id = wire.share_of(request.name)
        await self._service.shares.delete(job_id, share_id, caller=caller)
        return pb.DeleteShareResponse()

    @mutating
    async def DeleteJob(self, request: pb.DeleteJobRequest, caller: Caller) -> Any:
        await self._service.delete_job(wire.id_of(request.name, "jobs"), caller=caller)
        return pb.DeleteJobResponse()

    @unary
    async def ListResults(self, request: pb.ListResultsRequest, caller: Caller) -> Any:
        results = await self._service.list_results(wire.id_of(request.job, "jobs"), caller=caller)
        return pb.ListResultsResponse(results=[wire.result_to_proto(item) for item in results])

    @streaming
    async def DownloadResult(
        self, request: pb.DownloadResultRequest, caller: Caller
    ) -> AsyncIterator[pb.DownloadResultResponse]:
        job_id, file_name = wire.result_of(request.name)
        result = await self._service.get_result(job_id, file_name, caller=caller)
        chunks = await self._service.read_result(result, request.offset_bytes, caller=caller)
        async for data in chunks:
            for start in range(0, len(data), DOWNLOAD_CHUNK_BYTES):
                yield pb.DownloadResultResponse(data=data[start : start + DOWNLOAD_CHUNK_BYTES])


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


class GrpcServer:
    """A gRPC server with the Kiosk service, health and reflection."""

    def __init__(
        self,
        service: KioskService,
        authentication: Authentication,
        host: str,
        port: int,
        certificate: Certificate | None = None,
    ) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MESSAGE_BYTES),
                ("grpc.max_send_message_length", MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),  # a port in use must be an error, not a shared port
                *CONNECTION_LIMITS,
            ]
        )
        servicer = KioskServicer(service, authentication)
        pb_grpc.add_KioskServicer_to_server(servicer, self._server)  # type: ignore[no-untyped-call]
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        address = f"{host}:{port}"
        if certificate is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, certificate.grpc_credentials())

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

"""The connection of a client to a kiosk: calls, errors, and files in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import grpc
from google.rpc import error_details_pb2, status_pb2

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.errors import (
    AlreadyExists,
    InvalidRequest,
    KioskError,
    NotFound,
    Overloaded,
    TransientError,
    WrongState,
)

SEND_BYTES = 1024 * 1024
MESSAGE_BYTES = 8 * 1024 * 1024
# Short outages (a server that restarts) are bridged: 0.2, 0.4, ... s, about 25 s in all.
ATTEMPTS = 8
FIRST_PAUSE_S = 0.2

_ERROR_OF_STATUS: dict[grpc.StatusCode, type[KioskError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: TransientError,
}


@dataclass(frozen=True)
class Progress:
    """How far a call is. `stage` is uploading, or the stage of the job; 0 of 0 = not known yet."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


class Connection:
    """gRPC to one kiosk; made on first use, because it belongs to the event loop that runs then."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    @property
    def stub(self) -> Any:
        """The methods of the API as gRPC has them; their errors are those of gRPC."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self.server,
                options=[
                    # gRPC would send even loopback calls to the proxy of an institute.
                    ("grpc.enable_http_proxy", 0 if _is_loopback(self.server) else 1),
                    # A server that comes back is noticed soon; gRPC would wait up to two minutes.
                    ("grpc.initial_reconnect_backoff_ms", 200),
                    ("grpc.max_reconnect_backoff_ms", 5000),
                    ("grpc.max_receive_message_length", MESSAGE_BYTES),
                    ("grpc.max_send_message_length", MESSAGE_BYTES),
                ],
            )
            self._stub = pb_grpc.KioskStub(self._channel)  # type: ignore[no-untyped-call]
        return self._stub

    async def call(self, method: str, request: Any) -> Any:
        """One call with one answer. Raises the kiosk's own errors."""
        try:
            return await getattr(self.stub, method)(request)
        except grpc.aio.AioRpcError as error:
            raise self.error(error) from None

    def error(self, error: grpc.aio.AioRpcError) -> KioskError:
        """The kiosk's own error behind a gRPC error."""
        info = _error_info(error)
        if info is None and error.code() is grpc.StatusCode.UNAVAILABLE:
            return TransientError(
                f"The kiosk at {self.server} does not answer. Is it running? `kiosk up` starts"
                " one on this machine; --server or KIOSK_SERVER names another."
            )
        kind = _ERROR_OF_STATUS.get(error.code(), KioskError)
        return kind(error.details() or str(error.code()), reason=info or error.code().name)

    async def send(
        self, file: BinaryIO, file_name: str, size: int, progress: ProgressCallback | None
    ) -> str:
        """Upload a file; returns the upload's name. Goes on where it was after a break."""
        sha256 = await asyncio.to_thread(_sha256, file)
        file_name = file_name.encode(errors="replace").decode()  # bytes that are no text
        upload = await self.call(
            "CreateUpload",
            pb.CreateUploadRequest(file_name=file_name, size_bytes=size, sha256=sha256),
        )
        name = upload.name
        for attempt in range(ATTEMPTS):
            try:
                messages = _messages(file, name, upload.offset_bytes, size, progress)
                upload = await self.stub.WriteUpload(messages)
                return str(upload.name)
            except grpc.aio.AioRpcError as error:
                mapped = self.error(error)
                broken = error.code() is grpc.StatusCode.UNAVAILABLE
                # After a break the server may still be busy with the old connection.
                if not broken and mapped.reason != "UPLOAD_IN_PROGRESS":
                    raise mapped from None
                if attempt + 1 == ATTEMPTS:
                    raise mapped from None
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)
            upload = await self.call("GetUpload", pb.GetUploadRequest(name=name))
            if upload.complete:
                return str(upload.name)
        raise AssertionError("unreachable")

    async def receive(self, result: pb.Result, file: BinaryIO) -> None:
        """Download a result to the end of a file."""
        for attempt in range(ATTEMPTS):
            request = pb.DownloadResultRequest(name=result.name, offset_bytes=file.tell())
            try:
                async for answer in self.stub.DownloadResult(request):
                    file.write(answer.data)
                return
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt + 1 == ATTEMPTS:
                    raise self.error(error) from None
            await asyncio.sleep(FIRST_PAUSE_S * 2**attempt)


async def _messages(
    file: BinaryIO, name: str, offset: int, size: int, progress: ProgressCallback | None
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

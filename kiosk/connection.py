"""The connection of a client to a kiosk: calls, errors, and files in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import grpc
from google.rpc import error_details_pb2, status_pb2
from pydantic import SecretStr

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.errors import (
    AlreadyExists,
    InvalidRequest,
    KioskError,
    NotFound,
    Overloaded,
    PermissionDenied,
    TransientError,
    Unauthenticated,
    WrongState,
)

TLS_SCHEME = "grpcs://"
SEND_BYTES = 1024 * 1024
MESSAGE_BYTES = 8 * 1024 * 1024
# Short outages (a server that restarts) are bridged: 0.2, 0.4, ... s, about 25 s in all.
ATTEMPTS = 10
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

_ERROR_OF_STATUS: dict[grpc.StatusCode, type[KioskError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: WrongState,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: TransientError,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
}


@dataclass(frozen=True)
class Progress:
    """How far a call is. `stage` is uploading, or the stage of the job; 0 of 0 = not known yet."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def pause_s(attempt: int) -> float:
    """Wait before the next attempt, counted from 0."""
    return min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)


class Connection:
    """gRPC to one kiosk; made on first use, because it belongs to the event loop that runs then.

    Args:
        server: HOST:PORT, or grpcs://HOST:PORT for TLS.
        api_key: sent with every call; "" = none.
        ca_file: certificates that vouch for the server's, in place of the machine's; means TLS.
    """

    def __init__(self, server: str, *, api_key: SecretStr, ca_file: Path | None) -> None:
        self.server = server
        self._api_key = api_key
        self._ca_file = ca_file
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None
        self._has_answered = False

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    @property
    def stub(self) -> Any:
        """The methods of the API as gRPC has them; their errors are those of gRPC."""
        if self._channel is None:
            self._channel = self._open()
            stub = pb_grpc.KioskStub(self._channel)  # type: ignore[no-untyped-call]
            self._stub = _WithKey(stub, self._api_key)
        return self._stub

    @property
    def has_tls(self) -> bool:
        return self.server.startswith(TLS_SCHEME) or self._ca_file is not None

    def _open(self) -> grpc.aio.Channel:
        address = self.server.removeprefix(TLS_SCHEME)
        options = [
            # gRPC would send even loopback calls to the proxy of an institute.
            ("grpc.enable_http_proxy", 0 if _is_loopback(address) else 1),
            # A server that comes back is noticed soon; gRPC would wait up to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 5000),
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
        ]
        if not self.has_tls:
            return grpc.aio.insecure_channel(address, options=options)
        try:
            roots = self._ca_file.read_bytes() if self._ca_file else None
        except OSError as error:
            raise InvalidRequest(
                f"The certificates in '{self._ca_file}' cannot be read: {error.strerror or error}.",
                reason="CANNOT_READ_FILE",
            ) from error
        return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(roots), options)

    async def call(self, method: str, request: Any) -> Any:
        """One call with one answer. Raises the kiosk's own errors.

        A kiosk that has answered before is given time to come back; one that never has is told to
        be away at once. Every call may be sent twice.
        """
        for attempt in range(ATTEMPTS):
            try:
                answer = await getattr(self.stub, method)(request)
            except grpc.aio.AioRpcError as error:
                away = error.code() is grpc.StatusCode.UNAVAILABLE
                if not away or not self._has_answered or attempt + 1 == ATTEMPTS:
                    raise self.error(error) from None
            else:
                self._has_answered = True
                return answer
            await asyncio.sleep(pause_s(attempt))
        raise AssertionError("unreachable")

    def error(self, error: grpc.aio.AioRpcError) -> KioskError:
        """The kiosk's own error behind a gRPC error."""
        info = _error_info(error)
        if info is None and error.code() is grpc.StatusCode.UNAVAILABLE:
            return TransientError(self._silence())
        kind = _ERROR_OF_STATUS.get(error.code(), KioskError)
        return kind(error.details() or str(error.code()), reason=info or error.code().name)

    def _silence(self) -> str:
        if self.has_tls:
            return (
                f"The kiosk at {self.server} does not answer, or not with a certificate that this"
                " machine trusts. KIOSK_CA_FILE names the certificate of your own authority."
            )
        return (
            f"The kiosk at {self.server} does not answer. Is it running? `kiosk up` starts"
            " one on this machine; --server or KIOSK_SERVER names another, with grpcs:// in front"
            " where it speaks TLS."
        )

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
            await asyncio.sleep(pause_s(attempt))
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
            await asyncio.sleep(pause_s(attempt))


class _WithKey:
    """The methods of a stub, each called with the API key."""

    def __init__(self, stub: Any, api_key: SecretStr) -> None:
        self._stub = stub
        key = api_key.get_secret_value()
        self._metadata = (("authorization", f"Bearer {key}"),) if key else ()

    def __getattr__(self, name: str) -> Any:
        return partial(getattr(self._stub, name), metadata=self._metadata)


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

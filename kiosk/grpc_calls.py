"""How calls of the gRPC API are answered: whose they are, errors as statuses, the audit log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import grpc

from kiosk import audit, tracing, wire
from kiosk._proto import kiosk_pb2 as pb
from kiosk.errors import InvalidRequest, KioskError, TooLarge, WrongState
from kiosk.logs import about_job
from kiosk.telemetry import GRPC_REQUESTS, GRPC_SECONDS

log = logging.getLogger(__name__)

SERVICE = "kiosk.v1.Kiosk"
MESSAGE_BYTES = 4 * 1024 * 1024 + 64 * 1024  # 4 MiB of data and its envelope

Context = grpc.aio.ServicerContext


async def abort(context: Context, error: Exception) -> None:
    if not isinstance(error, KioskError):
        log.exception("a call failed", exc_info=error)
        error = KioskError("An internal error stopped this call. The log of the server has it.")
    details = ("grpc-status-details-bin", wire.rpc_status(error).SerializeToString())
    await context.abort(wire.status_of(error)[0], error.message, (details,))


@contextmanager
def counted(method: str, context: Context) -> Iterator[None]:
    """Around a call, for the metrics."""
    code = "CANCELLED"  # if its caller goes away
    try:
        yield
        code = "OK"
    except grpc.aio.AbortError:
        code = grpc_code(context)
        raise
    finally:
        GRPC_REQUESTS.labels(method, code).inc()


def grpc_code(context: Context) -> str:
    """Name of the status with which a call was ended."""
    code: Any = context.code()
    names = {status.value[0]: status.name for status in grpc.StatusCode}
    return code.name if isinstance(code, grpc.StatusCode) else names.get(code, "UNKNOWN")


@contextmanager
def observed(method: str, context: Context, *, is_traced: bool = False) -> Iterator[None]:
    """Around a call with one answer: its log lines, metrics and span.

    Calls that only look come by the thousand; they are spans where their caller is traced.
    """
    brought: dict[str, Any] = dict(context.invocation_metadata() or ())
    traceparent = str(brought.get("traceparent", ""))
    attributes = {"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": method}
    with about_job(""), counted(method, context), GRPC_SECONDS.labels(method).time():
        if not is_traced and not traceparent:
            yield
            return
        with tracing.served(f"{SERVICE}/{method}", traceparent, attributes):
            yield


def unary(method: Callable[..., Any]) -> Callable[..., Any]:
    """The caller of a call with one answer, and its errors as gRPC statuses."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Context) -> Any:
        with observed(method.__name__, context):
            try:
                return sendable(await method(self, request, await self.caller(context)))
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    raise
                await abort(context, error)

    return call


def mutating(method: Callable[..., Any]) -> Callable[..., Any]:
    """As `unary`, for a call that changes something: it leaves a line in the audit log."""

    async def audited(self: Any, request: Any, context: Context) -> Any:
        request = Incoming(request) if hasattr(request, "__aiter__") else request
        caller, answer, error = None, None, None
        try:
            caller = await self.caller(context)
            answer = sendable(await method(self, request, caller))
        except BaseException as raised:
            error = raised
        # Before the answer goes out: nobody shall know of what is not written down.
        outcome = audit.outcome_of(error) if error else audit.OK
        resource = _resource_of(answer) or _resource_of(request)
        audit.note(caller, method.__name__, resource, outcome, address=context.peer())
        if isinstance(error, Exception):
            await abort(context, error)
        elif error is not None:
            raise error
        return answer

    @wraps(method)
    async def call(self: Any, request: Any, context: Context) -> Any:
        with observed(method.__name__, context, is_traced=True):
            return await audited(self, request, context)

    return call


def _resource_of(message: Any) -> str:
    """What a request or an answer names; "" where it names nothing."""
    names = (getattr(message, field, "") for field in ("name", "job", "upload"))
    return str(next((name for name in names if name), ""))


def sendable(answer: Any) -> Any:
    """The answer. Raises TooLarge, where gRPC itself would break the call without a word."""
    if answer.ByteSize() > MESSAGE_BYTES:
        raise TooLarge(
            f"The answer has {answer.ByteSize()} bytes and a message may have {MESSAGE_BYTES}; ask"
            " for less at a time (a smaller page, one image of the file), or use the HTTP API.",
            reason="ANSWER_TOO_LARGE",
        )
    return answer


def streaming(method: Callable[..., Any]) -> Callable[..., Any]:
    """The caller of a call with a stream of answers, and its errors as gRPC statuses."""

    @wraps(method)
    async def call(self: Any, request: Any, context: Context) -> AsyncIterator[Any]:
        with counted(method.__name__, context):
            try:
                caller = await self.caller(context)
                answers = method(self, request, caller)
                async for answer in self.authentication.while_known(caller, answers):
                    yield answer
            except Exception as error:
                if isinstance(error, grpc.aio.AbortError):
                    raise
                await abort(context, error)

    return call


class Incoming:
    """The messages of a WriteUpload stream, checked for gaps."""

    def __init__(self, requests: AsyncIterator[pb.WriteUploadRequest]) -> None:
        self._requests = requests
        self._first: pb.WriteUploadRequest | None = None
        self.finished = False

    @property
    def name(self) -> str:
        """The upload that the first message names, once that has arrived."""
        return self._first.name if self._first else ""

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

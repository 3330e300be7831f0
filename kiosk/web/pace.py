"""Connections that stand still are closed, and bodies come as they are.

Who opens connections and sends a byte now and then (slow loris) could otherwise hold all that a
process can have. aiohttp closes a connection that has not sent a complete head within its time for
idle ones, whatever dribbles in; the rest is here.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import HttpVersion11, hdrs, web

from kiosk.errors import InvalidRequest
from kiosk.web.answers import OLD_UPLOAD, Handler

IDLE_S = web.AppKey("idle_s", float)
# More than most proxies keep a connection for, which must not find it closed when they use it.
DEFAULT_IDLE_S = 75.0
# A body must bring so much within the time, or its end: 900 bytes per second.
LEAST_BYTES = 64 * 1024
CHUNK_BYTES = 256 * 1024
Read = Callable[[int], Awaitable[bytes]]
OFFSET_STREAM = "application/offset+octet-stream"


@web.middleware
async def paced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take bodies that are no uploads whole, in time; close on who does not take the answer."""
    _check_coding(request)
    _give_up_after(request, request.app[IDLE_S])
    if request.can_read_body and not _is_upload(request):
        announced_bytes = request.content_length or 0
        if announced_bytes > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size, announced_bytes)
        try:
            async with asyncio.timeout(request.app[IDLE_S]):
                await request.read()  # it stays with the request
        except TimeoutError:
            raise too_slow() from None
    return await handler(request)


def _is_upload(request: web.Request) -> bool:
    """Whether the body is taken piece by piece, by whoever answers the request."""
    is_form = request.content_type == "multipart/form-data" and request.path == OLD_UPLOAD
    return is_form or request.content_type == OFFSET_STREAM


async def arriving(request: web.Request, read: Read | None = None) -> AsyncIterator[bytes]:
    """The body piece by piece, as long as it comes. Raises HTTPRequestTimeout.

    Only waiting for the sender counts, not what is done with a piece.

    Args:
        read: gives at most so many bytes, b"" at the end; default: of the body.
    """
    read, idle_s = read or request.content.read, request.app[IDLE_S]
    left_s, arrived_bytes = idle_s, 0
    while True:
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(left_s):
                data = await read(CHUNK_BYTES)
        except TimeoutError:
            raise too_slow() from None
        if not data:
            return
        left_s -= time.monotonic() - began_s
        arrived_bytes += len(data)
        if arrived_bytes >= LEAST_BYTES:
            left_s, arrived_bytes = idle_s, 0
        yield data


def _check_coding(request: web.Request) -> None:
    """Refuse what could be understood in two ways, or unpack to anything."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise web.HTTPUnsupportedMediaType(
            text="Send the body as it is, without Content-Encoding.",
            headers={"Accept-Encoding": "identity"},
        )
    if request.version < HttpVersion11 and hdrs.TRANSFER_ENCODING in request.headers:
        raise InvalidRequest("Transfer-Encoding needs HTTP/1.1.", field=hdrs.TRANSFER_ENCODING)


def _give_up_after(request: web.Request, idle_s: float) -> None:
    """Have the kernel end the connection when the answer is not taken for so long."""
    connection = request.get_extra_info("socket")
    if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
        milliseconds = int(idle_s * 1000)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def too_slow() -> web.HTTPRequestTimeout:
    """The answer to a body that dribbles in."""
    return web.HTTPRequestTimeout(
        text="The body of this request did not arrive in time. Send it again; an upload goes on"
        " where it was."
    )

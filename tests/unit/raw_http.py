"""The real web server on a port, and connections to it that send what they like."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from image_makers import tiff

from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.settings import CHECKOUT
from kiosk.testing import FakeKiosk
from kiosk.web import WebServer

HOST = b"Host: 127.0.0.1\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST_JOB = b"POST /api/v1/jobs HTTP/1.1\r\n" + JSON
HEALTH = b"GET /api/v1/health HTTP/1.1\r\n" + HOST + b"\r\n"
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


@asynccontextmanager
async def web_server(kiosk: FakeKiosk, idle_s: float = 60.0) -> AsyncIterator[WebServer]:
    tiles = kiosk.tiles()
    frontend = CHECKOUT / "frontend"
    server = WebServer(
        kiosk.service, tiles, Authentication(), frontend, "127.0.0.1", 0, idle_s=idle_s
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def serving(kiosk: FakeKiosk, idle_s: float = 60.0) -> AsyncIterator[int]:
    """The port of a server."""
    async with web_server(kiosk, idle_s) as server:
        yield server.port


class Connection:
    """Bytes to the server, and what comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def status(self, method: bytes = b"GET") -> int:
        """Of the next answer; its body is passed over."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)
        lines = head.split(b"\r\n")
        length = next(int(v) for k, _, v in (x.partition(b":") for x in lines)
                      if k.lower() == b"content-length")  # fmt: skip
        await self._reader.readexactly(0 if method == b"HEAD" else length)
        return int(head.split()[1])

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(), 10)
        return b""


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()


def spots() -> bytes:
    return tiff(_spot())


def _spot() -> np.ndarray:
    image = np.zeros((32, 32), np.uint16)
    image[10:20, 10:20] = 2000
    return image


async def finished_job(kiosk: FakeKiosk) -> str:
    """A tracked movie, which has whatever can be asked of a job."""
    movie = tiff(np.stack([_spot(), _spot()]), ome=True, metadata={"axes": "TYX"})
    upload = await kiosk.upload(movie, "cells.tif")
    job = await kiosk.service.track(upload_id=upload, model="bright", caller=LOCAL)
    await kiosk.work()
    return job.id

"""Zips that are made while they are sent; nothing is packed a second time."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from typing import IO, cast

from aiohttp import web

from kiosk.web.answers import attachment, cut_on_error

# Name in the zip, and the bytes.
Member = tuple[str, AsyncIterator[bytes]]


async def send_zip(
    request: web.Request, file_name: str, members: AsyncIterator[Member]
) -> web.StreamResponse:
    """Answer with a zip of the members as they come."""
    response = web.StreamResponse(headers=attachment(file_name))
    response.content_type = "application/zip"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    sink = _Sink()
    with (
        cut_on_error(request),
        zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive,
    ):
        async for name, chunks in members:
            with archive.open(name, "w", force_zip64=True) as member:
                async for chunk in chunks:
                    member.write(chunk)
                    await response.write(sink.take())
        archive.close()
        await response.write(sink.take())
    return response


class _Sink:
    """What zipfile writes to; it cannot seek, so sizes follow the data of each file."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data

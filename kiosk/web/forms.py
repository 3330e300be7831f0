"""Files that are sent as a form (multipart/form-data), piece by piece as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from kiosk.errors import InvalidRequest, TransientError
from kiosk.web.pace import IDLE_S, Read, arriving, too_slow

# What may stand in a form before its file; all of it has to come in the time of one request.
MOST_FIELDS = 16
# What aiohttp raises for forms that are none.
BAD_FORM = (ValueError, HttpProcessingError)


async def form_file(request: web.Request) -> tuple[str, AsyncIterator[bytes]]:
    """Name and bytes of the field `file` of a form. Raises InvalidRequest, also half-way."""
    part = await _file_part(request)
    return part.filename or "", _whole(arriving(request, _reading(part)))


async def _file_part(request: web.Request) -> BodyPartReader:
    """The field `file` of a form. Raises InvalidRequest."""
    if request.content_type != "multipart/form-data":
        raise web.HTTPUnsupportedMediaType(text="Send the file as multipart/form-data.")
    try:
        form = await request.multipart()
        async with asyncio.timeout(request.app[IDLE_S]):
            for _ in range(MOST_FIELDS):
                part = await form.next()
                if not isinstance(part, BodyPartReader):
                    break
                if part.name == "file":
                    return part
                await part.release()
    except TimeoutError:
        raise too_slow() from None
    except BAD_FORM as error:
        raise _bad_form() from error
    raise _bad_form()


def _bad_form() -> InvalidRequest:
    return InvalidRequest(
        "The form has no field named 'file' with a file in it, or is not whole.", field="file"
    )


def _reading(part: BodyPartReader) -> Read:
    async def read(size: int) -> bytes:
        while not part.at_eof():
            if data := await part.read_chunk(size):
                return data
        return b""

    return read


async def _whole(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except BAD_FORM as error:
        raise _bad_form() from error
    except (ConnectionError, web.RequestPayloadError) as error:
        raise TransientError("The connection broke during the upload.") from error

"""Resumable uploads: tus 1.0.0, https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

from kiosk import wire
from kiosk.checksums import DIGEST_BYTES, Checksum
from kiosk.errors import InvalidRequest, NotFound, TooLarge, TransientError
from kiosk.jobs import Upload
from kiosk.uploads import Uploads
from kiosk.web.answers import TUS_VERSION, UPLOADS
from kiosk.web.callers import caller_of
from kiosk.web.pace import OFFSET_STREAM, arriving

TUS_EXTENSIONS = (
    "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum"
)


class Tus:
    """Resumable uploads, https://tus.io/protocols/resumable-upload (1.0.0)."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def add_to(self, app: web.Application) -> None:
        one = UPLOADS + "/{id}"
        app.router.add_options(UPLOADS, self.options)
        app.router.add_options(one, self.options)
        app.router.add_post(UPLOADS, self.create)
        app.router.add_head(one, self.head)
        app.router.add_patch(one, self.patch)
        app.router.add_delete(one, self.delete)
        app.router.add_post(one, self.overridden)

    async def options(self, request: web.Request) -> web.Response:
        headers = {
            "Tus-Version": TUS_VERSION,
            "Tus-Extension": TUS_EXTENSIONS,
            "Tus-Max-Size": str(self._uploads.limit_bytes),
            "Tus-Checksum-Algorithm": ",".join(DIGEST_BYTES),
        }
        return web.Response(status=204, headers=headers)

    async def create(self, request: web.Request) -> web.Response:
        _check_tus_version(request)
        has_body = request.body_exists
        if has_body:
            _check_offset_stream(request)
        size_bytes = self._announced_size(request)
        metadata = _metadata(request.headers.get("Upload-Metadata", ""))
        _checksum(request)  # or an upload would be there that nobody knows
        upload = await self._uploads.create(
            metadata.get("filename", ""),
            size_bytes,
            metadata.get("sha256", ""),
            caller=caller_of(request),
        )
        if has_body or size_bytes == 0:
            upload = await self._received_first(request, upload.id)
        location = {"Location": f"{UPLOADS}/{upload.id}"}
        return web.Response(status=201, headers={**location, **_progress(upload)})

    async def _received_first(self, request: web.Request, upload_id: str) -> Upload:
        """The bytes that come with the creation; its sender knows no address to send more to."""
        try:
            return await self._receive(request, upload_id, 0)
        except InvalidRequest as error:
            if error.reason == "CHECKSUM_MISMATCH":
                with suppress(NotFound):
                    await self._uploads.delete(upload_id, caller=caller_of(request))
            raise

    async def head(self, request: web.Request) -> web.Response:
        _check_tus_version(request)
        upload = await self._uploads.get(request.match_info["id"], caller=caller_of(request))
        length = {"Upload-Length": str(upload.size_bytes)}
        if upload.size_bytes < 0:
            length = {"Upload-Defer-Length": "1"}
        return web.Response(headers={**length, **_progress(upload)})

    async def patch(self, request: web.Request) -> web.Response:
        _check_tus_version(request)
        _check_offset_stream(request)
        offset_bytes = _number(request, "Upload-Offset")
        upload = await self._receive(request, request.match_info["id"], offset_bytes)
        return web.Response(status=204, headers=_progress(upload))

    async def delete(self, request: web.Request) -> web.Response:
        _check_tus_version(request)
        await self._uploads.delete(request.match_info["id"], caller=caller_of(request))
        return web.Response(status=204)

    async def overridden(self, request: web.Request) -> web.Response:
        """Some proxies let only GET and POST through; the protocol has a header for that."""
        methods = {"PATCH": self.patch, "DELETE": self.delete}
        method = request.headers.get("X-HTTP-Method-Override", "")
        if method not in methods:
            raise web.HTTPMethodNotAllowed("POST", ["DELETE", "HEAD", "OPTIONS", "PATCH"])
        return await methods[method](request)

    def _announced_size(self, request: web.Request) -> int:
        deferred = request.headers.get("Upload-Defer-Length")
        if deferred is None:
            return _number(request, "Upload-Length")
        if deferred != "1" or "Upload-Length" in request.headers:
            raise InvalidRequest(
                "Give either Upload-Length, or Upload-Defer-Length with the value 1.",
                field="Upload-Defer-Length",
            )
        return -1

    async def _receive(self, request: web.Request, upload_id: str, offset_bytes: int) -> Upload:
        """Take the body; a length that was deferred comes with the request that ends the file."""
        caller = caller_of(request)
        upload = await self._uploads.append(
            upload_id, offset_bytes, _body(request), caller=caller, checksum=_checksum(request)
        )
        if upload.complete or "Upload-Length" not in request.headers:
            return upload
        length_bytes = _number(request, "Upload-Length")
        if upload.offset_bytes > length_bytes:
            raise TooLarge(
                f"More bytes arrived than the {length_bytes} that were announced.",
                reason="MORE_THAN_ANNOUNCED",
            )
        if upload.offset_bytes == length_bytes:
            upload = await self._uploads.append(
                upload_id, length_bytes, _nothing(), finish=True, caller=caller
            )
        return upload


def _check_tus_version(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable") != TUS_VERSION:
        raise web.HTTPPreconditionFailed(
            text=f"This kiosk speaks tus {TUS_VERSION}. Send the header Tus-Resumable with it.",
            headers={"Tus-Version": TUS_VERSION},
        )


def _check_offset_stream(request: web.Request) -> None:
    if request.content_type != OFFSET_STREAM:
        raise web.HTTPUnsupportedMediaType(
            text=f"The bytes of an upload have the Content-Type {OFFSET_STREAM}."
        )


def _progress(upload: Upload) -> dict[str, str]:
    return {
        "Upload-Offset": str(upload.offset_bytes),
        "Upload-Expires": wire.http_date(upload.expire_time_s),
    }


def _number(request: web.Request, name: str) -> int:
    """A header that is a count of bytes."""
    text = request.headers.get(name, "")
    # 18 digits are 10^18 bytes; int() of what an attacker sends needs a bound.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidRequest(f"The header {name} must be a number of bytes.", field=name)
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata: key base64,key base64` as a dictionary."""
    found = {}
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except ValueError as error:  # also where it is not ASCII
            raise InvalidRequest(
                f"The value of '{key}' in Upload-Metadata is not UTF-8 in base64.",
                field="Upload-Metadata",
            ) from error
    return found


def _checksum(request: web.Request) -> Checksum | None:
    """Of the body, where one is announced. Raises InvalidRequest."""
    announced = request.headers.get("Upload-Checksum")
    return None if announced is None else Checksum.parsed(announced)


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in arriving(request):
            yield chunk
    except (ConnectionError, web.RequestPayloadError) as error:
        raise TransientError("The connection broke during the upload.") from error


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""

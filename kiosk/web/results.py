"""The files that jobs have produced: whole, from an offset on, or all as one zip."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from typing import IO, cast
from urllib.parse import quote

from aiohttp import web

from kiosk import wire
from kiosk.authentication import Authentication
from kiosk.jobs import ResultFile, result_stem
from kiosk.service import KioskService
from kiosk.web.answers import API, cut_on_error
from kiosk.web.callers import caller_of
from kiosk.web.ranges import wanted_range


class Results:
    """The files that jobs have produced."""

    def __init__(self, service: KioskService, authentication: Authentication) -> None:
        self._service = service
        self._authentication = authentication

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(API + "/jobs/{id}/results", self.list)
        app.router.add_get(API + "/jobs/{id}/results.zip", self.archive)
        app.router.add_get(API + "/jobs/{id}/results/{file}", self.download)

    async def list(self, request: web.Request) -> web.Response:
        results = await self._service.list_results(
            request.match_info["id"], caller=caller_of(request)
        )
        return web.json_response({"results": [wire.result_to_json(item) for item in results]})

    async def download(self, request: web.Request) -> web.StreamResponse:
        result = await self._service.get_result(
            request.match_info["id"], request.match_info["file"], caller=caller_of(request)
        )
        etag = f'"{result.job_id}-{result.size_bytes}"'  # a result never changes
        start, stop = wanted_range(request, result.size_bytes, etag)
        headers = {**_attachment(result.file_name), "Accept-Ranges": "bytes", "ETag": etag}
        response = web.StreamResponse(headers=headers)
        response.content_type = result.media_type
        response.content_length = stop - start
        if stop - start < result.size_bytes:
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{result.size_bytes}"
        await response.prepare(request)
        if request.method != "HEAD":
            with cut_on_error(request):
                await _send(response, await self._bytes(request, result, start), stop - start)
        return response

    async def archive(self, request: web.Request) -> web.StreamResponse:
        """All results as one zip file, made while it is sent; nothing is packed a second time."""
        job = await self._service.get_job(request.match_info["id"], caller=caller_of(request))
        results = await self._service.list_results(job.id, caller=caller_of(request))
        response = web.StreamResponse(
            headers=_attachment(f"{result_stem(job.file_name)}_results.zip")
        )
        response.content_type = "application/zip"
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        sink = _Sink()
        with (
            cut_on_error(request),
            zipfile.ZipFile(cast(IO[bytes], sink), "w", zipfile.ZIP_STORED) as archive,
        ):
            for result in results:
                with archive.open(result.file_name, "w", force_zip64=True) as member:
                    async for chunk in await self._bytes(request, result):
                        member.write(chunk)
                        await response.write(sink.take())
            archive.close()
            await response.write(sink.take())
        return response

    async def _bytes(
        self, request: web.Request, result: ResultFile, offset_bytes: int = 0
    ) -> AsyncIterator[bytes]:
        """The bytes of a result, for as long as the caller's credentials hold."""
        caller = caller_of(request)
        chunks = await self._service.read_result(result, offset_bytes, caller=caller)
        return self._authentication.while_known(caller, chunks)


async def _send(
    response: web.StreamResponse, chunks: AsyncIterator[bytes], remaining_bytes: int
) -> None:
    async for chunk in chunks:
        await response.write(chunk[:remaining_bytes])
        remaining_bytes -= len(chunk)
        if remaining_bytes <= 0:
            return


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


def _attachment(file_name: str) -> dict[str, str]:
    """Content-Disposition with the name in UTF-8 (RFC 5987) and in ASCII for old programs."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in file_name)
    encoded = quote(file_name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"}

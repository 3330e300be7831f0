"""The files that jobs have produced: whole, from an offset on, or all as one zip."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from kiosk import wire
from kiosk.authentication import Authentication
from kiosk.jobs import ResultFile, result_stem
from kiosk.service import KioskService
from kiosk.web.answers import API, attachment, cut_on_error, told_once
from kiosk.web.callers import caller_of
from kiosk.web.ranges import wanted_range
from kiosk.web.zips import Member, send_zip


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
        return told_once(request, {"results": [wire.result_to_json(item) for item in results]})

    async def download(self, request: web.Request) -> web.StreamResponse:
        result = await self._service.get_result(
            request.match_info["id"], request.match_info["file"], caller=caller_of(request)
        )
        etag = f'"{result.job_id}-{result.size_bytes}"'  # a result never changes
        start, stop = wanted_range(request, result.size_bytes, etag)
        headers = {**attachment(result.file_name), "Accept-Ranges": "bytes", "ETag": etag}
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
        """All results as one zip file."""
        job = await self._service.get_job(request.match_info["id"], caller=caller_of(request))
        results = await self._service.list_results(job.id, caller=caller_of(request))

        async def members() -> AsyncIterator[Member]:
            for result in results:
                yield result.file_name, await self._bytes(request, result)

        return await send_zip(request, f"{result_stem(job.file_name)}_results.zip", members())

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

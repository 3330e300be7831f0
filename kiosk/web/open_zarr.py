"""A job as OME-Zarr at an address that other programs open: napari, vizarr, neuroglancer, Fiji.

The address holds the token of a share link, so whoever has it needs no more: it reads one job until
the link ends or is withdrawn. Only here may pages of other sites read: viewers are such pages.
"""

from __future__ import annotations

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.errors import NotFound, Unauthenticated, WrongState
from kiosk.web.answers import OPEN_PATH
from kiosk.web.ranges import wanted_range
from kiosk.zarr_view import ZarrView

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    "Access-Control-Allow-Headers": "Range, If-Range, Cache-Control, Accept",
    "Access-Control-Max-Age": "86400",
}
# The link may be withdrawn, so what was read with it is kept for a short time only.
_KEEP_CHUNK = "private, max-age=300"


class OpenZarr:
    """The files of that OME-Zarr."""

    def __init__(self, view: ZarrView, authentication: Authentication) -> None:
        self._view, self._authentication = view, authentication

    def add_to(self, app: web.Application) -> None:
        resource = app.router.add_resource(OPEN_PATH.replace("{path}", "{path:.*}"))
        resource.add_route("GET", self.read)
        resource.add_route("HEAD", self.read)
        resource.add_route("OPTIONS", self.preflight)
        app.on_response_prepare.append(_add_cors)

    async def read(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        try:
            caller = await self._authentication.guest(request.match_info["token"])
            data = await self._view.read(caller.job_id, path, caller=caller)
        except (Unauthenticated, WrongState):
            raise NotFound("There is nothing at this address, or its link has ended.") from None
        start, stop = wanted_range(request, len(data), "")
        is_chunk = not path.rpartition("/")[2].startswith(".")
        headers = {
            "Accept-Ranges": "bytes",
            "Cache-Control": _KEEP_CHUNK if is_chunk else "no-cache",
        }
        status = 200
        if stop - start < len(data):
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        return web.Response(
            body=data[start:stop],
            status=status,
            headers=headers,
            content_type="application/octet-stream" if is_chunk else "application/json",
        )

    async def preflight(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers=_PREFLIGHT)


async def _add_cors(request: web.Request, response: web.StreamResponse) -> None:
    """Also to errors: viewers must be able to read that a chunk is not there."""
    if request.path.startswith("/open/"):
        response.headers.update(CORS)

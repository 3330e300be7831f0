"""Planes and labels for the viewer of the page."""

from __future__ import annotations

from aiohttp import web

from kiosk.previews import Previews
from kiosk.web.answers import API
from kiosk.web.callers import caller_of

# They never change, so browsers may keep them.
KEEP = {"Cache-Control": "private, max-age=86400, immutable"}


class Pictures:
    """Planes and labels for the viewer of the page. They never change, so browsers keep them."""

    def __init__(self, previews: Previews) -> None:
        self._previews = previews

    def add_to(self, app: web.Application) -> None:
        plane = API + r"/jobs/{id}/planes/{index:\d{1,9}}"
        app.router.add_get(API + "/jobs/{id}/planes", self.planes)
        app.router.add_get(f"{plane}/picture.png", self.picture)
        app.router.add_get(f"{plane}/labels", self.labels)

    async def planes(self, request: web.Request) -> web.Response:
        found = await self._previews.planes(request.match_info["id"], caller=caller_of(request))
        return web.json_response(
            {
                "width_px": found.width_px,
                "height_px": found.height_px,
                "picture_width_px": found.picture_width_px,
                "picture_height_px": found.picture_height_px,
                "channels": found.channels,
                "pixel_size_um": found.pixel_size_um,
                "has_labels": found.has_labels,
                "planes": [{"index": i, "t": t, "z": z} for i, (t, z) in enumerate(found.planes)],
            }
        )

    async def picture(self, request: web.Request) -> web.Response:
        job_id, index = request.match_info["id"], int(request.match_info["index"])
        png = await self._previews.picture(job_id, index, caller=caller_of(request))
        return web.Response(body=png, content_type="image/png", headers=KEEP)

    async def labels(self, request: web.Request) -> web.Response:
        job_id, index = request.match_info["id"], int(request.match_info["index"])
        labels = await self._previews.labels(job_id, index, caller=caller_of(request))
        sizes = {"X-Width": str(labels.width_px), "X-Height": str(labels.height_px)}
        headers = {**KEEP, **sizes, "Content-Encoding": "gzip"}
        return web.Response(
            body=labels.data, content_type="application/octet-stream", headers=headers
        )

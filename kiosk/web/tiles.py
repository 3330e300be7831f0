"""Tiles of images and labels, for the viewer of the page."""

from __future__ import annotations

from dataclasses import asdict

from aiohttp import web

from kiosk.image_info import TileAt
from kiosk.tiles import Tiles
from kiosk.web.answers import API, KEEP
from kiosk.web.callers import caller_of
from kiosk.web.readings import reading_of

_OF_IMAGE = ("level", "t", "z", "c", "row", "column")
_OF_LABELS = ("level", "t", "z", "row", "column")


class ImageTiles:
    """Images and labels of jobs and uploads. Tiles never change, so browsers keep them."""

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles

    def add_to(self, app: web.Application) -> None:
        image, labels = _path(_OF_IMAGE), _path(_OF_LABELS)
        for things, info, tile, label_tile in (
            ("jobs", self.job, self.job_tile, self.job_labels),
            ("uploads", self.upload, self.upload_tile, self.upload_labels),
        ):
            of_one = f"{API}/{things}/{{id}}"
            app.router.add_get(f"{of_one}/image", info)
            app.router.add_get(f"{of_one}/image{image}", tile)
            app.router.add_get(f"{of_one}/labels{labels}", label_tile)

    async def job(self, request: web.Request) -> web.Response:
        found = await self._tiles.job_image(request.match_info["id"], caller=caller_of(request))
        return web.json_response(asdict(found))

    async def job_tile(self, request: web.Request) -> web.Response:
        job_id, caller = request.match_info["id"], caller_of(request)
        return _tile(await self._tiles.job_tile(job_id, _at(request), caller=caller))

    async def job_labels(self, request: web.Request) -> web.Response:
        job_id, caller = request.match_info["id"], caller_of(request)
        return _tile(await self._tiles.job_labels(job_id, _at(request), caller=caller))

    async def upload(self, request: web.Request) -> web.Response:
        reading, caller = reading_of(request.query), caller_of(request)
        upload_id = request.match_info["id"]
        found = await self._tiles.upload_image(upload_id, reading, caller=caller)
        return web.json_response(asdict(found))

    async def upload_tile(self, request: web.Request) -> web.Response:
        reading, caller = reading_of(request.query), caller_of(request)
        upload_id = request.match_info["id"]
        return _tile(await self._tiles.upload_tile(upload_id, reading, _at(request), caller=caller))

    async def upload_labels(self, request: web.Request) -> web.Response:
        reading, caller = reading_of(request.query), caller_of(request)
        upload_id = request.match_info["id"]
        return _tile(
            await self._tiles.upload_labels(upload_id, reading, _at(request), caller=caller)
        )


def _path(names: tuple[str, ...]) -> str:
    return "".join(f"/{{{name}:\\d{{1,9}}}}" for name in names)


def _at(request: web.Request) -> TileAt:
    found = request.match_info
    return TileAt(**{name: int(found[name]) for name in _OF_IMAGE if name in found})


def _tile(packed: bytes) -> web.Response:
    return web.Response(
        body=packed,
        content_type="application/octet-stream",
        headers={**KEEP, "Content-Encoding": "gzip"},
    )

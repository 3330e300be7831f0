"""What the kiosk sees in an upload, and which result formats there are."""

from __future__ import annotations

from aiohttp import web

from kiosk import wire
from kiosk.exports import FORMATS
from kiosk.service import KioskService
from kiosk.web.answers import API
from kiosk.web.callers import caller_of
from kiosk.web.readings import number_of, reading_of


class Inspections:
    """What the kiosk sees in an upload, and which result formats there are."""

    def __init__(self, service: KioskService) -> None:
        self._service = service

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(API + "/uploads/{id}/images", self.images)
        app.router.add_get(f"{API}/formats", self.formats)

    async def images(self, request: web.Request) -> web.Response:
        """The images of an upload; the query is ReadOptions, `thumbnail_px`, `list_only`."""
        query = request.query
        reading = reading_of(query)
        images = await self._service.inspect(
            request.match_info["id"],
            reading,
            caller=caller_of(request),
            thumbnail_px=int(number_of(query, "thumbnail_px")),
            list_only=bool(number_of(query, "list_only")),
        )
        return web.json_response({"images": [wire.image_to_json(image) for image in images]})

    async def formats(self, request: web.Request) -> web.Response:
        listed = [
            {
                "name": name,
                "ending": item.ending,
                "description": item.description,
                "opens_with": item.opens_with,
                "is_default": item.is_default,
            }
            for name, item in FORMATS.items()
            if not item.missing
        ]
        return web.json_response({"formats": listed})

"""What the kiosk sees in an upload, and which result formats there are."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from kiosk import wire
from kiosk.errors import InvalidRequest
from kiosk.exports import FORMATS
from kiosk.reading import ReadOptions
from kiosk.service import KioskService
from kiosk.web.answers import API
from kiosk.web.callers import caller_of


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
        reading = ReadOptions(
            member=query.get("member", ""),
            series=int(_number(query, "series")),
            axes=query.get("axes", ""),
            pixel_size_um=_number(query, "pixel_size_um"),
            z_step_um=_number(query, "z_step_um"),
        )
        images = await self._service.inspect(
            request.match_info["id"],
            reading,
            caller=caller_of(request),
            thumbnail_px=int(_number(query, "thumbnail_px")),
            list_only=bool(_number(query, "list_only")),
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


def _number(query: Mapping[str, str], name: str) -> float:
    """A number of the query that is not negative; 0 where it is missing."""
    text = query.get(name, "0")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 2**31:
        raise InvalidRequest(f"'{name}' must be a number, not '{text[:50]}'.", field=name)
    return value

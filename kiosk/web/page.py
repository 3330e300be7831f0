"""The files of the web page."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from kiosk.errors import NotFound


class Page:
    """The files of the web page."""

    def __init__(self, frontend: Path) -> None:
        self._frontend = frontend

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/", self.index)
        app.router.add_get("/jobs/{id}", self.index)
        # One flat folder: a name has no slash, so nothing outside can be asked for.
        app.router.add_get("/static/{name:[A-Za-z0-9_.-]+}", self.file)

    async def file(self, request: web.Request) -> web.StreamResponse:
        path = self._frontend / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def index(self, request: web.Request) -> web.StreamResponse:
        index = self._frontend / "index.html"
        if not index.is_file():
            raise NotFound(
                f"The files of the web page are not in {self._frontend}. Set KIOSK_FRONTEND to"
                " their folder; the API works without them."
            )
        return web.FileResponse(index)

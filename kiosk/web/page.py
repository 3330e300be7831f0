"""The files of the web page."""

from __future__ import annotations

import asyncio
import gzip
import re
from pathlib import Path

from aiohttp import web

from kiosk.errors import NotFound

# The build puts a hash of a file's content into its name ("index-BYkPQDCd.js"): what has such a
# name never changes.
HASHED = re.compile(r"-[A-Za-z0-9_-]{8}\.[a-z0-9]+$")
KEPT = "public, max-age=31536000, immutable"
PACKED = (".css", ".js")


class Page:
    """The files of the web page."""

    def __init__(self, frontend: Path) -> None:
        self._frontend = frontend
        self._packed: dict[str, bytes] = {}

    def add_to(self, app: web.Application) -> None:
        # One file is every page; it shows what the address says.
        for address in ("/", "/jobs/{id}", "/compare"):
            app.router.add_get(address, self.index)
        # One flat folder: a name has no slash, so nothing outside can be asked for.
        app.router.add_get("/static/{name:[A-Za-z0-9_.-]+}", self.file)

    async def file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        path = self._frontend / name
        if not path.is_file():
            raise web.HTTPNotFound
        if not HASHED.search(name):
            return web.FileResponse(path)
        headers = {"Cache-Control": KEPT}
        if path.suffix not in PACKED or "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.FileResponse(path, headers=headers)
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        media_type = "text/css" if path.suffix == ".css" else "text/javascript"
        return web.Response(body=await self._gzip(path), content_type=media_type, headers=headers)

    async def _gzip(self, path: Path) -> bytes:
        """A file that never changes, packed once."""
        if path.name not in self._packed:
            data = await asyncio.to_thread(path.read_bytes)
            self._packed[path.name] = await asyncio.to_thread(gzip.compress, data, mtime=0)
        return self._packed[path.name]

    async def index(self, request: web.Request) -> web.StreamResponse:
        index = self._frontend / "index.html"
        if not index.is_file():
            raise NotFound(
                f"The files of the web page are not in {self._frontend}. Set KIOSK_FRONTEND to"
                " their folder; the API works without them."
            )
        return web.FileResponse(index)

"""Signing in on the page: an API key is exchanged for a cookie that no script can read."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.web.answers import API
from kiosk.web.bodies import KeyBody, body_of
from kiosk.web.callers import SESSION_COOKIE, caller_of, recognised

SESSION = f"{API}/session"


class Sessions:
    """Signing in and out, and who is signed in."""

    def __init__(self, authentication: Authentication, public_url: str = "") -> None:
        self._authentication = authentication
        self._is_public_by_tls = public_url.startswith("https://")

    def add_to(self, app: web.Application) -> None:
        app.router.add_get(SESSION, self.show)
        app.router.add_post(SESSION, self.begin)
        app.router.add_delete(SESSION, self.end)

    async def show(self, request: web.Request) -> web.Response:
        """Who is signed in; 401 where nobody is and somebody has to be."""
        return web.json_response(_described(caller_of(request)))

    async def begin(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, KeyBody, '{"key": "..."}')
        caller, token, lasts_s = await self._authentication.begin_session(wanted.key)
        recognised(request, caller.at(request.remote or ""))
        response = web.json_response(_described(caller))
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=int(lasts_s),
            path="/",
            secure=request.secure or self._is_public_by_tls,
            httponly=True,
            samesite="Strict",
        )
        return response

    async def end(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        response.del_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="Strict")
        return response


def _described(caller: Caller) -> dict[str, Any]:
    return {"owner": caller.owner, "scopes": sorted(caller.scopes)}

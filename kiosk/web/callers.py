"""Who sends a request: asked once per request, before anything else."""

from __future__ import annotations

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.errors import Unauthenticated
from kiosk.web.answers import API, Handler

_CALLER = web.RequestKey("caller", Caller)
# What nobody is asked for: the files of the page, and what tells nothing of anybody.
PUBLIC = frozenset(
    {"/", "/jobs/{id}", "/static/{name}", f"{API}/formats", f"{API}/health", f"{API}/openapi.json"}
)


def caller_of(request: web.Request) -> Caller:
    """The caller whom the middleware found. Raises Unauthenticated."""
    caller = request.get(_CALLER)
    if caller is None:
        raise Unauthenticated("Nobody is signed in.")
    return caller


def is_known(request: web.Request) -> bool:
    """Whether there is a caller; there may be none where nobody is asked."""
    return _CALLER in request


class Recognition:
    """The middleware that finds the caller of each request."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        credentials = request.headers.get("Authorization", "")
        try:
            request[_CALLER] = await self._authentication.caller(credentials, request.remote or "")
        except Unauthenticated:
            if not _is_public(request):
                raise
        return await handler(request)


def _is_public(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    # An address that leads nowhere is a 404 for everybody; OPTIONS says what the protocol can do.
    return resource is None or resource.canonical in PUBLIC or request.method == "OPTIONS"

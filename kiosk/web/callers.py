"""Who sends a request: asked once per request, before anything else."""

from __future__ import annotations

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.callers import Caller
from kiosk.errors import Unauthenticated
from kiosk.web.answers import API, OLD_API, OPEN_PATH, Handler
from kiosk.web.same_origin import READING, SameOrigin

SESSION_COOKIE = "kiosk_session"
SHARE_COOKIE = "kiosk_share"
_CALLER = web.RequestKey("caller", Caller)
# What nobody is asked for: the files of the page, signing in, and what tells nothing of anybody.
PUBLIC = frozenset(
    {"/", "/jobs/{id}", "/s/{token}", "/static/{name}", OPEN_PATH}
    | {f"{OLD_API}/health-check"}
    | {f"{API}/{name}" for name in ("formats", "health", "openapi.json", "session")}
)


def caller_of(request: web.Request) -> Caller:
    """The caller whom the middleware found. Raises Unauthenticated."""
    caller = caller_or_none(request)
    if caller is None:
        raise Unauthenticated("Nobody is signed in.")
    return caller


def caller_or_none(request: web.Request) -> Caller | None:
    """The caller, if there is one; there may be none where nobody is asked."""
    return request.get(_CALLER)


def recognised(request: web.Request, caller: Caller) -> None:
    """Note who a caller turned out to be."""
    request[_CALLER] = caller


class Recognition:
    """The middleware that finds the caller of each request."""

    def __init__(
        self, authentication: Authentication, public_url: str = "", *, is_local: bool = False
    ) -> None:
        self._authentication = authentication
        self._same_origin = SameOrigin(public_url, is_local=is_local)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            recognised(request, await self._caller(request))
        except Unauthenticated:
            if not _is_public(request):
                raise
        return await handler(request)

    async def _caller(self, request: web.Request) -> Caller:
        address = request.remote or ""
        credentials = request.headers.get("Authorization", "")
        session = request.cookies.get(SESSION_COOKIE, "")
        by_cookie = bool(session) and not credentials
        self._same_origin.check(request, by_cookie=by_cookie)
        if guest := await self._guest(request):
            return guest.at(address)
        if by_cookie:
            credentials = f"Bearer {session}"
        return await self._authentication.caller(credentials, address)

    async def _guest(self, request: web.Request) -> Caller | None:
        """Who came by a share link and only looks, also when somebody is signed in here as well.

        The link shows what its owner would see; whoever wants to do more does it by a session.
        """
        token = request.cookies.get(SHARE_COOKIE, "")
        if not token or request.method not in READING or "Authorization" in request.headers:
            return None
        try:
            return await self._authentication.guest(token)
        except Unauthenticated:
            return None  # it has ended; the session may still open the job


def _is_public(request: web.Request) -> bool:
    resource = request.match_info.route.resource
    # An address that leads nowhere is a 404 for everybody; OPTIONS says what the protocol can do.
    return resource is None or resource.canonical in PUBLIC or request.method == "OPTIONS"

"""Whether a request comes from a page of this kiosk and not from another site's."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from kiosk.errors import PermissionDenied
from kiosk.exposure import is_loopback

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class SameOrigin:
    """Refuses requests that change something and that a page of another site has sent.

    Browsers send cookies along, whoever has written the page, and reach what only this machine
    reaches; which page it was is in headers that no page can set.

    Args:
        public_url: where people reach the page, if a proxy in front does not keep the host's name.
        is_local: nobody is asked who they are, because only this machine reaches the server. Then
            requests must be for this machine by name: another site could let its own name lead
            here, and its page would be of the same origin (DNS rebinding).
    """

    def __init__(self, public_url: str = "", *, is_local: bool = False) -> None:
        self._public_host = urlsplit(public_url).netloc
        self._is_local = is_local

    def check(self, request: web.Request, *, by_cookie: bool) -> None:
        """Raises PermissionDenied.

        Args:
            by_cookie: the caller was recognised by a cookie, so a browser must have sent this.
        """
        if self._is_local and not self._is_for_this_machine(request):
            raise PermissionDenied(
                "This kiosk serves this machine alone, by the name localhost or 127.0.0.1. If you"
                " reach it by another name, set KIOSK_LISTEN__PUBLIC_URL.",
                reason="WRONG_HOST",
            )
        if request.method in READING:
            return
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin")
        if site is None and origin is None:
            is_ours = not by_cookie
        elif site is not None:
            is_ours = site == "same-origin"
        else:  # an older browser, or a page without TLS
            host = urlsplit(origin or "").netloc  # "" for pages without an origin
            is_ours = bool(host) and host in (request.host, self._public_host)
        if not is_ours:
            raise PermissionDenied(
                "This request comes from the page of another site. Programs send an API key as"
                " bearer token, without cookies.",
                reason="CROSS_SITE",
            )

    def _is_for_this_machine(self, request: web.Request) -> bool:
        try:
            name = urlsplit(f"//{request.host}").hostname or ""
        except ValueError:
            return False
        return is_loopback(name) or request.host == self._public_host

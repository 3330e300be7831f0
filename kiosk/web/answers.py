"""Errors as problem details (RFC 9457), and the headers of every answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import web

from kiosk import wire
from kiosk.errors import KioskError

log = logging.getLogger(__name__)

API = "/api/v1"
UPLOADS = f"{API}/uploads"
OPEN_PATH = "/open/{token}/image.ome.zarr/{path}"
TUS_VERSION = "1.0.0"
# What an error of aiohttp's says besides its sentence.
KEPT_HEADERS = ("Allow", "Content-Range", "Tus-Version")
CHECKSUM_MISMATCH_STATUS = 460  # from the tus protocol, not from HTTP

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as problem details; none with a traceback."""
    try:
        return await handler(request)
    except KioskError as error:
        return _problem(wire.problem_json(error), error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        kept = {name: error.headers[name] for name in KEPT_HEADERS if name in error.headers}
        return _problem(_http_problem(error, request), headers=kept)
    except Exception as error:
        log.exception("%s %s failed", request.method, _told_path(request), exc_info=error)
        internal = KioskError("An internal error stopped this request. The server's log has it.")
        return _problem(wire.problem_json(internal))


def _told_path(request: web.Request) -> str:
    """The address as logs may have it: without the token of a share link, which opens a job."""
    resource = request.match_info.route.resource
    if resource is not None and "{token}" in resource.canonical:
        return resource.canonical
    return request.rel_url.raw_path


def _problem(
    problem: dict[str, Any], error: KioskError | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    if error is not None and error.reason == "CHECKSUM_MISMATCH":
        problem["status"] = CHECKSUM_MISMATCH_STATUS
    response = web.json_response(
        problem,
        status=problem["status"],
        headers=headers,
        content_type="application/problem+json",
    )
    if response.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="kiosk"'
    if response.status in (429, 503):
        response.headers["Retry-After"] = str(wire.RETRY_AFTER_S)
    return response


def _http_problem(error: web.HTTPException, request: web.Request) -> dict[str, Any]:
    """Problem details of an error that aiohttp raised, or this file for a status of HTTP's own."""
    sentences = {
        404: "There is nothing at this address.",
        405: f"This address does not take {request.method}.",
        413: "The request is too large.",
    }
    default = f"{error.status}: {error.reason}"  # what aiohttp puts when nothing was said
    said = error.text if error.text and error.text != default else ""
    return {
        "type": "about:blank",
        "title": error.reason,
        "status": error.status,
        "detail": sentences.get(error.status) or said or f"{error.reason}.",
        "reason": error.reason.upper().replace(" ", "_"),
    }


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")
    else:
        # The files have no version in their names: keep them, but ask (ETag) before each use.
        response.headers.setdefault("Cache-Control", "no-cache")
    if request.path == UPLOADS or request.path.startswith(f"{UPLOADS}/"):
        response.headers["Tus-Resumable"] = TUS_VERSION


@contextmanager
def cut_on_error(request: web.Request) -> Iterator[None]:
    """An answer that has begun can only be cut off, so that nobody takes it for whole."""
    try:
        yield
    except ConnectionError:
        log.debug("the client went away during %s", _told_path(request))
    except Exception:
        log.exception("%s %s failed half-way", request.method, _told_path(request))
        if request.transport is not None:
            request.transport.abort()

"""Errors as problem details (RFC 9457), and the headers of every answer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import ETag, web

from kiosk import wire
from kiosk.errors import KioskError

log = logging.getLogger(__name__)

API = "/api/v1"
UPLOADS = f"{API}/uploads"
# The API of the DeepCell Kiosk (deepcell.py). Some of its POSTs only ask, again and again.
OLD_API = "/api"
OLD_UPLOAD = f"{OLD_API}/upload"
ASKING = frozenset({f"{OLD_API}/redis", f"{OLD_API}/redis/expire", f"{OLD_API}/status"})
OPEN_PATH = "/open/{token}/image.ome.zarr/{path}"
TUS_VERSION = "1.0.0"
# What an error of aiohttp's says besides its sentence.
KEPT_HEADERS = ("Allow", "Content-Range", "Tus-Version")
ETAG_DIGITS = 32
CHECKSUM_MISMATCH_STATUS = 460  # from the tus protocol, not from HTTP

# Of results and what is made of them, which never change: browsers may keep it.
KEEP = {"Cache-Control": "private, max-age=86400, immutable"}

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


def told_once(request: web.Request, data: Any) -> web.Response:
    """Data as JSON with an ETag of its content; 304 without it for who has it already."""
    body = json.dumps(data).encode()
    etag = hashlib.sha256(body).hexdigest()[:ETAG_DIGITS]
    # Kept by the browser of whoever may see it, and asked for before each use.
    headers = {"Cache-Control": "private, no-cache"}
    if etag in {known.value for known in _known_tags(request)}:
        response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    else:
        response = web.Response(body=body, content_type="application/json", headers=headers)
    response.etag = etag
    return response


def _known_tags(request: web.Request) -> tuple[ETag, ...]:
    """Those in If-None-Match; none where it is not understood."""
    try:
        return request.if_none_match or ()
    except ValueError:
        return ()


def attachment(file_name: str) -> dict[str, str]:
    """Content-Disposition with the name in UTF-8 (RFC 5987) and in ASCII for old programs."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%' else "_" for c in file_name)
    encoded = quote(file_name, safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"}


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

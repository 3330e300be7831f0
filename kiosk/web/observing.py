"""Each request for those who look on: its log lines, its metrics and its span."""

from __future__ import annotations

import time

from aiohttp import web

from kiosk import tracing
from kiosk.logs import about_job
from kiosk.telemetry import HTTP_REQUESTS, HTTP_SECONDS
from kiosk.web.answers import OLD_API, Handler
from kiosk.web.same_origin import READING

NOWHERE = "none"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@web.middleware
async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Around everything else. A connection is one task for many requests: nothing may stay."""
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else NOWHERE
    started, code, is_whole = time.perf_counter(), 499, False  # 499: the caller went away
    try:
        with about_job(""):
            response = await _spanned(request, handler, route)
        code, is_whole = response.status, isinstance(response, web.Response)
        return response
    except web.HTTPException as answer:
        code, is_whole = answer.status, True
        raise
    finally:
        method = request.method if request.method in METHODS else "other"
        HTTP_REQUESTS.labels(route, method, str(code)).inc()
        if is_whole:  # how long a stream takes is up to whom it goes
            HTTP_SECONDS.labels(route).observe(time.perf_counter() - started)


async def _spanned(request: web.Request, handler: Handler, route: str) -> web.StreamResponse:
    """Requests that only look come by the thousand; they are spans where their sender is traced."""
    traceparent = request.headers.get("traceparent", "")
    is_change = request.method not in READING and route.startswith(f"{OLD_API}/")
    if not is_change and not traceparent:
        return await handler(request)
    attributes = {"http.request.method": request.method, "http.route": route}
    with tracing.served(f"{request.method} {route}", traceparent, attributes):
        response = await handler(request)
        tracing.tell({"http.response.status_code": response.status})
        if response.status >= 500:
            tracing.failed(f"status {response.status}")
        return response

"""A line in the audit log for each request that changes something."""

from __future__ import annotations

from aiohttp import web

from kiosk import audit
from kiosk.web.answers import ASKING, Handler
from kiosk.web.callers import caller_or_none
from kiosk.web.same_origin import READING


@web.middleware
async def audited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Addresses that lead nowhere change nothing and leave no line."""
    route = request.match_info.route.resource
    if request.method in READING or route is None or route.canonical in ASKING:
        return await handler(request)
    resource, outcome = request.path, audit.OK
    try:
        response = await handler(request)
        resource = response.headers.get("Location", resource)
        return response
    except web.HTTPException as error:
        outcome = error.reason.upper().replace(" ", "_")
        raise
    except BaseException as error:
        outcome = audit.outcome_of(error)
        raise
    finally:
        method = request.headers.get("X-HTTP-Method-Override", request.method)
        call = f"{method} {route.canonical}"
        audit.note(caller_or_none(request), call, resource, outcome, address=request.remote or "")

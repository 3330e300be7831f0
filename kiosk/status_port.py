"""The port on which a role can be looked at: /metrics, /healthz and /readyz.

    async with status_port(settings.status, "autoscaler", condition):
        ...

It asks nobody who they are: it is for the inside of a cluster, or for one machine. /healthz never
asks Redis or Triton, for a restart cures neither.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kiosk.errors import PermanentError
from kiosk.settings.observing import StatusSettings

SHUTDOWN_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Whether a role can do its work at present, and what there is to say about it."""

    is_ready: bool
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)


AskCondition = Callable[[], Awaitable[Condition]]
Exposition = Callable[[], Awaitable[bytes]]


async def own_metrics() -> bytes:
    """All metrics of this process, as Prometheus reads them."""
    return generate_latest()


@asynccontextmanager
async def status_port(
    settings: StatusSettings,
    role: str,
    condition: AskCondition,
    exposition: Exposition = own_metrics,
) -> AsyncIterator[int]:
    """Serve the status port; gives its number, 0 where the settings want none.

    Args:
        condition: asked at every look at /readyz; has to answer within a second.
        exposition: what /metrics says.

    Raises PermanentError when the port is taken.
    """
    if not settings.port:
        yield 0
        return
    app = make_status_app(role, condition, exposition)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        yield await _listen(runner, settings.host, settings.port)
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise PermanentError(
            f"The status port cannot be served on {host}:{port} ({error.strerror}). Choose another"
            " with KIOSK_STATUS__PORT, or 0 for none."
        ) from error
    return int(runner.addresses[0][1])


def make_status_app(
    role: str, condition: AskCondition, exposition: Exposition = own_metrics
) -> web.Application:
    """The aiohttp application behind `status_port`; tests use it without a port."""

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=await exposition(), headers=headers)

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"role": role, "alive": True})

    async def readyz(_: web.Request) -> web.Response:
        now = await condition()
        body = {"role": role, "ready": now.is_ready, **now.facts}
        return web.json_response(body, status=200 if now.is_ready else 503)

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app

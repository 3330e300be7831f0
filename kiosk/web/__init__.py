"""The web page and the HTTP API: a thin shell over the service.

    /  /jobs/{id}  /static/...     the page (folder `frontend`)
    /s/{token}                     follow a share link
    /open/{token}/image.ome.zarr   a job for other programs, as OME-Zarr
    /api/v1/session                signing in on the page
    /api/v1/uploads                tus 1.0.0: creation, creation-with-upload,
                                   creation-defer-length, expiration, termination, checksum
    /api/v1/models, /jobs, ...     JSON; errors are RFC 9457 problem details
    /api/v1/.../events             server-sent events
    /api/upload, /api/predict ...  as the DeepCell Kiosk has them, for programs written for it
    /metrics                       Prometheus

Nothing here lets another site's page act for the user: there are no CORS headers (but below /open,
where the address itself is the secret), and `SameOrigin` refuses what would change something.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from kiosk.authentication import Authentication
from kiosk.certificate import Certificate
from kiosk.errors import PermanentError
from kiosk.exposure import is_loopback
from kiosk.service import KioskService
from kiosk.settings import DEEPCELL_MODELS
from kiosk.tiles import Tiles
from kiosk.web.answers import add_headers, as_problems
from kiosk.web.auditing import audited
from kiosk.web.callers import Recognition
from kiosk.web.deepcell import DeepCell
from kiosk.web.deepcell_requests import job_types
from kiosk.web.events import Events
from kiosk.web.figures import FigureRoutes
from kiosk.web.inspections import Inspections
from kiosk.web.jobs import Jobs
from kiosk.web.observing import observed
from kiosk.web.open_zarr import OpenZarr
from kiosk.web.openapi import OpenApi
from kiosk.web.pace import DEFAULT_IDLE_S, IDLE_S, paced
from kiosk.web.page import Page
from kiosk.web.results import Results
from kiosk.web.sessions import Sessions
from kiosk.web.shares import ShareLinks
from kiosk.web.tiles import ImageTiles
from kiosk.web.tus import Tus
from kiosk.zarr_view import ZarrView

SHUTDOWN_S = 2.0
# Bodies that are read as a whole; uploads are streamed.
BODY_BYTES = 64 * 1024


class WebServer:
    """The page and the HTTP API on one port. `port` is the real one once started."""

    def __init__(
        self,
        service: KioskService,
        tiles: Tiles,
        authentication: Authentication,
        frontend: Path,
        host: str,
        port: int,
        public_url: str = "",
        certificate: Certificate | None = None,
        idle_s: float = DEFAULT_IDLE_S,
        deepcell_models: str = DEEPCELL_MODELS,
    ) -> None:
        self._certificate = certificate
        self.port = port
        self._host = host
        self._tiles = tiles
        is_local = is_loopback(host) and not authentication.required
        self.app = make_app(
            service,
            tiles,
            authentication,
            frontend,
            public_url,
            idle_s,
            is_local=is_local,
            deepcell_models=deepcell_models,
        )
        self._runner = web.AppRunner(
            self.app,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=idle_s,
            auto_decompress=False,
        )

    async def start(self) -> None:
        await self._runner.setup()
        try:
            context = self._certificate.web_context if self._certificate else None
            await web.TCPSite(self._runner, self._host, self.port, ssl_context=context).start()
        except OSError as error:
            await self._runner.cleanup()
            raise PermanentError(
                f"The web page cannot be served on {self._host}:{self.port} ({error.strerror})."
                " Choose another port with --web-port or KIOSK_LISTEN__WEB_PORT."
            ) from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._tiles.close()


def make_app(
    service: KioskService,
    tiles: Tiles,
    authentication: Authentication,
    frontend: Path,
    public_url: str = "",
    idle_s: float = DEFAULT_IDLE_S,
    *,
    is_local: bool = False,
    deepcell_models: str = DEEPCELL_MODELS,
) -> web.Application:
    """The aiohttp application behind `WebServer`; tests use it without a port."""
    recognition = Recognition(authentication, public_url, is_local=is_local)
    app = web.Application(
        middlewares=[observed, as_problems, audited, paced, recognition.middleware],
        client_max_size=BODY_BYTES,
    )
    app[IDLE_S] = idle_s
    app.on_response_prepare.append(add_headers)
    Page(frontend).add_to(app)
    Sessions(authentication, public_url).add_to(app)
    ShareLinks(service, authentication, public_url).add_to(app)
    Tus(service.uploads).add_to(app)
    Inspections(service).add_to(app)
    Jobs(service).add_to(app)
    Events(service, authentication).add_to(app)
    Results(service, authentication).add_to(app)
    FigureRoutes(service.figures).add_to(app)
    ImageTiles(tiles).add_to(app)
    OpenZarr(ZarrView(tiles), authentication).add_to(app)
    if models := job_types(deepcell_models):
        DeepCell(service, authentication, models, public_url).add_to(app)
    OpenApi().add_to(app)
    return app

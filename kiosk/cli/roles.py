"""Commands that run a part of the kiosk: `kiosk up`, `server`, `consumer`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import typer

from kiosk.cli.terminal import app
from kiosk.settings import Settings

Insecure = Annotated[
    bool,
    typer.Option(
        "--insecure",
        help="Ask nobody who they are, also where others than you reach the kiosk.",
    ),
]


def _exposed(settings: Settings, insecure: bool) -> Settings:
    """The settings, with what the option says."""
    if not insecure:
        return settings
    return settings.model_copy(update={"auth": settings.auth.model_copy(update={"insecure": True})})


@app.command()
def up(
    grpc_port: Annotated[int | None, typer.Option(help="Port of the gRPC API [50051].")] = None,
    web_port: Annotated[int | None, typer.Option(help="Port of the web page [8080].")] = None,
    consumers: Annotated[int | None, typer.Option(min=1, help="Consumer processes [1].")] = None,
    insecure: Insecure = False,
) -> None:
    """Run everything on this machine: Redis, Triton, server and consumers. Ctrl-C stops it.

    All data is under KIOSK_HOME; a restart resumes unfinished jobs.
    """
    from kiosk import local

    listen = {"grpc_port": grpc_port, "web_port": web_port}
    settings = _exposed(Settings(), insecure)
    settings = settings.model_copy(
        update={
            "listen": settings.listen.model_copy(
                update={k: v for k, v in listen.items() if v is not None}
            ),
            "local": settings.local.model_copy(
                update={"consumers": consumers} if consumers else {}
            ),
        }
    )
    raise typer.Exit(local.up(settings))


@app.command()
def server(insecure: Insecure = False) -> None:
    """Run the server role: gRPC API and web page. For clusters; `kiosk up` starts one itself."""
    from kiosk.bootstrap import run_server

    asyncio.run(run_server(_exposed(Settings(), insecure)))


@app.command()
def consumer() -> None:
    """Run the consumer role: work on the queue. For clusters; `kiosk up` starts them itself."""
    from kiosk.bootstrap import run_consumer

    clean = asyncio.new_event_loop().run_until_complete(run_consumer(Settings()))
    sys.stdout.flush()
    # A thread that hangs, or is still busy with a part that was given back, must not delay the
    # end of the process.
    os._exit(0 if clean else 75)

"""Commands that run a part of the kiosk: `kiosk up`, `server`, `consumer`, `autoscaler`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import typer

from kiosk.cli.terminal import app, console
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


@app.command()
def autoscaler(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="Decide once and end.")] = False,
) -> None:
    """Run the autoscaler role: as many replicas of Triton and consumers as the work needs.

    For clusters (Kubernetes). Several may run, one of them leads. `kiosk autoscaler --dry-run`
    shows on your own machine what it would do with the cluster that kubectl uses.
    """
    from kiosk.bootstrap import run_autoscaler

    def say(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    asyncio.run(run_autoscaler(Settings(), dry_run=dry_run, once=once, say=say))

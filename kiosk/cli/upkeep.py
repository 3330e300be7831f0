"""Commands about the installation: `kiosk settings`, `doctor`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from kiosk.cli.terminal import app, console, print_checks
from kiosk.settings import Settings


@app.command()
def settings() -> None:
    """Print every setting: its environment variable, the value in force, what it is for."""
    from pydantic import BaseModel

    table = Table("variable", "value", "what for")

    def add(prefix: str, group: BaseModel) -> None:
        for name, info in type(group).model_fields.items():
            value = getattr(group, name)
            if isinstance(value, BaseModel):
                add(f"{prefix}{name.upper()}__", value)
            else:
                table.add_row(f"{prefix}{name.upper()}", str(value), info.description or "")

    add("KIOSK_", Settings())
    console.print(table)


@app.command()
def doctor() -> None:
    """Check that this machine has what the kiosk needs, and say what is missing."""
    from kiosk.doctor import check

    print_checks(check(Settings()))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the sample and its results.")] = Path(
        "demo"
    ),
) -> None:
    """Start a kiosk, segment a made-up movie with known truth, print the figures, stop it."""
    from kiosk.demo import demo as run_demo

    raise typer.Exit(run_demo(out, console))

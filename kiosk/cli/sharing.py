"""Commands about who may see a job and for how long: `kiosk share`, `shares`, `jobs keep`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from kiosk.cli.looking import jobs_app
from kiosk.cli.terminal import Server, app, ask, console, id_column, plain, say
from kiosk.jobs import ID_LETTERS


@app.command()
def share(
    job: str,
    days: Annotated[float, typer.Option(min=0, help="How long the link holds.")] = 7.0,
    server: Server = "",
) -> None:
    """Make a link that shows a job and its results to whoever has it."""
    made = ask(server, lambda kiosk: kiosk.share(job, days=days))
    print(made.url)
    say(f"As OME-Zarr, for napari, vizarr, neuroglancer and Fiji: {made.zarr_url}")
    if made.url.startswith("/"):
        say("Put the address of the kiosk's page in front (KIOSK_LISTEN__PUBLIC_URL does it).")


@app.command()
def shares(
    job: str,
    withdraw: Annotated[
        str, typer.Option(metavar="LINK", help="Withdraw this one, or `all`: it shows no more.")
    ] = "",
    server: Server = "",
) -> None:
    """List the links to a job, or withdraw them."""
    found = ask(server, lambda kiosk: kiosk.shares(job))
    if withdraw:
        names = [item.name for item in found if withdraw in ("all", item.name.split("/")[-1])]
        if not names and withdraw != "all":
            names = [f"jobs/{job.removeprefix('jobs/')}/shares/{withdraw}"]
        for name in names:
            ask(server, lambda kiosk, name=name: kiosk.withdraw(name))  # type: ignore[misc]
        console.print(f"{len(names)} withdrawn.", highlight=False)
        return
    table = Table(id_column("link", ID_LETTERS), "made by", "made", "ends")
    for item in found:
        table.add_row(
            item.name.split("/")[-1],
            plain(item.creator),
            f"{item.create_time.ToDatetime():%Y-%m-%d %H:%M}",
            f"{item.expire_time.ToDatetime():%Y-%m-%d %H:%M}",
        )
    console.print(table)


@jobs_app.command("keep")
def jobs_keep(
    job: str,
    days: Annotated[float, typer.Option(min=0, help="From now on.")],
    server: Server = "",
) -> None:
    """Keep a job, its results and its image longer."""
    kept = ask(server, lambda kiosk: kiosk.keep(job, days=days))
    console.print(f"Kept until {kept.expire_time.ToDatetime():%Y-%m-%d %H:%M} UTC.")

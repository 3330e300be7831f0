"""Commands for jobs that were given up: `kiosk jobs dead`, `redrive`, `purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from kiosk.cli.looking import jobs_app
from kiosk.cli.terminal import AllOwners, Server, ask, console, id_column, plain
from kiosk.errors import InvalidRequest, KioskError
from kiosk.jobs import ID_LETTERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kiosk.client import AsyncKiosk

MOST_AT_A_TIME = 1000

Jobs = Annotated[list[str] | None, typer.Argument(help="Ids of jobs; or say --all.")]
All = Annotated[bool, typer.Option("--all", help="All jobs that were given up.")]


@jobs_app.command("dead")
def jobs_dead(
    limit: Annotated[int, typer.Option(min=1, max=MOST_AT_A_TIME, help="How many.")] = 20,
    all_owners: AllOwners = False,
    server: Server = "",
) -> None:
    """List jobs that were given up after their last attempt, with the reason.

    `kiosk jobs redrive JOB` gives one another go, `kiosk jobs purge JOB` deletes it.
    """
    letters = ask(server, lambda kiosk: kiosk.dead_letters(limit, all_owners=all_owners))
    if not letters:
        console.print("No job was given up.")
        return
    table = Table(
        id_column("job", ID_LETTERS), "given up", "file", "owner", "part", "attempts", "reason"
    )
    for letter in letters:
        part = letter.kind if letter.part_index < 0 else f"{letter.kind} {letter.part_index}"
        table.add_row(
            letter.job.removeprefix("jobs/"),
            f"{letter.time.ToDatetime():%Y-%m-%d %H:%M}",
            plain(letter.file_name),
            plain(letter.owner),
            part,
            str(letter.attempts),
            plain(letter.reason),
        )
    console.print(table)


@jobs_app.command("redrive")
def jobs_redrive(
    jobs: Jobs = None, every: All = False, all_owners: AllOwners = False, server: Server = ""
) -> None:
    """Begin failed or cancelled jobs anew, say when what was wrong has been mended.

    Example: `kiosk jobs redrive --all`
    """

    async def redrive(kiosk: AsyncKiosk, job: str) -> None:
        await kiosk.redrive(job)

    _for_each(server, jobs, every, all_owners, redrive, "begun anew")


@jobs_app.command("purge")
def jobs_purge(
    jobs: Jobs = None, every: All = False, all_owners: AllOwners = False, server: Server = ""
) -> None:
    """Delete jobs that were given up, with all they left behind.

    Example: `kiosk jobs purge --all`
    """

    async def purge(kiosk: AsyncKiosk, job: str) -> None:
        await kiosk.delete(job)

    _for_each(server, jobs, every, all_owners, purge, "deleted")


def _for_each(
    server: str,
    jobs: list[str] | None,
    every: bool,
    all_owners: bool,
    step: Callable[[AsyncKiosk, str], Awaitable[None]],
    done: str,
) -> None:
    """Do one thing with the named jobs, or with all that were given up; say how many it worked for.

    What fails for one job does not keep the others from their turn; the exit code tells.
    """
    if bool(jobs) == every:
        raise InvalidRequest("Name the jobs, or say --all for every job that was given up.")

    async def work(kiosk: AsyncKiosk) -> tuple[int, list[str]]:
        names = list(jobs or [])
        if every:
            letters = await kiosk.dead_letters(MOST_AT_A_TIME, all_owners=all_owners)
            names = [letter.job.removeprefix("jobs/") for letter in letters]
        troubles = []
        for name in names:
            try:
                await step(kiosk, name)
            except KioskError as error:
                troubles.append(f"{name}: {error.message}")
        return len(names) - len(troubles), troubles

    count, troubles = ask(server, work)
    console.print(f"{count} job{'' if count == 1 else 's'} {done}.")
    for trouble in troubles:
        console.print(plain(trouble), soft_wrap=True, highlight=False)
    if troubles:
        raise typer.Exit(1)

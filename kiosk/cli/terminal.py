"""What all commands share: the application, the terminal, and asking a kiosk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column

from kiosk.jobs import plain_name

if TYPE_CHECKING:
    from kiosk.checks import Check
    from kiosk.client import AsyncKiosk

T = TypeVar("T")

app = typer.Typer(
    name="kiosk",
    help="A kiosk for cell images: segmentation by deep-learning models on Triton.\n\n"
    "Start with `kiosk up`, then `kiosk segment cells.tif --out results`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
console = Console()
errors = Console(stderr=True)

Server = Annotated[
    str,
    typer.Option(
        help="HOST:PORT of the kiosk, grpcs://HOST:PORT for TLS. Default: KIOSK_SERVER, then"
        " 127.0.0.1:50051.",
        show_default=False,
    ),
]


AllOwners = Annotated[
    bool, typer.Option("--all-owners", help="Those of everybody; for administrators.")
]


def ask(server: str, question: Callable[[AsyncKiosk], Awaitable[T]]) -> T:
    """Connect to a kiosk, ask it one thing, close the connection."""
    from kiosk.client import AsyncKiosk

    async def work() -> T:
        async with AsyncKiosk(server) as kiosk:
            return await question(kiosk)

    return asyncio.run(work())


def print_checks(checks: Sequence[Check]) -> None:
    """A line per check; exit code 1 when one has failed."""
    for item in checks:
        mark = "[green]ok[/green]  " if item.ok else "[red]fail[/red]"
        console.print(f"{mark} {item.name}: {item.sentence}", soft_wrap=True, highlight=False)
    if not all(item.ok for item in checks):
        raise typer.Exit(1)


def id_column(name: str, letters: int) -> Column:
    """A column of ids: they are there to be copied, so they are never shortened."""
    return Column(name, no_wrap=True, min_width=letters)


def job_state(job: Any) -> str:
    """The state of a job as a word."""
    from kiosk._proto import kiosk_pb2 as pb

    return str(pb.JobState.Name(job.state)).removeprefix("JOB_STATE_").lower()


def plain(text: str) -> str:
    """What a file or another user has named, for a table: neither markup nor steering."""
    return escape(plain_name(text))


def say(sentence: str) -> None:
    """A sentence on standard error."""
    errors.print(plain_name(sentence), markup=False, highlight=False, soft_wrap=True)

"""How a command that works on many files ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kiosk.cli.terminal import console, say
from kiosk.errors import InvalidRequest

if TYPE_CHECKING:
    from kiosk.batch import Outcome


def check_replacing(overwrite: bool, skip_existing: bool) -> None:
    """Raise InvalidRequest where both are asked for."""
    if overwrite and skip_existing:
        raise InvalidRequest("--overwrite and --skip-existing exclude each other; choose one.")


def print_outcomes(outcomes: Sequence[Outcome], out: Path, files: str) -> None:
    """Where the results are, and how many files failed; exit code 1 if any did.

    Args:
        files: what they are called together, such as "images".
    """
    from kiosk.batch import Outcome

    if Outcome.DONE in outcomes:
        console.print(f"Results are in {out}.", highlight=False, markup=False, soft_wrap=True)
    failed = sum(outcome in (Outcome.FAILED, Outcome.UNREACHABLE) for outcome in outcomes)
    if failed:
        if len(outcomes) > 1:
            say(f"{failed} of {len(outcomes)} {files} failed.")
        raise typer.Exit(1)

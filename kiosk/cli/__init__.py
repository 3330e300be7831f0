"""The `kiosk` command."""

from __future__ import annotations

import sys

from kiosk.settings import leave_children_alone

leave_children_alone()

# The modules add their commands to the application, in the order in which help lists them.
from kiosk.cli import looking, roles, scoring, upkeep, work  # noqa: F401
from kiosk.cli.terminal import app as app
from kiosk.cli.terminal import say
from kiosk.errors import KioskError


def main() -> None:
    """Run the command; a known error is one sentence and exit code 1, not a traceback."""
    try:
        app()
    except KioskError as error:
        say(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

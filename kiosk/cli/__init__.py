"""The `kiosk` command."""

from __future__ import annotations

import sys

# The modules add their commands to the application, in the order in which help lists them.
from kiosk.cli import (  # noqa: F401
    dead_jobs,
    keys,
    looking,
    roles,
    rollouts,
    scoring,
    sharing,
    tracking,
    upkeep,
    work,
)
from kiosk.cli.terminal import app as app
from kiosk.cli.terminal import say
from kiosk.errors import KioskError
from kiosk.settings import leave_children_alone


def main() -> None:
    """Run the command; a known error is one sentence and exit code 1, not a traceback."""
    leave_children_alone()
    try:
        app()
    except KioskError as error:
        say(error.message)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

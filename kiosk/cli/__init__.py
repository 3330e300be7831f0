"""The `kiosk` command."""

from __future__ import annotations

import os
import sys

# gRPC's care for forked children can end a child before it becomes another program (grpc pull
# request 43157); nothing here forks without doing that. Read when gRPC is first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

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

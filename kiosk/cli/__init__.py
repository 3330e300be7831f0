"""The `kiosk` command."""

from __future__ import annotations

import logging
import sys

from kiosk import logs

# The modules add their commands to the application, in the order in which help lists them.
from kiosk.cli import (  # noqa: F401
    dead_jobs,
    keys,
    looking,
    roles,
    rollouts,
    scoring,
    sharing,
    simulating,
    tracking,
    upkeep,
    work,
)
from kiosk.cli.terminal import app as app
from kiosk.cli.terminal import say
from kiosk.errors import KioskError
from kiosk.settings import leave_children_alone

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command; a known error is one sentence and exit code 1, not a traceback."""
    leave_children_alone()
    try:
        app()
    except KioskError as error:
        if logs.are_json():
            log.critical("%s", error.message)
        else:
            say(error.message)
        sys.exit(1)
    except Exception:
        if not logs.are_json():
            raise
        log.critical("the command has failed", exc_info=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)

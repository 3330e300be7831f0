"""The audit log: a line for each call that changes something, whether it succeeded or not.

A line is JSON: time, owner, key or share, method, resource, peer, outcome. It has names and ids, no
contents and no credentials; letters that steer a terminal are escaped as JSON does it.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

from kiosk.callers import Caller
from kiosk.errors import KioskError, PermanentError

log = logging.getLogger("kiosk.audit")

OK = "ok"
# Names are bounded elsewhere; addresses of requests are as long as their sender likes.
LONGEST_TEXT = 300


def configure_audit(file: Path | None) -> None:
    """Let the lines go to a file of their own; None = to the log of the server.

    The file may be moved away at any time (logrotate); a new one is begun then. Raises
    PermanentError.
    """
    log.setLevel(logging.INFO)
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    log.propagate = file is None
    if file is None:
        return
    try:
        handler = WatchedFileHandler(file, encoding="ascii")
    except OSError as error:
        raise PermanentError(
            f"The audit log '{file}' cannot be written: {error.strerror or error}. Choose another"
            " file with KIOSK_LISTEN__AUDIT_FILE."
        ) from error
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)


def note(
    caller: Caller | None, method: str, resource: str, outcome: str, *, address: str = ""
) -> None:
    """Write a line.

    Args:
        caller: who it was; None = somebody who was not recognised.
        method: the call, e.g. "Segment" or "POST /api/v1/jobs".
        resource: what was made or meant, e.g. "jobs/ID".
        outcome: `OK`, or the reason word of the error.
        address: of the other end, where there is no caller to have it.
    """
    line = {
        "time": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "owner": caller.owner if caller else "",
        "key": caller.key_id if caller else "",
        "share": caller.share_id if caller else "",
        "method": method[:LONGEST_TEXT],
        "resource": resource[:LONGEST_TEXT],
        "peer": caller.address if caller else address,
        "outcome": outcome,
    }
    log.info(json.dumps(line))


def outcome_of(error: BaseException) -> str:
    """The word for an error; CANCELLED for a call whose caller went away."""
    if isinstance(error, KioskError):
        return error.reason
    return "INTERNAL" if isinstance(error, Exception) else "CANCELLED"

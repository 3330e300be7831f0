"""Errors of obstore as errors of the kiosk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from kiosk.errors import DISK_FULL, STORE_AWAY, KioskError, NotFound, Outage
from kiosk.telemetry import STORE_REQUESTS

# obstore tells these by the number of the operating system alone, at the end of a sentence.
_FULL = tuple(f"(os error {number})" for number in (errno.ENOSPC, errno.EDQUOT))
_REFUSED = (PermissionError, PermissionDeniedError, UnauthenticatedError)


@contextmanager
def asking(operation: str, key: str) -> Iterator[None]:
    """Around a request for a key: its error as one of the kiosk, its outcome for the metrics."""
    outcome = "ok"
    try:
        yield
    except (BaseError, OSError) as error:
        outcome = "missing" if isinstance(error, FileNotFoundError) else "error"
        raise translated(error, key) from error
    finally:
        STORE_REQUESTS.labels(operation, outcome).inc()


def translated(error: Exception, key: str) -> KioskError:
    """What a caller is told when a request for a key has failed.

    All but a missing object is an outage: no request can be at fault, since keys and bytes are the
    kiosk's own.
    """
    if isinstance(error, FileNotFoundError):
        return NotFound(f"There is nothing stored as '{key}'.")
    text = str(error).split("\n", 1)[0]  # what follows is for the authors of obstore
    if getattr(error, "errno", None) == errno.ENOSPC or any(word in text for word in _FULL):
        return Outage("The disk of the object store is full. Free some space.", reason=DISK_FULL)
    if isinstance(error, _REFUSED):
        return Outage(f"The object store does not allow access to '{key}'.", reason=STORE_AWAY)
    return Outage(f"The object store failed on '{key}': {text}.", reason=STORE_AWAY)

"""The error family. Every error that a caller of the kiosk can meet is defined here.

    KioskError
    ├── InvalidRequest          the caller must change something; shown, never retried
    │   ├── NotFound            no such job, model, upload or result
    │   ├── AlreadyExists       the same request id with another content
    │   ├── WrongState          not possible in the present state (e.g. results of a running job)
    │   └── TooLarge            over a limit that is a setting
    ├── Unauthenticated         no credentials, or none that hold (any more)
    ├── PermissionDenied        the caller is known and may not do this
    ├── Overloaded              too much work at present; try again later
    ├── TransientError          an outside system failed; worth another attempt
    │   └── Outage              it is away for everybody; another attempt is not counted
    ├── ReaderFailed            the process that reads an image died over it, or was too slow
    ├── PermanentError          failed, and another attempt would fail alike
    │   └── JobFailed           raised by the client library for a job that did not succeed
    └── LeaseLost               somebody else owns the part now; drop the work

A message is one plain sentence (or two) that says what is wrong and what to do. `reason` is
an UPPER_SNAKE word that programs can rely on.
"""

from __future__ import annotations

# A message stands in a header of gRPC's, which ends a call where headers pass 8 KiB; letters beyond
# ASCII take up to nine bytes per byte there.
LONGEST_MESSAGE_BYTES = 1000
_HEAD_BYTES, _TAIL_BYTES = 600, 300


class KioskError(Exception):
    """Base of all errors of the kiosk."""

    reason = "INTERNAL"

    def __init__(self, message: str, *, reason: str | None = None, field: str = "") -> None:
        message = _bounded(message)
        super().__init__(message)
        self.message = message
        if reason is not None:
            self.reason = reason
        self.field = field


def _bounded(message: str) -> str:
    """A message that can be read and sent: what a caller or a file gave may be a megabyte long."""
    data = message.encode(errors="replace")  # half a surrogate pair can be sent nowhere
    if len(data) <= LONGEST_MESSAGE_BYTES:
        return data.decode()
    head, tail = data[:_HEAD_BYTES], data[-_TAIL_BYTES:]
    return f"{head.decode(errors='ignore')} ... {tail.decode(errors='ignore')}"


class InvalidRequest(KioskError):
    """The request or the image cannot be processed as it is."""

    reason = "INVALID_REQUEST"


class NotFound(InvalidRequest):
    """What the request names does not exist."""

    reason = "NOT_FOUND"


class AlreadyExists(InvalidRequest):
    """The request id was used before for something else."""

    reason = "ALREADY_EXISTS"


class WrongState(InvalidRequest):
    """The request does not fit the present state of what it names."""

    reason = "WRONG_STATE"


class TooLarge(InvalidRequest):
    """Over a limit of this kiosk."""

    reason = "TOO_LARGE"


class Unauthenticated(KioskError):
    """Nobody knows who calls: there are no credentials, or they do not hold."""

    reason = "UNAUTHENTICATED"


class PermissionDenied(KioskError):
    """The caller is known and may not do this."""

    reason = "PERMISSION_DENIED"


class Overloaded(KioskError):
    """The kiosk has too much work at present."""

    reason = "OVERLOADED"


class TransientError(KioskError):
    """An outside system did not answer as it should; another attempt may succeed."""

    reason = "UNAVAILABLE"


class Outage(TransientError):
    """An outside system is away, whatever is asked of it: no fault of the image or the request.

    A part that meets one is put off and its attempt is not counted. `reason` says what is away;
    where a consumer can look whether it is back, it takes no new part before.
    """

    reason = "OUTAGE"


MODEL_NOT_LOADED = "MODEL_NOT_LOADED"
MODEL_SERVER_AWAY = "MODEL_SERVER_AWAY"
STORE_AWAY = "STORE_AWAY"
DISK_FULL = "DISK_FULL"


class ReaderFailed(KioskError):
    """The process that reads an image died over it or had to be stopped; the attempt counts.

    Another attempt may succeed, because memory may have been short or the machine slow; but most
    likely it is the image.
    """

    reason = "READER_FAILED"


class PermanentError(KioskError):
    """The work failed and would fail again."""

    reason = "FAILED"


class JobFailed(PermanentError):
    """A job ended without results. `reason` is the job's own, `job_id` names it."""

    def __init__(self, message: str, *, job_id: str, reason: str) -> None:
        super().__init__(message, reason=reason)
        self.job_id = job_id


class LeaseLost(KioskError):
    """The part belongs to another consumer now."""

    reason = "LEASE_LOST"

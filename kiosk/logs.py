"""Log lines on standard error: plain for people, or JSON for a collector."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from kiosk.tracing import trace_id

PLAIN = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_job_id: ContextVar[str] = ContextVar("job_id", default="")


def configure_logging(level: str, log_format: str = "plain", role: str = "") -> None:
    """Where log lines go and how they look.

    Args:
        log_format: `plain`: time, level, logger, message; `json`: one object per line.
        role: of this process, for `json`.
    """
    logging.basicConfig(level=level.upper(), format=PLAIN)
    if log_format == "json":
        for handler in logging.getLogger().handlers:
            handler.setFormatter(JsonLines(role))
        logging.captureWarnings(True)
    # One line per request is noise at this level; errors still come through.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def are_json() -> bool:
    """Whether whoever reads the lines wants JSON."""
    handlers = logging.getLogger().handlers
    return any(isinstance(handler.formatter, JsonLines) for handler in handlers)


class JsonLines(logging.Formatter):
    """One object per line; the keys are those in docs/monitoring.md."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "role": self._role,
        }
        for key, value in (("job_id", _job_id.get()), ("trace_id", trace_id())):
            if value:
                line[key] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


@contextmanager
def about_job(job_id: str) -> Iterator[None]:
    """Lines that are written here are about a job; "" = about none."""
    token = _job_id.set(job_id)
    try:
        yield
    finally:
        _job_id.reset(token)


def note_job(job_id: str) -> None:
    """From here on lines are about a job, until the `about_job` around this ends."""
    _job_id.set(job_id)

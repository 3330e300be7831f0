"""Logging and metrics. All metric names are listed here, once."""

from __future__ import annotations

import logging

from prometheus_client import Counter, Gauge, Histogram

JOBS = Counter("kiosk_jobs", "Jobs accepted.", ["pipeline"])
PARTS = Counter("kiosk_parts", "Parts ended by this process.", ["kind", "outcome"])
PART_SECONDS = Histogram(
    "kiosk_part_duration_seconds",
    "Time from lease to outcome of a part.",
    ["kind"],
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300),
)
UPLOAD_BYTES = Counter("kiosk_upload_bytes", "Bytes received in uploads.")
BACKLOG_PARTS = Gauge("kiosk_queue_backlog_parts", "Parts waiting or being done.")
BACKLOG_JOBS = Gauge("kiosk_queue_backlog_jobs", "Jobs that are not final.")
REPLICAS = Gauge(
    "kiosk_autoscaler_replicas", "Replicas of a role: desired or ready.", ["role", "state"]
)
WANTED_UNITS = Gauge(
    "kiosk_autoscaler_wanted_units", "Replicas of Triton, with their consumers, that are wanted."
)
WORK_SECONDS = Gauge(
    "kiosk_autoscaler_work_seconds", "Time that one unit would take for the backlog."
)
DECISIONS = Counter(
    "kiosk_autoscaler_decisions",
    "Decisions: changed, kept, held (something could not be seen), conflict, failed.",
    ["outcome"],
)
LEADER = Gauge("kiosk_autoscaler_leader", "1 while this autoscaler leads.")


def configure_logging(level: str) -> None:
    """Plain lines on standard error: time, level, logger, message."""
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    # One line per request is noise at this level; errors still come through.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)

"""A part at work, for those who look on: its log lines, its span, its time and outcome."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kiosk import tracing
from kiosk.jobs import Job, Lease
from kiosk.logs import about_job
from kiosk.telemetry import PART_SECONDS, PARTS, PARTS_IN_HAND, PIXELS, STEP_SECONDS


@dataclass
class ObservedPart:
    """How a part has ended; as long as nobody says, it was given back."""

    outcome: str = "released"


@contextmanager
def observed(lease: Lease) -> Iterator[ObservedPart]:
    """Around the work on a lease."""
    part, kind = ObservedPart(), lease.part.kind.value
    started = time.perf_counter()
    with (
        about_job(lease.job.id),
        tracing.worked(f"process {kind}", lease.job.trace, _attributes(lease)),
        PARTS_IN_HAND.track_inprogress(),
    ):
        try:
            yield part
        finally:
            PARTS.labels(kind, part.outcome).inc()
            PART_SECONDS.labels(kind).observe(time.perf_counter() - started)
            tracing.tell({"kiosk.outcome": part.outcome})
            if part.outcome != "done":
                tracing.failed(f"the part was {part.outcome}")


def _attributes(lease: Lease) -> tracing.Attributes:
    job = lease.job
    return {
        "messaging.system": "redis",
        "messaging.operation.type": "process",
        "messaging.destination.name": "kiosk",
        "kiosk.job.id": job.id,
        "kiosk.part.index": lease.part.index,
        "kiosk.part.kind": lease.part.kind.value,
        "kiosk.part.attempt": lease.attempt,
        "kiosk.pipeline": job.pipeline,
        "kiosk.model": f"{job.model}:{job.model_version}" if job.model else "",
    }


def count_pixels(job: Job) -> None:
    """Count the pixels of a part of a job as done; all parts have about the same share."""
    PIXELS.labels(job.pipeline, job.model).inc(job.work_px / max(1, job.parts_total))


@contextmanager
def step(name: str) -> Iterator[None]:
    """A step within a part: a span of its own, and its seconds."""
    started = time.perf_counter()
    with tracing.step(name):
        yield
    STEP_SECONDS.labels(name).observe(time.perf_counter() - started)

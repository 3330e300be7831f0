"""What `_run.json` says of every job: enough to make the same results again."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from kiosk.jobs import Job
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.intermediate import PartReport, PlanRecord
from kiosk.ports import ImageSource
from kiosk.reading import ReadOptions


def about_job(job: Job) -> dict[str, Any]:
    return {
        "kiosk_version": version("cell-kiosk"),
        "job": job.id,
        "pipeline": job.pipeline,
    }


def about_model(context: JobContext) -> dict[str, Any]:
    job = context.job
    return {
        "name": job.model,
        "version": job.model_version,
        "weights_sha256": context.card.weights_sha256.get(job.model_version, ""),
    }


def about_scale(context: JobContext, plan: PlanRecord) -> dict[str, Any]:
    return {
        "scale": plan.sizing.scale,
        "diameter_px": plan.sizing.diameter_px,
        "diameter_source": plan.sizing.source,
        "network_diameter_px": context.card.network_diameter_px,
    }


def about_image(
    job: Job, source: ImageSource, channels: Sequence[int], reading: ReadOptions
) -> dict[str, Any]:
    return {
        "file_name": job.file_name,
        "format": source.format,
        "axes": source.axes,
        "sizes": dict(source.sizes),
        "dtype": str(source.dtype),
        "channels": [source.channel_names[i] for i in channels],
        "pixel_size_um": source.pixel_size_um,
        "z_step_um": source.z_step_um,
        "frame_interval_s": source.frame_interval_s,
        "as_asked": reading.as_dict(),
    }


def about_time(job: Job, reports: Sequence[PartReport]) -> dict[str, Any]:
    totals: dict[str, float] = {}
    for report in reports:
        for step, seconds in report.seconds.items():
            totals[step] = totals.get(step, 0.0) + seconds
    return {
        "from_submission_to_join": round(time.time() - job.create_time_s, 3),
        "in_parts": {step: round(value, 3) for step, value in totals.items()},
    }


@cache
def about_software() -> dict[str, str]:
    """Looked up once per process: reading what pip wrote takes milliseconds."""
    names = ("numpy", "opencv-python-headless", "tifffile")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}

"""The result files of a tracking: the lineage, then one pass through the writers of all formats."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.exports.tracks import chosen_track_formats
from kiosk.exports.tracks.tracked_plane import TrackedPlane
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.lineage import MOST_DAUGHTERS, Lineage
from kiosk.imaging.measurements import column_names
from kiosk.imaging.volume_measurements import volume_column_names
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import cutting
from kiosk.pipelines.faulty_frames import LenientSource
from kiosk.pipelines.intermediate import PartReport, PlanRecord, read_reports
from kiosk.pipelines.label_planes import FinishedPlane, HeldLabels
from kiosk.pipelines.lineages import lineage_of
from kiosk.pipelines.parameters import movie_parameters
from kiosk.pipelines.result_files import fetch_here, put_files, put_record, result_image
from kiosk.pipelines.run_records import (
    about_image,
    about_job,
    about_model,
    about_scale,
    about_software,
    about_time,
)
from kiosk.pipelines.tracked_frames import TrackedFrames
from kiosk.ports import ImageSource
from kiosk.scratch import scratch_folder


async def write_track_results(context: JobContext, source: ImageSource, plan: PlanRecord) -> None:
    """Link the frames of a job and write all its results to the object store."""
    cuts = cutting(source.sizes, plan, None)
    parts = len(cuts.blocks) * source.sizes["t"]
    reports = await read_reports(context.store, context.job.id, parts)
    faults = _faults(reports, len(cuts.blocks))
    source = LenientSource(source, faults)
    fetch = fetch_here()
    frames = TrackedFrames(context, source, cuts, plan.channels, fetch, empty=faults)
    started = time.monotonic()
    lineage = await asyncio.to_thread(lineage_of, context, frames, fetch)
    linking_s = time.monotonic() - started
    with scratch_folder("join") as folder:
        image = _result_image(context, source, plan, lineage)
        files = await asyncio.to_thread(
            _write_files, context, image, source, lineage, frames, folder
        )
        await put_files(context, files.written)
    record = _run_record(context, source, plan, reports, lineage)
    record["left_out"] = files.left_out
    record["mended"] = {"joined": frames.joined, "parted": frames.parted}
    record["seconds"]["linking"] = round(linking_s, 3)
    await put_record(context, record)


def _faults(reports: Sequence[PartReport], blocks: int) -> dict[int, str]:
    """Why frames have failed, by frame."""
    return {i // blocks: report.fault for i, report in enumerate(reports) if report.fault}


@dataclass
class _Files:
    """The files that were written, and why others were not."""

    written: list[Path]
    left_out: dict[str, str]


def _write_files(
    context: JobContext,
    image: ResultImage,
    source: ImageSource,
    lineage: Lineage,
    frames: TrackedFrames,
    folder: Path,
) -> _Files:
    left_out: dict[str, str] = {}
    with ExitStack() as on_error:
        writers: list[TrackWriter] = []
        for name, item in chosen_track_formats(context.request.formats).items():
            try:
                writers.append(item.writer(folder / item.ending, image, lineage))
            except InvalidRequest as error:  # this format cannot hold the movie; others can
                left_out[name] = error.message
                continue
            on_error.callback(writers[-1].discard)
        for t in range(frames.count):
            frame = _frame(source, lineage, frames, t)
            for writer in writers:
                writer.add_frame(frame)
        on_error.pop_all()
        for writer in writers:
            writer.close()
    return _Files([writer.path for writer in writers if writer.path.exists()], left_out)


def _frame(source: ImageSource, lineage: Lineage, frames: TrackedFrames, t: int) -> TrackedFrame:
    labels, table = frames.labels(t), frames.table(t)
    is_volume = labels.ndim == 3
    planes = []
    for z, plane in enumerate(labels if is_volume else labels[None]):
        count = np.unique(plane[plane > 0]).size if is_volume else len(table["label"])
        finished = FinishedPlane(source, (t, z), HeldLabels(plane), count)
        planes.append(TrackedPlane(finished, lineage))
    return TrackedFrame(t=t, planes=planes, table=_with_tracks(table, lineage, t))


def _with_tracks(
    table: Mapping[str, np.ndarray], lineage: Lineage, t: int
) -> dict[str, np.ndarray]:
    """The rows of the instances that belong to a track, with its number."""
    here = lineage.instances_of(t)
    known, tracks = lineage.label[here], lineage.track[here]
    label = np.asarray(table["label"], np.int64)
    places = np.minimum(np.searchsorted(known, label), max(0, len(known) - 1))
    kept = known[places] == label if len(known) else np.zeros(len(label), bool)
    columns = {name: values[kept] for name, values in table.items()}
    return {**columns, "track_id": tracks[places[kept]] if len(known) else label[kept]}


def _result_image(
    context: JobContext, source: ImageSource, plan: PlanRecord, lineage: Lineage
) -> ResultImage:
    job, is_volume = context.job, source.sizes["z"] > 1
    columns = column_names(source.channel_names, source.pixel_size_um)
    if is_volume:
        sizes = source.pixel_size_um, source.z_step_um
        columns = volume_column_names(source.channel_names, *sizes)
    return result_image(
        context,
        source,
        channels=plan.channels,
        columns=columns,
        highest_label=int(lineage.track_id.max(initial=0)),
        is_volume=is_volume,
        about={"model": f"{job.model}:{job.model_version}"} if job.model else {},
    )


def _run_record(
    context: JobContext,
    source: ImageSource,
    plan: PlanRecord,
    reports: Sequence[PartReport],
    lineage: Lineage,
) -> dict[str, Any]:
    job, request = context.job, context.tracking
    faults = _faults(reports, len(reports) // source.sizes["t"])
    return {
        **about_job(job),
        "model": about_model(context) if not request.labels else None,
        "scale": about_scale(context, plan) if not request.labels else None,
        "parameters": _parameters(context),
        "linking": {
            "by": _linked_by(context),
            "version": request.linking_version,
            "longest_gap_frames": request.longest_gap_frames,
            "reach_px": request.reach_px or None,
            "divisions": request.divisions,
            "correct_drift": request.correct_drift,
        },
        "image": about_image(job, source, plan.channels, request.segmentation.reading),
        "notes": list(job.notes),
        "separated": sum(report.separated for report in reports),
        "bad_frames": {str(t): fault for t, fault in sorted(faults.items())},
        "frames": source.sizes["t"],
        "instances": len(lineage.frame),
        "tracks": len(lineage.track_id),
        "divisions": int((lineage.daughter_counts() >= MOST_DAUGHTERS).sum()),
        "seconds": about_time(job, reports),
        "software": about_software(),
    }


def _parameters(context: JobContext) -> dict[str, Any]:
    """What the instances were made with; nothing where they were given."""
    if context.tracking.labels:
        return {}
    values = asdict(movie_parameters(context.card, context.request))
    listed = {item.name for item in context.card.parameters}
    return {name: value for name, value in values.items() if name in listed}


def _linked_by(context: JobContext) -> str:
    request = context.tracking
    if not request.is_linked:
        return "corrected table" if request.tracks else "numbers of the labels"
    return "network" if request.linking_version else "geometric"

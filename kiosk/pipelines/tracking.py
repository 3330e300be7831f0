"""Tracking: every frame into instances, the instances linked through time, all into results.

A job is planned into the parts of a segmentation, or one part per frame where its owner brings
label images along. Each part leaves labels, measurements and what linking needs of them; the join
links the frames in order and writes the results.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.errors import InvalidRequest, PermanentError, TooLarge
from kiosk.exports.tracks import chosen_track_formats
from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.shared_labels import split_shared
from kiosk.jobs import Part, PartKind
from kiosk.models import ModelCard
from kiosk.observed_parts import step
from kiosk.pipelines import segmentation
from kiosk.pipelines.channels import shown_channels
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import cutting
from kiosk.pipelines.given_labels import (
    check_labels,
    measure_frame,
    open_labels,
    read_frame_labels,
)
from kiosk.pipelines.intermediate import (
    PartReport,
    PlanRecord,
    read_plan,
    write_detections,
    write_part,
    write_plan,
)
from kiosk.pipelines.job_size import check_job_size, check_parts
from kiosk.pipelines.lineages import check_table
from kiosk.pipelines.parameters import movie_parameters
from kiosk.pipelines.sizing import Sizing
from kiosk.pipelines.stopwatch import Stopwatch
from kiosk.pipelines.track_results import write_track_results
from kiosk.pipelines.tracked_frames import grey
from kiosk.ports import ImageSource
from kiosk.tracking_request import TrackingRequest

# Given labels are one part per frame, whatever its size.
WHOLE_PX = 2**31


def check(
    source: ImageSource,
    card: ModelCard | None,
    request: TrackingRequest,
    *,
    job_px: int,
    frame_px: int,
    labels: ImageSource | None = None,
) -> list[int]:
    """Whether a movie can be tracked as asked; the channels that will be used.

    Args:
        card: of the model that finds the instances; None where labels are given.
        job_px, frame_px: most pixels of a job, and of a frame, which is whole in memory.

    Raises:
        InvalidRequest: with a sentence for the caller.
    """
    chosen_track_formats(request.segmentation.formats)
    sizes = source.sizes
    if sizes["y"] * sizes["x"] * (sizes["z"] if labels is not None else 1) > frame_px:
        raise TooLarge(
            f"Frames of more than {frame_px} pixels are not tracked; crop the movie, or raise"
            " KIOSK_LIMITS__FRAME_PX.",
            reason="IMAGE_TOO_LARGE",
        )
    if labels is not None:
        check_job_size(sizes, request.segmentation, job_px)
        check_labels(labels, sizes)
        return shown_channels(source, request.segmentation.channel)
    if sizes["z"] > 1:
        one = "one frame" if sizes["t"] == 1 else f"{sizes['t']} frames"
        raise InvalidRequest(
            f"The movie has {one} of {sizes['z']} planes along z. If they are time points, name the"
            " axes (for example TYX); else project it along z first, or give label images in 3-D.",
            reason="NOT_A_MOVIE",
            field="reading",
        )
    assert card is not None
    return segmentation.check_image(source, card, request.segmentation, job_px)


async def plan(context: JobContext) -> tuple[list[Part], list[str]]:
    """The parts of a job and what its owner should know about how the movie was read."""
    request = context.tracking
    if request.labels:
        parts, notes = await _plan_given(context)
    else:
        skip = request.skip_bad_frames
        parts, notes = await segmentation.plan_parts(context, skip_bad_frames=skip)
    async with context.image() as source:
        if source.sizes["t"] == 1:
            notes.append("The movie has one frame only, so there is nothing to link.")
    if request.is_linked and not request.linking_version:
        notes.append("Linked by positions and shapes alone, without a network.")
    return parts, notes


async def _plan_given(context: JobContext) -> tuple[list[Part], list[str]]:
    request = context.tracking
    async with context.image() as source:
        sizes, notes = dict(source.sizes), list(source.notes)
        channels = shown_channels(source, request.segmentation.channel)
    async with open_labels(context) as labels:
        check_labels(labels, sizes)
    if context.tracking.tracks:
        await check_table(context)
    record = PlanRecord(channels=channels, block_px=WHOLE_PX, block_halo_px=0, sizing=Sizing())
    await write_plan(context.store, context.job.id, record)
    check_parts(sizes["t"])
    parts = [
        Part(
            job_id=context.job.id,
            kind=PartKind.PART,
            index=t,
            payload={"t": t, "z": 0, "block": 0},
        )
        for t in range(sizes["t"])
    ]
    return parts, notes


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What a part leaves: `detections` and `table` only for frames that are not cut."""

    labels: np.ndarray
    table: Mapping[str, np.ndarray] | None
    detections: Detections | None
    report: PartReport


async def run(context: JobContext, part: Part) -> None:
    """One frame, or a block of one: its labels, measurements and detections for the join."""
    t = part.payload["t"]
    try:
        frame = await (_given if context.tracking.labels else _segmented)(context, part)
    except (InvalidRequest, PermanentError) as error:
        if not context.tracking.skip_bad_frames:
            raise type(error)(
                f"Frame {t}, counted from 0: {error.message} Frames like it can be left out"
                " (--skip-bad-frames).",
                reason=error.reason,
            ) from error
        frame = await _empty(context, part, error.message)
    place = context.store, context.job.id, part.index
    with step("write"):
        await write_part(*place, frame.labels, frame.table, frame.report)
        if frame.detections is not None:
            await write_detections(*place, frame.detections.columns())


async def _segmented(context: JobContext, part: Part) -> _Frame:
    parameters = movie_parameters(context.card, context.request)
    done = await segmentation.segmented(context, part, parameters)
    found = None
    if done.table is not None:
        patches = context.tracking.wants_patches
        found = await asyncio.to_thread(detect, done.labels, grey(done.pixels), patches=patches)
    return _Frame(labels=done.labels, table=done.table, detections=found, report=done.report)


async def _given(context: JobContext, part: Part) -> _Frame:
    clock = Stopwatch()
    t, record = part.payload["t"], await read_plan(context.store, context.job.id)
    separated = 0
    with clock.step("read"):
        async with context.image() as source:
            sizes, z_step = dict(source.sizes), _z_step_px(source)
        async with open_labels(context) as given:
            labels = await asyncio.to_thread(read_frame_labels, given, t, sizes)
        if context.tracking.is_linked:
            labels, separated = await asyncio.to_thread(split_shared, labels, z_step)
    async with context.image() as source:
        with clock.step("instances"):
            table = await asyncio.to_thread(measure_frame, source, t, labels)
        # Where the movie is the labels, there is no picture of the cells.
        channels = record.channels if context.tracking.labels != context.job.upload_id else []
        patches = context.tracking.wants_patches
        with clock.step("detections"):
            found = await asyncio.to_thread(_detect, source, t, labels, channels, patches)
    report = PartReport(instances=len(found), seconds=clock.seconds, separated=separated)
    return _Frame(labels=labels, table=table, detections=found, report=report)


def _detect(
    source: ImageSource, t: int, labels: np.ndarray, channels: list[int], patches: bool
) -> Detections:
    wanted: dict[str, Any] = {"patches": patches, "z_step": _z_step_px(source)}
    if not channels:
        return detect(labels, **wanted)
    if labels.ndim == 2:
        return detect(labels, grey(source.plane(t, 0, channels)), **wanted)
    pixels = np.stack([grey(source.plane(t, z, channels)) for z in range(len(labels))])
    return detect(labels, pixels, **wanted)


def _z_step_px(source: ImageSource) -> float:
    """Distance of planes in pixels of the plane; 1 where it is not known."""
    if source.z_step_um is None or source.pixel_size_um is None:
        return 1.0
    return source.z_step_um / source.pixel_size_um[1]


async def _empty(context: JobContext, part: Part, why: str) -> _Frame:
    """A frame, or block, in which nothing is."""
    record = await read_plan(context.store, context.job.id)
    report = PartReport(instances=0, seconds={}, fault=why)
    async with context.image() as source:
        cuts = cutting(source.sizes, record, None)
        rows, columns = cuts.blocks[part.payload["block"]].window
        shape = [rows.stop - rows.start, columns.stop - columns.start]
        labels = np.zeros(
            [source.sizes["z"], *shape] if source.sizes["z"] > 1 else shape, np.uint32
        )
        if not cuts.is_whole:
            return _Frame(labels=labels, table=None, detections=None, report=report)
        table = measure_frame(source, None, labels)
    found = detect(labels, patches=context.tracking.wants_patches)
    return _Frame(labels=labels, table=table, detections=found, report=report)


async def join(context: JobContext) -> None:
    """All frames linked, or as their owner says; the result files."""
    record = await read_plan(context.store, context.job.id)
    async with context.image() as source:
        await write_track_results(context, source, record)

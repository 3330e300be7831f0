"""Segmentation: every plane through a network, its maps into instances, all planes into results.

A job is planned into one part per plane, or one per block of a plane that is larger than
`block_px`, and the scale at which the network sees the image is decided. Each part reads its
plane, gets its maps from Triton and makes labels; the join stitches blocks and writes the results.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kiosk.errors import InvalidRequest
from kiosk.heads import HEADS
from kiosk.imaging.intensity import plane_limits
from kiosk.imaging.measurements import measure
from kiosk.imaging.postprocessing import label_maps
from kiosk.imaging.stitching import cut_blocks
from kiosk.jobs import Part, PartKind
from kiosk.models import ModelCard
from kiosk.parameters import chosen
from kiosk.pipelines.channels import choose_channels
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.exports import export_results
from kiosk.pipelines.intermediate import (
    PartReport,
    PlanRecord,
    read_plan,
    write_part,
    write_plan,
)
from kiosk.pipelines.planes import plane_places
from kiosk.pipelines.prediction import predicted_maps
from kiosk.pipelines.sizing import size_instances, sizing_note
from kiosk.ports import ImageSource


def instance_parameters(card: ModelCard, overrides: Mapping[str, float]) -> Any:
    """The post-processing parameters of the model's head: its defaults and the caller's overrides.

    Raises:
        InvalidRequest: an unknown name, or a value out of range.
    """
    if "diameter_px" in overrides and card.network_diameter_px <= 0:
        raise InvalidRequest(
            f"The model '{card.name}' does not say which diameter it was trained for, so"
            " 'diameter_px' cannot be used with it.",
            reason="UNKNOWN_PARAMETER",
            field="parameters",
        )
    return chosen(HEADS[card.head].parameters, card.postprocessing, overrides)


def check(source: ImageSource, card: ModelCard, parameters: Mapping[str, object]) -> list[int]:
    """Whether this image can go through this model; the channels that will be used.

    Raises:
        InvalidRequest: with a sentence for the caller.
    """
    instance_parameters(card, _overrides(parameters))
    return choose_channels(source, card, str(parameters.get("channel", "")))


async def plan(context: JobContext) -> tuple[list[Part], list[str]]:
    """The parts of a job and what its owner should know about how the image was read."""
    job, options = context.job, context.options
    async with context.images.use(job.upload_id, job.file_name) as source:
        channels = check(source, context.card, job.parameters)
        sizes, notes = dict(source.sizes), list(source.notes)
        if len(source.channel_names) > 1 and len(channels) == 1:
            notes.append(f"Used channel {channels[0]} ({source.channel_names[channels[0]]}).")
        parameters = instance_parameters(context.card, _overrides(job.parameters))
        sizing = await size_instances(context, source, channels, parameters)
    notes += [note for note in [sizing_note(sizing)] if note]
    # The settings of this consumer, not of those that do the parts: all must cut alike. What the
    # network sees enlarged is cut smaller, so that a part takes no more memory.
    record = PlanRecord(
        channels=channels,
        block_px=round(options.block_px / max(1.0, sizing.scale)),
        block_halo_px=options.block_halo_px,
        sizing=sizing,
    )
    await write_plan(context.store, job.id, record)
    blocks = cut_blocks(sizes["y"], sizes["x"], record.block_px, record.block_halo_px)
    parts: list[Part] = []
    for t, z in plane_places(sizes):
        for block in range(len(blocks)):
            payload = {"t": t, "z": z, "block": block}
            parts.append(Part(job_id=job.id, kind=PartKind.PART, index=len(parts), payload=payload))
    return parts, notes


async def run(context: JobContext, part: Part) -> None:
    """One plane, or one block of a plane: pixels to labels, left for the join."""
    job, card, payload = context.job, context.card, part.payload
    clock = _Stopwatch()
    record = await read_plan(context.store, job.id)
    async with context.images.use(job.upload_id, job.file_name) as source:
        sizes, names, pixel_size_um = source.sizes, source.channel_names, source.pixel_size_um
        blocks = cut_blocks(sizes["y"], sizes["x"], record.block_px, record.block_halo_px)
        # Instances of blocks are measured after stitching.
        channels = list(range(len(names))) if len(blocks) == 1 else record.channels
        measured = await asyncio.to_thread(source.plane, payload["t"], payload["z"], channels)
    plane = measured[record.channels] if len(blocks) == 1 else measured
    block = blocks[payload["block"]]
    limits = await asyncio.to_thread(plane_limits, plane, card.low_percentile, card.high_percentile)
    clock.lap("read")
    parameters = instance_parameters(card, _overrides(job.parameters))
    # Heads whose maps have directions in them are seen in one orientation only.
    views = int(getattr(parameters, "orientations", 1))
    maps = await predicted_maps(
        context, plane[:, *block.window], limits, scale=record.sizing.scale, views=views
    )
    clock.lap("inference")
    labels = await asyncio.to_thread(label_maps, card.head, maps, parameters)
    table = None
    if len(blocks) == 1:
        table = await asyncio.to_thread(measure, labels, measured, names, pixel_size_um)
    clock.lap("instances")
    report = PartReport(instances=int(labels.max(initial=0)), seconds=clock.seconds)
    await write_part(context.store, job.id, part.index, labels, table, report)


async def join(context: JobContext) -> None:
    """All planes together: label image, table, picture, run record."""
    record = await read_plan(context.store, context.job.id)
    parameters = instance_parameters(context.card, _overrides(context.job.parameters))
    async with context.images.use(context.job.upload_id, context.job.file_name) as source:
        listed = {item.name for item in context.card.parameters}
        values = {name: value for name, value in asdict(parameters).items() if name in listed}
        await export_results(context, source, record, values)


def _overrides(parameters: Mapping[str, object]) -> Mapping[str, float]:
    overrides = parameters.get("postprocessing", {})
    return overrides if isinstance(overrides, Mapping) else {}


class _Stopwatch:
    """Seconds per step of a part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._since, 4)
        self._since = now

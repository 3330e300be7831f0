"""Segmentation: every plane through a network, its maps into instances, all planes into results.

A job is planned into one part per plane, or one per block of a plane that is larger than
`block_px`, and the scale at which the network sees the image is decided. Each part reads its
plane, gets its maps from Triton and makes labels; the join stitches blocks and writes the results.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.exports import GROWN, GROWN_NOTE, chosen_formats
from kiosk.imaging.intensity import Limits, plane_limits
from kiosk.imaging.measurements import measure
from kiosk.imaging.postprocessing import label_maps
from kiosk.imaging.scaling import alignment_px
from kiosk.jobs import Part, PartKind
from kiosk.models import ModelCard
from kiosk.observed_parts import step
from kiosk.pipelines.channels import choose_channels
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import cutting
from kiosk.pipelines.faulty_frames import LenientSource
from kiosk.pipelines.intermediate import (
    PartReport,
    PlanRecord,
    read_plan,
    write_part,
    write_plan,
)
from kiosk.pipelines.job_size import check_job_size, check_parts
from kiosk.pipelines.label_planes import AT_A_TIME_BYTES, each_channel
from kiosk.pipelines.limits import limits_of_plane
from kiosk.pipelines.masking import (
    WITHIN,
    check_mask,
    image_and_mask,
    inside_of,
    mask_window,
    open_mask,
    within_column,
)
from kiosk.pipelines.parameters import instance_parameters, volume_wishes
from kiosk.pipelines.planes import plane_places
from kiosk.pipelines.prediction import predicted_maps
from kiosk.pipelines.results import write_results
from kiosk.pipelines.sizing import size_instances, sizing_note
from kiosk.pipelines.stopwatch import Stopwatch
from kiosk.ports import ImageSource, Window
from kiosk.request import SegmentationRequest

# The maps of one block, before they become instances, take about so much: 32 rays of float16 make
# blocks of 980 px. The usual two maps of bytes would allow 5,600 px.
MAPS_BYTES = 64_000_000
# Around the region of a preview: what is cut at its edge shows that it goes on.
PREVIEW_HALO_PX = 32


def check(
    source: ImageSource, card: ModelCard, request: SegmentationRequest, job_px: int
) -> list[int]:
    """Whether this image can go through this model as asked; the channels that will be used.

    Args:
        job_px: most pixels of a job, all planes together.

    Raises:
        InvalidRequest: with a sentence for the caller.
    """
    chosen_formats(request.result_formats)
    return check_image(source, card, request, job_px)


def check_image(
    source: ImageSource, card: ModelCard, request: SegmentationRequest, job_px: int
) -> list[int]:
    """As `check`, whatever the results will be."""
    instance_parameters(card, request)
    if request.region is not None:
        request.region.check_within(source.sizes["y"], source.sizes["x"])
    if request.plane is not None:
        request.plane.check_within(source.sizes)
    if request.volume and source.sizes["z"] == 1:
        raise InvalidRequest(
            "The image has one plane along z only, so there is nothing to join in 3-D. Leave that"
            " option out, or name the axes if they were read wrongly (for example ZYX).",
            reason="NOT_A_STACK",
            field="volume",
        )
    check_job_size(source.sizes, request, job_px)
    return choose_channels(source, card, request.channel)


async def plan(context: JobContext) -> tuple[list[Part], list[str]]:
    """The parts of a job and what its owner should know about how the image was read."""
    formats = chosen_formats(context.request.result_formats)
    parts, notes = await plan_parts(context)
    return parts, [*notes, *([GROWN_NOTE] if GROWN in formats else [])]


async def plan_parts(
    context: JobContext, *, skip_bad_frames: bool = False
) -> tuple[list[Part], list[str]]:
    """As `plan`, whatever the results will be.

    Args:
        skip_bad_frames: what cannot be read says nothing about the scale, instead of failing.
    """
    job, options, request = context.job, context.options, context.request
    async with context.image() as opened:
        source = LenientSource(opened, range(opened.sizes["t"])) if skip_bad_frames else opened
        channels = check_image(source, context.card, request, options.job_px)
        sizes, notes = dict(source.sizes), list(source.notes)
        if len(source.channel_names) > 1 and len(channels) == 1:
            number, name = channels[0], source.channel_names[channels[0]]
            unnamed = f"channel {number}"
            notes.append(f"Used {unnamed}." if name == unnamed else f"Used {unnamed} ({name}).")
        parameters = instance_parameters(context.card, request)
        sizing = await size_instances(context, source, channels, parameters)
    if request.within:
        async with open_mask(context) as mask:
            check_mask(mask, sizes)
        notes.append("Only instances inside of the mask are counted.")
    notes += [note for note in [sizing_note(sizing)] if note]
    # The settings of this consumer, not of those that do the parts: all must cut alike. What the
    # network sees enlarged is cut smaller, so that a part takes no more memory.
    record = PlanRecord(
        channels=channels,
        block_px=round(_block_px(context) / max(1.0, sizing.scale)),
        block_halo_px=PREVIEW_HALO_PX if request.preview else options.block_halo_px,
        sizing=sizing,
        align_px=alignment_px(sizing.scale, context.card.divisor_px),
    )
    await write_plan(context.store, job.id, record)
    blocks = cutting(sizes, record, request.region).blocks
    places = plane_places(sizes, request.plane)
    check_parts(len(blocks) * len(places))
    parts: list[Part] = []
    for t, z in places:
        for block in range(len(blocks)):
            payload = {"t": t, "z": z, "block": block}
            parts.append(Part(job_id=job.id, kind=PartKind.PART, index=len(parts), payload=payload))
    return parts, notes


def _block_px(context: JobContext) -> int:
    """Side of a block: the setting, or less where the maps of the model are many."""
    return min(context.options.block_px, math.isqrt(MAPS_BYTES // context.card.map_bytes))


@dataclass(frozen=True, kw_only=True)
class Segmented:
    """What came of one part.

    Attributes:
        pixels: (channel, y, x) that the network got.
        labels: (y, x) uint32.
        table: measurements, for whole planes.
    """

    pixels: np.ndarray
    labels: np.ndarray
    table: Mapping[str, np.ndarray] | None
    report: PartReport


async def run(context: JobContext, part: Part) -> None:
    """One plane, or one block of a plane: pixels to labels, left for the join."""
    done = await segmented(context, part)
    place = context.store, context.job.id, part.index
    with step("write"):
        await write_part(*place, done.labels, done.table, done.report)


async def segmented(context: JobContext, part: Part, parameters: Any = None) -> Segmented:
    """One plane, or one block of a plane: pixels to labels.

    Args:
        parameters: of the model's head; None = as the job's owner asked.
    """
    job, card = context.job, context.card
    clock = Stopwatch()
    record = await read_plan(context.store, job.id)
    parameters = parameters or instance_parameters(card, context.request)
    with clock.step("read"):
        read = await _read(context, record, part)
    # Heads whose maps have directions in them are seen in one orientation only.
    views = int(getattr(parameters, "orientations", 1))
    maps = None
    if not is_blank(read.pixels, read.limits):
        with clock.step("inference"):
            maps = await predicted_maps(
                context, read.pixels, read.limits, scale=record.sizing.scale, views=views
            )
    with clock.step("instances"):
        labels = np.zeros(read.pixels.shape[1:], np.uint32)
        if maps is not None:
            labels = await asyncio.to_thread(label_maps, card.head, maps, parameters)
            del maps
        if read.mask is not None:
            labels = await asyncio.to_thread(inside_of, labels, read.mask)
        table = await _table(context, part, read, labels) if read.is_measured else None
    report = PartReport(instances=int(labels.max(initial=0)), seconds=clock.seconds)
    return Segmented(pixels=read.pixels, labels=labels, table=table, report=report)


@dataclass(frozen=True, kw_only=True)
class _Read:
    """The pixels of a part.

    Attributes:
        pixels: (channel, y, x) that the network gets.
        is_measured: instances are measured here. Those of a block are after stitching, those of a
            volume when it is whole.
        all_channels: (channel, y, x) to measure; None where they are too large to be kept.
        mask: (y, x) labels; None where there is none, and for volumes, which are judged whole.
    """

    pixels: np.ndarray
    limits: Limits
    is_measured: bool
    all_channels: np.ndarray | None
    mask: np.ndarray | None
    channel_names: Sequence[str]
    pixel_size_um: tuple[float, float] | None


async def _read(context: JobContext, record: PlanRecord, part: Part) -> _Read:
    card, request, place = context.card, context.request, _place(part)
    all_channels = None
    async with context.image() as source:
        cuts = cutting(source.sizes, record, request.region)
        window = cuts.blocks[part.payload["block"]].window
        is_measured = cuts.is_whole and not request.volume
        names, pixel_size_um = list(source.channel_names), source.pixel_size_um
        channels = range(source.sizes["c"])
        plane_bytes = source.sizes["y"] * source.sizes["x"] * source.dtype.itemsize
        if is_measured and len(channels) * plane_bytes <= AT_A_TIME_BYTES:
            all_channels = await asyncio.to_thread(source.plane, *place, channels)
            pixels = all_channels[record.channels]
        else:
            pixels = await asyncio.to_thread(source.plane, *place, record.channels, window)
        if cuts.is_whole:
            limits = await asyncio.to_thread(
                plane_limits, pixels, card.low_percentile, card.high_percentile
            )
        else:
            limits = await limits_of_plane(context, source, place, record.channels)
    return _Read(
        pixels=pixels,
        limits=limits,
        is_measured=is_measured,
        all_channels=all_channels,
        mask=await _mask(context, place, window),
        channel_names=names,
        pixel_size_um=pixel_size_um,
    )


async def _table(
    context: JobContext, part: Part, read: _Read, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """The table of the instances of a whole plane."""
    measured = partial(
        measure, labels, channel_names=read.channel_names, pixel_size_um=read.pixel_size_um
    )
    if read.all_channels is not None:
        table = await asyncio.to_thread(measured, read.all_channels)
    else:
        window = slice(0, labels.shape[0]), slice(0, labels.shape[1])
        async with context.image() as source:
            channels = each_channel(source, _place(part), window)
            table = await asyncio.to_thread(measured, channels)
    if read.mask is not None:
        table[WITHIN] = within_column(labels, read.mask)
    return table


def _place(part: Part) -> tuple[int, int]:
    return part.payload["t"], part.payload["z"]


async def _mask(context: JobContext, place: tuple[int, int], window: Window) -> np.ndarray | None:
    if not context.request.within or context.request.volume:
        return None
    async with open_mask(context) as mask:
        return await asyncio.to_thread(mask_window, mask, place, window)


async def join(context: JobContext) -> None:
    """All planes together: the result files in the formats that were asked for."""
    record = await read_plan(context.store, context.job.id)
    parameters = instance_parameters(context.card, context.request)
    async with image_and_mask(context) as (source, mask):
        listed = {item.name for item in context.card.parameters}
        values = {name: value for name, value in asdict(parameters).items() if name in listed}
        values |= volume_wishes(context.request.postprocessing)
        await write_results(context, source, mask, record, values)


def is_blank(pixels: np.ndarray, limits: Limits) -> bool:
    """Whether the pixels of a (channel, y, x) block are all the same and black: nothing is there.

    Slides are stored without their background, and a file of some kilobytes can leave out a plane
    of 100,000 x 100,000 pixels; such blocks need no network. One that is all bright may lie within
    a large instance.
    """
    first = pixels[:, :1, :1]
    if not (first <= limits.low).all():
        return False
    # Nearly always the first row tells already.
    return bool((pixels[:, :1] == first).all() and (pixels == first).all())

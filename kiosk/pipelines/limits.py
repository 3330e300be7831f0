"""Intensity limits of planes, found once for all blocks of a plane."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import numpy as np

from kiosk.errors import NotFound
from kiosk.imaging.intensity import Limits, sample_limits
from kiosk.imaging.overviews import sampled
from kiosk.jobs import parts_prefix
from kiosk.pipelines.context import JobContext
from kiosk.ports import ImageSource, Window
from kiosk.request import SegmentationRequest

# A preview looks at no more pixels than this to find its limits: frames of a camera whole, which
# takes some 50 ms.
PREVIEW_SAMPLE_PX = 16_000_000


async def limits_of_plane(
    context: JobContext, source: ImageSource, place: tuple[int, int], channels: Sequence[int]
) -> Limits:
    """Limits of the plane at (t, z), read band by band.

    Whoever needs them first leaves them for the other blocks of the plane; two that do so at the
    same moment write the same.
    """
    key = f"{parts_prefix(context.job.id)}limits-{place[0]}-{place[1]}"
    try:
        low, high = np.frombuffer(await context.store.get(key), np.float64)
        return Limits(float(low), float(high))
    except NotFound:
        limits = await asyncio.to_thread(_read_limits, context, source, place, channels)
        await context.store.put(key, np.array([limits.low, limits.high]).tobytes())
        return limits


def _read_limits(
    context: JobContext, source: ImageSource, place: tuple[int, int], channels: Sequence[int]
) -> Limits:
    level, (rows, columns) = _looked_at(context.request, source)

    def read(window: Window) -> np.ndarray:
        inner = (
            slice(rows.start + window[0].start, rows.start + window[0].stop),
            slice(columns.start + window[1].start, columns.start + window[1].stop),
        )
        return source.plane(*place, channels, inner, level)

    card = context.card
    shape = rows.stop - rows.start, columns.stop - columns.start
    return sample_limits(
        sampled(read, shape, len(channels)), card.low_percentile, card.high_percentile
    )


def _looked_at(request: SegmentationRequest, source: ImageSource) -> tuple[int, Window]:
    """The resolution, and the window at it, whose pixels stand for a plane.

    All of it, but for previews, which shall not wait for a slide: there the first resolution that
    is small enough, or what lies around the region.
    """
    height, width = source.levels[0]
    region = request.region
    if not request.preview or region is None:
        return 0, (slice(0, height), slice(0, width))
    for level, (high, wide) in enumerate(source.levels):
        if high * wide <= PREVIEW_SAMPLE_PX:
            return level, (slice(0, high), slice(0, wide))
    side_px = math.isqrt(PREVIEW_SAMPLE_PX)
    return 0, (
        _around(region.min_y_px, region.max_y_px, side_px, height),
        _around(region.min_x_px, region.max_x_px, side_px, width),
    )


def _around(start: int, stop: int, side_px: int, length: int) -> slice:
    """`side_px` around the middle of [start, stop), inside of [0, length)."""
    first = min(max(0, (start + stop - side_px) // 2), max(0, length - side_px))
    return slice(first, min(length, first + side_px))

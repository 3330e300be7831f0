"""Intensity limits of planes, found once for all blocks of a plane."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from kiosk.errors import NotFound
from kiosk.imaging.intensity import Limits, sample_limits
from kiosk.imaging.overviews import sampled
from kiosk.jobs import parts_prefix
from kiosk.pipelines.context import JobContext
from kiosk.ports import ImageSource, Window


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
    def read(window: Window) -> np.ndarray:
        return source.plane(*place, channels, window)

    shape = (source.sizes["y"], source.sizes["x"])
    card = context.card
    return sample_limits(
        sampled(read, shape, len(channels)), card.low_percentile, card.high_percentile
    )

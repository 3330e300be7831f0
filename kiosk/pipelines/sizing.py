"""How large a job's instances are, and so at which scale the network sees its image.

The caller may say the diameter; else it is measured in a first pass over small windows of a few
planes. It is decided once, in the plan, so that all planes and blocks of a job are treated alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.imaging.intensity import Limits, plane_limits
from kiosk.imaging.postprocessing import label_maps
from kiosk.imaging.scaling import diameters_px, scale_for
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.limits import limits_of_plane
from kiosk.pipelines.planes import plane_places
from kiosk.pipelines.prediction import predicted_maps
from kiosk.ports import ImageSource, Window
from kiosk.request import Region

# Enough for a stable median of the diameters; a small part of the time for the whole job.
PLANES = 3
WINDOW_PX = 768
# Of a preview: half of its time goes into this.
PREVIEW_WINDOW_PX = 512
WINDOW_CHOICES = 3  # along each axis
FEWEST_INSTANCES = 3


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """The scale of a job.

    Attributes:
        scale: how much larger the network sees the image; 1 = as it is.
        diameter_px: typical diameter of the instances in the image; 0 = not known.
        source: where that comes from: "given", "measured", or "none" where it is not known.
    """

    scale: float = 1.0
    diameter_px: float = 0.0
    source: str = "none"


async def size_instances(
    context: JobContext, source: ImageSource, channels: Sequence[int], parameters: Any
) -> Sizing:
    """The scale for a job.

    Args:
        channels: those that the network gets.
        parameters: of the model's head; `diameter_px` is the caller's word.
    """
    wanted_px = context.card.network_diameter_px
    if wanted_px <= 0:
        return Sizing()
    if parameters.diameter_px > 0:
        scale = scale_for(parameters.diameter_px, wanted_px)
        return Sizing(scale=scale, diameter_px=parameters.diameter_px, source="given")
    windows = [
        await _window(context, source, channels, place)
        for place in _some(plane_places(source.sizes, context.request.plane))
    ]
    found = [await _measured(context, window, parameters) for window in windows]
    diameters = np.concatenate(found)
    if len(diameters) < FEWEST_INSTANCES:
        return Sizing()
    diameter_px = round(float(np.median(diameters)), 1)
    scale = scale_for(diameter_px, wanted_px)
    return Sizing(scale=scale, diameter_px=diameter_px, source="measured")


def sizing_note(sizing: Sizing) -> str:
    """What the owner of a job should know about its scale; "" where nothing was done."""
    if sizing.scale == 1.0:
        return ""
    found = "found in a first pass" if sizing.source == "measured" else "as given"
    return (
        f"The instances are about {sizing.diameter_px:g} px across ({found}), so the network saw"
        f" the image at {sizing.scale:.2f} times its size. Set diameter_px if that is wrong."
    )


async def _window(
    context: JobContext, source: ImageSource, channels: Sequence[int], place: tuple[int, int]
) -> tuple[np.ndarray, Limits]:
    """The busiest window of the plane at (t, z), and the limits of the whole plane."""

    def read(window: Window) -> np.ndarray:
        return source.plane(*place, channels, window)

    region = context.request.region
    if context.request.preview and region is not None:
        limits = await limits_of_plane(context, source, place, channels)
        return await asyncio.to_thread(read, middle(region, PREVIEW_WINDOW_PX)), limits
    shape = (source.sizes["y"], source.sizes["x"])
    if shape[0] * shape[1] <= context.options.block_px**2:
        # Read once: not every file can be read in pieces.
        plane = await asyncio.to_thread(source.plane, *place, list(channels))
        card = context.card
        limits = await asyncio.to_thread(
            plane_limits, plane, card.low_percentile, card.high_percentile
        )
        return (await asyncio.to_thread(busiest, lambda at: plane[:, *at], shape)).copy(), limits
    limits = await limits_of_plane(context, source, place, channels)
    return await asyncio.to_thread(busiest, read, shape), limits


async def _measured(
    context: JobContext, window: tuple[np.ndarray, Limits], parameters: Any
) -> np.ndarray:
    """Diameters of the instances in a window."""
    maps = await predicted_maps(context, *window)
    labels = await asyncio.to_thread(label_maps, context.card.head, maps, parameters)
    return diameters_px(labels)


def busiest(read: Callable[[Window], np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """The window of at most WINDOW_PX a side with the most contrast: where instances will be.

    Args:
        read: gives the (channel, y, x) pixels of a window of the plane.
        shape: (y, x) of the plane.
    """
    spans = [_spans(length) for length in shape]
    return max((read((rows, columns)) for rows in spans[0] for columns in spans[1]), key=_contrast)


def middle(region: Region, side_px: int) -> Window:
    """At most `side_px` a side in the middle of a region."""
    sides = ((region.min_y_px, region.max_y_px), (region.min_x_px, region.max_x_px))
    rows, columns = (
        slice(max(start, (start + stop - side_px) // 2), min(stop, (start + stop + side_px) // 2))
        for start, stop in sides
    )
    return rows, columns


def _spans(length_px: int) -> list[slice]:
    if length_px <= WINDOW_PX:
        return [slice(0, length_px)]
    starts = np.linspace(0, length_px - WINDOW_PX, WINDOW_CHOICES).astype(int)
    return [slice(int(start), int(start) + WINDOW_PX) for start in starts]


def _contrast(window: np.ndarray) -> float:
    values = window[:, ::4, ::4].astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(values.std(axis=(1, 2)).sum())
    return spread if np.isfinite(spread) else 0.0


def _some(places: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """First, middle and last, or fewer."""
    chosen = np.linspace(0, len(places) - 1, min(PLANES, len(places))).round().astype(int)
    return [places[i] for i in chosen]

"""The charts of the QC sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from kiosk.exports.qc_findings import Gathered, numbers
from kiosk.imaging import charts
from kiosk.imaging.charts import Axis, Bars, Series

BINS = 24
MOST_MARKED = 60
# Draws a chart of (width, height) pixels.
Chart = Callable[[Gathered, tuple[int, int]], Image.Image]


def charts_of(gathered: Gathered) -> list[Chart]:
    """The charts for which there is something to draw."""
    found: list[Chart] = []
    if numbers(gathered.sizes).size:
        found.append(_sizes)
    if len(gathered.counts) > 1:
        found += [_counts, _focus]
    elif numbers(gathered.means).size:
        found.append(_means)
    return found


def _sizes(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    title = f"Instances by size ({unit_of(gathered.size)})"
    return _histogram(numbers(gathered.sizes), title, size_px)


def _means(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    name = gathered.image.channel_names[gathered.image.channels[0]]
    return _histogram(numbers(gathered.means), f"Instances by mean grey value, {name}", size_px)


def _histogram(values: np.ndarray, title: str, size_px: tuple[int, int]) -> Image.Image:
    # The few largest would squeeze all others together; they are counted in the last bar.
    low, high = min(0.0, float(values.min())), float(np.percentile(values, 99)) * 1.1
    edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
    heights = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    bars = Bars(edges.tolist(), heights.tolist(), charts.PALETTE[0])
    x = charts.even_axis("", low, float(edges[-1]))
    y = _count_axis(int(heights.max()), size_px)
    return charts.chart(*size_px, title, x, y, [], bars)


def _counts(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    y = _count_axis(max(gathered.counts), size_px)
    return _by_plane(gathered, gathered.counts, "Instances per plane", y, size_px)


def _focus(gathered: Gathered, size_px: tuple[int, int]) -> Image.Image:
    """Planes without instances are left out: nothing in them could be sharp."""
    focus = gathered.focus
    usual = float(np.median(focus[focus > 0])) if (focus > 0).any() else 1.0
    shown = np.where(focus > 0, focus / usual, np.nan)
    high = min(3.0, max(1.2, float(np.nanmax(shown, initial=1.0)) * 1.1))
    y = charts.even_axis("", 0, high, _ticks(size_px))
    title = "Sharpness (1 = median plane)"
    return _by_plane(gathered, np.minimum(shown, high).tolist(), title, y, size_px)


def _by_plane(
    gathered: Gathered, values: Sequence[float], title: str, y: Axis, size_px: tuple[int, int]
) -> Image.Image:
    """Values along t, or along z where there is one time point; one line per z of a few."""
    lengths = gathered.image.sizes
    along, other = ("t", "z") if lengths["t"] > 1 else ("z", "t")
    places = np.array(gathered.places)[:, ["tz".index(along), "tz".index(other)]]
    depths = np.unique(places[:, 1])
    if len(depths) > len(charts.PALETTE):
        depths = depths[np.linspace(0, len(depths) - 1, len(charts.PALETTE)).round().astype(int)]
    name = f"{along}, counted from 0"
    if len(depths) > 1:
        name += f"; a line per {other}, from {depths[0]} (blue) to {depths[-1]}"
    shown, series = np.array(values, np.float64), []
    for number, depth in enumerate(depths.tolist()):
        here = np.flatnonzero((places[:, 1] == depth) & np.isfinite(shown))
        if not here.size:
            continue
        marker = "circle" if here.size <= MOST_MARKED else ""
        line = places[here, 0].tolist(), shown[here].tolist()
        series.append(Series(str(depth), *line, charts.PALETTE[number], marker, 2))
    ticks = charts.even_axis("", 0, lengths[along] - 1).ticks
    whole = [tick for tick in ticks if float(tick).is_integer()]
    x = Axis(name, 0, lengths[along] - 1, whole)
    return charts.chart(*size_px, title, x, y, series)


def _count_axis(largest: int, size_px: tuple[int, int]) -> Axis:
    axis = charts.even_axis("", 0, max(1, largest) * 1.08, _ticks(size_px))
    whole = [tick for tick in axis.ticks if float(tick).is_integer()]
    return Axis("", axis.low, axis.high, whole)


def _ticks(size_px: tuple[int, int]) -> int:
    return max(2, min(6, (size_px[1] - 86) // 36))


def unit_of(column: str) -> str:
    return {
        "volume_um3": "cubic um",
        "volume_px": "voxels",
        "area_um2": "square um",
        "area_px": "pixels",
    }.get(column, "")

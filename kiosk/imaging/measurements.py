"""What is measured on every instance of a plane: the columns of the table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from kiosk.imaging.grey_values import NAMES, grey_value_columns
from kiosk.imaging.runs import label_runs
from kiosk.imaging.shapes import shape_columns

# Column name -> what it holds; in the order of the table.
SHAPE_COLUMNS = {
    "label": "label of the instance in the label image of its plane",
    "y_px": "centroid, row, in pixels from the centre of the first pixel",
    "x_px": "centroid, column, in pixels from the centre of the first pixel",
    "area_px": "area in pixels",
    "min_y_px": "bounding box: first row",
    "min_x_px": "bounding box: first column",
    "max_y_px": "bounding box: last row + 1",
    "max_x_px": "bounding box: last column + 1",
    "major_axis_px": "major axis of the ellipse with the same second moments",
    "minor_axis_px": "its minor axis",
    "orientation_rad": "angle from the y axis to the major axis, -pi/2 to pi/2, towards x positive",
    "eccentricity": "of that ellipse: 0 for a circle, towards 1 for a line",
    "perimeter_px": "length of the outline, of holes too",
    "solidity": "area / area of the convex hull: 1 without dents",
    "touches_border": "1 if the instance touches the border of the plane",
}
# With a known pixel size. Lengths other than positions only where pixels are square.
MICROMETRE_COLUMNS = {
    "y_um": "centroid, row, in micrometres from the centre of the first pixel",
    "x_um": "centroid, column, in micrometres from the centre of the first pixel",
    "area_um2": "area in square micrometres",
    "major_axis_um": "major axis in micrometres, where pixels are square",
    "minor_axis_um": "minor axis in micrometres, where pixels are square",
    "perimeter_um": "perimeter in micrometres, where pixels are square",
}
# For each channel; with more than one its name is appended.
INTENSITY_COLUMNS = {
    "mean_intensity": "mean grey value",
    "sd_intensity": "standard deviation of the grey values",
    "min_intensity": "smallest grey value",
    "max_intensity": "largest grey value",
    "median_intensity": "median grey value",
    "total_intensity": "sum of the grey values",
}
SQUARE_WITHIN = 0.01
_LENGTHS = ("major_axis_um", "minor_axis_um", "perimeter_um")

PixelSize = tuple[float, float] | None


def column_names(channel_names: Sequence[str], pixel_size_um: PixelSize) -> list[str]:
    """The columns of `measure`, in order."""
    intensities = [
        f"{name}{suffix}"
        for suffix in intensity_suffixes(channel_names)
        for name in INTENSITY_COLUMNS
    ]
    return [*SHAPE_COLUMNS, *_micrometres(pixel_size_um), *intensities]


def measure(
    labels: np.ndarray,
    pixels: Iterable[np.ndarray],
    channel_names: Sequence[str] = ("",),
    pixel_size_um: PixelSize = None,
    *,
    origin_px: tuple[int, int] = (0, 0),
    plane_shape: tuple[int, int] | None = None,
) -> dict[str, np.ndarray]:
    """Measure all instances of one plane, or of a window of a larger plane.

    Of an instance that the window cuts only what lies inside is measured; set its label to 0 and
    measure it in a window that holds it whole.

    Args:
        labels: (y, x) unsigned labels, 0 = background; may be a memory map.
        pixels: the channels in turn, each (y, x) of any real dtype; NaN and infinities are left
            out. One array (channel, y, x) will do; of an iterable only one channel is kept.
        channel_names: one for each channel.
        pixel_size_um: (y, x), or None where it is not known.
        origin_px: (y, x) of the window's first pixel in its plane.
        plane_shape: (y, x) of the plane; None = the window is the plane.

    Returns:
        One array per name of `column_names`, one entry per instance, ascending by label.
        Positions, boxes and the border are those of the plane.

    Raises:
        ValueError: there are more or fewer channels than names, or one has another shape.
    """
    runs = label_runs(labels)
    columns = {"label": runs.labels, **shape_columns(runs, labels, origin_px, plane_shape)}
    if pixel_size_um is not None:
        columns |= in_micrometres(columns, pixel_size_um)
    suffixes = intensity_suffixes(channel_names)
    # A loop would hold a channel while the next is read; `map` does not.
    found = map(partial(grey_value_columns, runs), pixels)
    for suffix, values in zip(suffixes, found, strict=True):
        columns |= {f"{name}_intensity{suffix}": values[name] for name in NAMES}
    return columns


def intensity_suffixes(channel_names: Sequence[str]) -> list[str]:
    """What follows the name of an intensity: "" for a single channel, else `_NAME`, each once."""
    if len(channel_names) == 1:
        return [""]
    plain = [re.sub(r"\W+", "_", name).strip("_") or "channel" for name in channel_names]
    return [
        f"_{name}" if plain.count(name) == 1 else f"_{name}_{number}"
        for number, name in enumerate(plain)
    ]


def _micrometres(pixel_size_um: PixelSize) -> list[str]:
    if pixel_size_um is None:
        return []
    size_y, size_x = pixel_size_um
    square = abs(size_y - size_x) <= SQUARE_WITHIN * max(size_y, size_x)
    return [name for name in MICROMETRE_COLUMNS if square or name not in _LENGTHS]


def in_micrometres(
    columns: dict[str, np.ndarray], pixel_size_um: tuple[float, float]
) -> dict[str, np.ndarray]:
    """The columns of MICROMETRE_COLUMNS that follow from those in pixels."""
    size_y, size_x = pixel_size_um
    length = (size_y * size_x) ** 0.5
    factors = {"y_um": size_y, "x_um": size_x, "area_um2": size_y * size_x}
    return {
        name: columns[re.sub(r"um2?$", "px", name)] * factors.get(name, length)
        for name in _micrometres(pixel_size_um)
    }

"""What is measured on every volume of a stack: the columns of the table in 3-D.

Planes come one after another, whole or in windows, and are forgotten once they are added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from kiosk.imaging.grey_values import NAMES
from kiosk.imaging.measurements import INTENSITY_COLUMNS, PixelSize, intensity_suffixes
from kiosk.imaging.runs import label_runs
from kiosk.imaging.volume_intensities import VolumeIntensities
from kiosk.imaging.volume_shapes import VolumeShapes

# Column name -> what it holds; in the order of the table. Intensities follow as in 2-D.
VOLUME_COLUMNS = {
    "label": "label of the instance in the label image of its stack",
    "z_px": "centroid, plane, counted from 0",
    "y_px": "centroid, row, in pixels from the centre of the first pixel",
    "x_px": "centroid, column, in pixels from the centre of the first pixel",
    "volume_px": "volume in voxels",
    "planes": "number of planes that the instance is seen in",
    "min_z_px": "bounding box: first plane",
    "min_y_px": "bounding box: first row",
    "min_x_px": "bounding box: first column",
    "max_z_px": "bounding box: last plane + 1",
    "max_y_px": "bounding box: last row + 1",
    "max_x_px": "bounding box: last column + 1",
    "equivalent_diameter_px": "diameter of the ball of the same volume, in pixels of the plane",
    "major_axis_px": "longest axis of the ellipsoid with the same second moments, in pixels of the"
    " plane; planes as far apart as the pixel size and z step say, else by one pixel",
    "middle_axis_px": "its middle axis",
    "minor_axis_px": "its shortest axis",
    "touches_border": "1 if the instance touches a border of the stack, its first and last plane"
    " included",
    "touches_z_border": "1 if the instance is in the first or last plane of the stack",
}
# What needs a pixel size, a z step, or both.
VOLUME_MICROMETRE_COLUMNS = {
    "z_um": "centroid in micrometres from the first plane",
    "y_um": "centroid, row, in micrometres from the centre of the first pixel",
    "x_um": "centroid, column, in micrometres from the centre of the first pixel",
    "volume_um3": "volume in cubic micrometres",
    "equivalent_diameter_um": "diameter of the ball of the same volume in micrometres",
    "major_axis_um": "longest axis in micrometres",
    "middle_axis_um": "middle axis in micrometres",
    "minor_axis_um": "shortest axis in micrometres",
}
# Values kept for medians, of all channels together.
MOST_BYTES = 128_000_000


def volume_column_names(
    channel_names: Sequence[str], pixel_size_um: PixelSize, z_step_um: float | None
) -> list[str]:
    """The columns of `VolumeMeasurements`, in order."""
    intensities = [
        f"{name}{suffix}"
        for suffix in intensity_suffixes(channel_names)
        for name in INTENSITY_COLUMNS
    ]
    return [*VOLUME_COLUMNS, *_factors(pixel_size_um, z_step_um), *intensities]


class VolumeMeasurements:
    """Measures the volumes of one stack; memory goes with the volumes that are still open."""

    def __init__(
        self,
        last_plane: np.ndarray,
        shape: tuple[int, int, int],
        channel_names: Sequence[str] = ("",),
        pixel_size_um: PixelSize = None,
        z_step_um: float | None = None,
    ) -> None:
        """
        Args:
            last_plane: (volumes + 1,) the last plane of each volume, as in `Volumes`.
            shape: (z, y, x) of the stack.
            channel_names: one for each channel.
            pixel_size_um: (y, x), or None where it is not known.
            z_step_um: distance of planes, or None where it is not known.
        """
        self._last_plane, self._shape = last_plane, shape
        self._suffixes = intensity_suffixes(channel_names)
        self._sizes = pixel_size_um, z_step_um
        count, channels = len(last_plane) - 1, max(1, len(channel_names))
        self._shapes = VolumeShapes(count)
        self._channels = [VolumeIntensities(count, MOST_BYTES // channels) for _ in self._suffixes]

    def add(
        self,
        z: int,
        labels: np.ndarray,
        pixels: Iterable[np.ndarray],
        origin_px: tuple[int, int] = (0, 0),
    ) -> None:
        """Add a plane, or a window of it; planes in order, each pixel once.

        Args:
            labels: (y, x) labels of the volumes, 0 = background.
            pixels: the channels in turn, each (y, x) of any real dtype; NaN and infinities are
                left out. Of an iterable only one channel is kept.
            origin_px: (y, x) of the window's first pixel in its plane.

        Raises:
            ValueError: there are more or fewer channels than names, or one has another shape.
        """
        runs = label_runs(labels)
        self._shapes.add(z, runs, origin_px)
        is_open = self._last_plane >= z
        planes = iter(pixels)
        try:
            for channel in self._channels:
                # No name for the pixels: it would hold them while the next are read.
                channel.add(runs, next(planes))
        except StopIteration:
            raise ValueError("there are fewer channels than names") from None
        if next(planes, None) is not None:
            raise ValueError("there are more channels than names")
        for channel in self._channels:
            channel.medians.reduce(is_open)

    @property
    def medians_are_exact(self) -> bool:
        """Whether no digit was given up to keep memory flat."""
        return all(channel.medians.are_exact for channel in self._channels)

    def columns(self) -> dict[str, np.ndarray]:
        """One array per name of `volume_column_names`, one entry per volume that has a voxel.

        To be called once, after the last plane.
        """
        columns = self._shapes.columns(self._shape, _spacing_px(*self._sizes))
        label = np.flatnonzero(columns["volume_px"]) + 1
        for name, (source, factor) in _factors(*self._sizes).items():
            columns[name] = columns[source] * factor
        nothing_open = np.zeros(len(self._last_plane), bool)
        for suffix, channel in zip(self._suffixes, self._channels, strict=True):
            channel.medians.reduce(nothing_open, now=True)
            found = channel.columns()
            columns |= {f"{name}_intensity{suffix}": found[name] for name in NAMES}
        return {"label": label, **{name: values[label - 1] for name, values in columns.items()}}


def _spacing_px(pixel_size_um: PixelSize, z_step_um: float | None) -> tuple[float, float, float]:
    """(z, y, x) distances of voxels; a pixel is the side of a square of a pixel's area."""
    if pixel_size_um is None:
        return 1.0, 1.0, 1.0
    size_y, size_x = pixel_size_um
    side = math.sqrt(size_y * size_x)
    return (z_step_um or side) / side, size_y / side, size_x / side


def _factors(pixel_size_um: PixelSize, z_step_um: float | None) -> dict[str, tuple[str, float]]:
    """Micrometre column -> the column that it follows from, and what that is multiplied by."""
    factors: dict[str, tuple[str, float]] = {}
    if z_step_um is not None:
        factors["z_um"] = ("z_px", z_step_um)
    if pixel_size_um is not None:
        factors |= {"y_um": ("y_px", pixel_size_um[0]), "x_um": ("x_px", pixel_size_um[1])}
    if z_step_um is None or pixel_size_um is None:
        return factors
    side = math.sqrt(pixel_size_um[0] * pixel_size_um[1])
    factors["volume_um3"] = ("volume_px", side * side * z_step_um)
    lengths = ("equivalent_diameter", "major_axis", "middle_axis", "minor_axis")
    return factors | {f"{name}_um": (f"{name}_px", side) for name in lengths}

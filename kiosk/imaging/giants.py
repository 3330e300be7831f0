"""An instance that is too large for one window, measured band by band.

Everything but its median follows from sums and from the ends of its rows, so memory goes with the
height of the instance and not with its area. Definitions and values are those of `measure`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kiosk.imaging.grey_values import NAMES
from kiosk.imaging.hulls import hull_areas_px
from kiosk.imaging.measurements import PixelSize, in_micrometres, intensity_suffixes
from kiosk.imaging.perimeters import MARGIN_PX, perimeter_of_rows_px
from kiosk.imaging.runs import Runs, label_runs
from kiosk.imaging.shapes import ellipse_columns, touches_border
from kiosk.imaging.volume_intensities import VolumeIntensities

# Values kept for the medians of all channels. Values of 8 and 16 bits are counted; of others last
# digits are given up where an instance has more different ones.
MOST_BYTES = 8_000_000
_PAIRS = ("yy", "yx", "xx")


class GiantMeasurements:
    """Measures one instance; bands come from top to bottom and are forgotten once added."""

    def __init__(
        self,
        plane_shape: tuple[int, int],
        channel_names: Sequence[str] = ("",),
        pixel_size_um: PixelSize = None,
    ) -> None:
        """
        Args:
            plane_shape: (y, x) of the plane.
            channel_names: one for each channel.
            pixel_size_um: (y, x), or None where it is not known.
        """
        self._plane_shape, self._pixel_size_um = plane_shape, pixel_size_um
        self._suffixes = intensity_suffixes(channel_names)
        share = MOST_BYTES // max(1, len(self._suffixes))
        self._channels = [VolumeIntensities(1, share) for _ in self._suffixes]
        self._area_px, self._perimeter_px = 0, 0.0
        # Whole numbers of Python: sums of squares over a slide need more than 64 bits.
        self._sums = dict.fromkeys(("y", "x", *_PAIRS), 0)
        self._rows: list[np.ndarray] = []

    def add(
        self, inside: np.ndarray, pixels: Iterable[np.ndarray], origin_px: tuple[int, int]
    ) -> None:
        """Add a band.

        Args:
            inside: (y, x) bool, the pixels of the instance, with MARGIN_PX more rows above and
                below the band; beyond the plane these are False.
            pixels: the channels in turn, each (y, x) without these rows, of any real dtype.
            origin_px: (y, x) in the plane of the band's first pixel.
        """
        self._perimeter_px += perimeter_of_rows_px(inside)
        runs = label_runs(inside[MARGIN_PX : len(inside) - MARGIN_PX].view(np.uint8))
        if runs.labels.size:
            self._add_shape(runs, origin_px)
        for channel, values in zip(self._channels, pixels, strict=True):
            channel.add(runs, values)
            channel.medians.reduce(np.ones(2, bool))

    def _add_shape(self, runs: Runs, origin_px: tuple[int, int]) -> None:
        top, left = origin_px
        y, x, n = runs.y, runs.x, runs.length
        sum_x = n * x + n * (n - 1) // 2
        area, of_y, of_x = int(n.sum()), int((n * y).sum()), int(sum_x.sum())
        of_yy, of_yx = int((n * y * y).sum()), int((y * sum_x).sum())
        sum_xx = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
        # From the corner of the band to that of the plane.
        self._area_px += area
        self._sums["y"] += of_y + top * area
        self._sums["x"] += of_x + left * area
        self._sums["yy"] += of_yy + 2 * top * of_y + top * top * area
        self._sums["xx"] += int(sum_xx.sum()) + 2 * left * of_x + left * left * area
        self._sums["yx"] += of_yx + left * of_y + top * of_x + top * left * area
        first = np.flatnonzero(np.diff(y, prepend=-1))
        ends = np.maximum.reduceat(x + n, first)
        self._rows.append(np.stack([y[first] + top, x[first] + left, ends + left], axis=1))

    def columns(self) -> dict[str, np.ndarray]:
        """The columns of `measure` but the label, one entry each. To be called once."""
        rows = np.concatenate(self._rows)
        area = self._area_px
        mean = {name: self._sums[name] / area for name in "yx"}
        # Differences of whole numbers lose no digits, unlike those of their quotients.
        variance = {
            pair: (self._sums[pair] * area - self._sums[pair[0]] * self._sums[pair[1]]) / area**2
            for pair in _PAIRS
        }
        boxes = {
            "min_y_px": rows[:1, 0],
            "min_x_px": rows[:, 1].min(keepdims=True),
            "max_y_px": rows[-1:, 0] + 1,
            "max_x_px": rows[:, 2].max(keepdims=True),
        }
        columns = {
            **{f"{name}_px": np.array([mean[name]]) for name in "yx"},
            "area_px": np.array([area]),
            **boxes,
            **ellipse_columns(*(np.array([variance[pair]]) for pair in ("yy", "xx", "yx"))),
            "perimeter_px": np.array([self._perimeter_px]),
            "solidity": area / hull_areas_px(self._outline(rows)),
            "touches_border": touches_border(boxes, self._plane_shape),
        }
        if self._pixel_size_um is not None:
            columns |= in_micrometres(columns, self._pixel_size_um)
        for suffix, channel in zip(self._suffixes, self._channels, strict=True):
            channel.medians.reduce(np.zeros(2, bool), now=True)
            found = channel.columns()
            columns |= {f"{name}_intensity{suffix}": found[name] for name in NAMES}
        return columns

    def _outline(self, rows: np.ndarray) -> Runs:
        """Rows from end to end, which have the same convex hull."""
        y, x, end = rows.T
        one, none = np.ones(1, np.int64), np.zeros(1, np.int64)
        return Runs(y, x, end - x, one, none, self._plane_shape)

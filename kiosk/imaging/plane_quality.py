"""How well a plane was taken: how sharp it is, and how much of it is saturated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

# A plane is soft when it has less than this share of the detail of the planes it belongs to, and
# lies outside of what is usual among them.
SOFT_SHARE = 0.5
USUAL_DEVIATIONS = 4.0
# Noise is finer than this, edges in focus are not much coarser.
SMOOTHING_PX = 1.5
# Of fewer planes nobody can say what is usual.
FEWEST_PLANES = 5
# The median absolute deviation of a normal distribution is this share of its standard deviation.
_MAD_OF_SD = 0.6745


@dataclass(frozen=True)
class PlaneQuality:
    """What was seen of one plane.

    Attributes:
        focus: variance of the Laplacian divided by the variance of the grey values, both after a
            smoothing that takes away noise: the share of fine detail, whatever brightness and
            offset. 0 if flat. It says nothing of a plane without instances.
        highest: highest grey value.
        at_highest: how many pixels have it.
        pixels: how many pixels were looked at; NaN and infinities do not count.
    """

    focus: float
    highest: float
    at_highest: int
    pixels: int


def plane_quality(windows: Iterable[np.ndarray]) -> PlaneQuality:
    """Look at a plane.

    Args:
        windows: (channel, y, x) pieces of it, of any real dtype.
    """
    detail, grey, values = _Spread(), _Spread(), _Highest()
    for window in windows:
        values.add(window[np.isfinite(window)] if window.dtype.kind == "f" else window.ravel())
        mean = np.nan_to_num(window.astype(np.float32), posinf=0, neginf=0).mean(axis=0)
        smooth = cv2.GaussianBlur(mean, (0, 0), SMOOTHING_PX)
        grey.add(smooth)
        detail.add(cv2.Laplacian(smooth, cv2.CV_32F))
    focus = detail.variance / grey.variance if grey.variance > 0 else 0.0
    return PlaneQuality(focus, values.highest, values.at_highest, values.pixels)


def saturated_share(planes: Sequence[PlaneQuality]) -> float:
    """Share of the pixels that have the highest grey value of all planes."""
    pixels = sum(plane.pixels for plane in planes)
    highest = max((plane.highest for plane in planes if plane.pixels), default=0.0)
    full = sum(plane.at_highest for plane in planes if plane.highest == highest)
    return full / pixels if pixels else 0.0


def soft_planes(focus: np.ndarray) -> np.ndarray:
    """Which planes are much less sharp than the others of their kind.

    Args:
        focus: (plane,) of `PlaneQuality`; planes with 0 are left out.

    Returns:
        Indices, ascending; none where there are too few planes to compare.
    """
    seen = np.flatnonzero(focus > 0)
    if seen.size < FEWEST_PLANES:
        return np.zeros(0, np.int64)
    logs = np.log(focus[seen])
    middle = np.median(logs)
    deviation = np.median(np.abs(logs - middle)) / _MAD_OF_SD
    limit = middle + min(np.log(SOFT_SHARE), -USUAL_DEVIATIONS * deviation)
    return seen[logs < limit]


class _Highest:
    """The highest of all values that were added, and how often it came."""

    def __init__(self) -> None:
        self.highest, self.at_highest, self.pixels = 0.0, 0, 0

    def add(self, values: np.ndarray) -> None:
        """Add (value,) finite numbers."""
        if not values.size:
            return
        top = values.max()
        if not self.pixels or top > self.highest:
            self.highest, self.at_highest = float(top), 0
        if top == self.highest:
            self.at_highest += int(np.count_nonzero(values == top))
        self.pixels += values.size


class _Spread:
    """The variance of all values that were added, piece by piece."""

    def __init__(self) -> None:
        self._count, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        flat = values.astype(np.float64).ravel()
        self._count += flat.size
        self._sum += float(flat.sum())
        self._squares += float(flat @ flat)

    @property
    def variance(self) -> float:
        if not self._count:
            return 0.0
        mean = self._sum / self._count
        return max(0.0, self._squares / self._count - mean * mean)

"""Smaller resolutions of a plane, made while the plane goes by once in bands of rows.

    level 0   ████████  ████████  ████████  ...      bands as they come
    level 1   ████      ████                         two bands become one
    level 2   ██

A level is half as high and as wide as the one before, rounded up. What waits at a level for the
next band above is never more than one band, so memory is that of two bands of the full width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

Shrink = Callable[[np.ndarray], np.ndarray]

# What cv2 averages with rounding; other types take a slower way.
_CV2_TYPES = (np.uint8, np.uint16)


def level_count(shape: tuple[int, int], smallest_px: int) -> int:
    """How many resolutions there are when halving ends at a side of `smallest_px` or less."""
    longest, count = max(shape), 1
    while longest > smallest_px:
        longest, count = -(-longest // 2), count + 1
    return count


def level_shape(shape: tuple[int, int], level: int) -> tuple[int, int]:
    """(y, x) of a level; level 0 is the plane."""
    height, width = (-(-length // 2**level) for length in shape)
    return height, width


class Pyramid:
    """Takes the bands of a plane in order and gives the bands of all levels as they are done.

    Args:
        shape: (y, x) of the plane.
        levels: number of resolutions, the plane itself included.
        band_px: rows of each band but the last; even.
        shrink: halves a (y, x) band, rounding up: `nearest` or `mean`.
    """

    def __init__(self, shape: tuple[int, int], levels: int, band_px: int, shrink: Shrink) -> None:
        self._heights = [level_shape(shape, level)[0] for level in range(levels)]
        self._band_px, self._shrink = band_px, shrink
        self._tops = [0] * levels
        self._waiting: list[list[np.ndarray]] = [[] for _ in range(levels)]

    def push(self, band: np.ndarray, level: int = 0) -> Iterator[tuple[int, int, np.ndarray]]:
        """(level, first row, band) of what is complete now: `band_px` rows, or the last ones.

        Args:
            band: (y, x) the next rows of the plane.
        """
        waiting = self._waiting[level]
        waiting.append(band)
        top, rows = self._tops[level], sum(len(piece) for piece in waiting)
        if rows < self._band_px and top + rows < self._heights[level]:
            return
        whole = waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
        waiting.clear()
        self._tops[level] = top + rows
        yield level, top, whole
        if level + 1 < len(self._heights):
            yield from self.push(self._shrink(whole), level + 1)


def nearest(band: np.ndarray) -> np.ndarray:
    """Every other pixel: for labels, which have no mean."""
    return np.ascontiguousarray(band[::2, ::2])


def mean(band: np.ndarray) -> np.ndarray:
    """The mean of 2 x 2 pixels in the same dtype; integers rounded, NaN and infinities left out."""
    height, width = band.shape
    even = np.pad(band, ((0, height % 2), (0, width % 2)), mode="edge")
    if band.dtype in _CV2_TYPES:
        size = even.shape[1] // 2, even.shape[0] // 2
        return np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA)).reshape(size[::-1])
    blocks = np.stack([even[row::2, column::2] for row in (0, 1) for column in (0, 1)])
    if band.dtype.kind != "f":
        total = blocks.sum(axis=0, dtype=np.float64)
        return np.asarray(np.rint(total / 4)).astype(band.dtype)
    finite = np.isfinite(blocks)
    total = np.where(finite, blocks, 0).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / finite.sum(axis=0)).astype(band.dtype)

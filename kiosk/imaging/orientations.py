"""Turned and mirrored views of a plane, and the mean of what a network says of them.

A network does not answer quite alike for an image and its mirror image; the mean over views is
a little better than each, and costs one run per view.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

VIEWS = 8
"""The symmetries of a square. The first is the image itself, the first four keep its sides."""


def turned(pixels: np.ndarray, view: int) -> np.ndarray:
    """View 0..7 of (..., y, x) pixels: mirrored in y, in x, and y exchanged with x, by its bits.

    Views 1, 2 and 3 are the half turn and the two mirrors; 4..7 exchange the axes as well.
    """
    flip_y, flip_x = _flips(view)
    seen = np.swapaxes(pixels, -1, -2) if view >= VIEWS // 2 else pixels
    return np.ascontiguousarray(seen[..., ::flip_y, ::flip_x])


def turned_back(maps: np.ndarray, view: int) -> np.ndarray:
    """The inverse of `turned`."""
    flip_y, flip_x = _flips(view)
    straight = maps[..., ::flip_y, ::flip_x]
    return np.swapaxes(straight, -1, -2) if view >= VIEWS // 2 else straight


def mean_map(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of maps of equal shape and dtype, in that dtype (uint8 is rounded)."""
    if len(maps) == 1:
        return maps[0]
    mean = np.mean(np.stack(maps), axis=0, dtype=np.float32)
    return (np.rint(mean) if maps[0].dtype == np.uint8 else mean).astype(maps[0].dtype)


def _flips(view: int) -> tuple[int, int]:
    # Opposite corners first: two views with the half turn differ more than with one mirror.
    return ((1, 1), (-1, -1), (-1, 1), (1, -1))[view % (VIEWS // 2)]

"""Masks of cells in frames in which they were not found, from the frames around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage


def fill_gaps(frames: Mapping[int, np.ndarray], gaps: Sequence[tuple[int, int, int]]) -> None:
    """Paint the masks that are missing, in place.

    A cell has the shape of the nearer of the frames before and after its gap and lies on the
    straight way between the two. Only background is painted over; where there is none left, one
    pixel, but never the last one of another cell.

    Args:
        frames: frame -> (z, y, x) labels, at least those that the gaps touch.
        gaps: label, last frame before the gap, first frame after it.
    """
    boxes: dict[int, list[tuple[slice, ...] | None]] = {}
    for label, before, after in gaps:
        places = []
        for frame in (before, after):
            if frame not in boxes:
                boxes[frame] = ndimage.find_objects(frames[frame].astype(np.int32))
            places.append(_pixels(frames[frame], boxes[frame], label))
        first, last = places
        way = last.mean(axis=0) - first.mean(axis=0)
        for frame in range(before + 1, after):
            share = (frame - before) / (after - before)
            shape, moved = (first, way * share) if share <= 0.5 else (last, way * (share - 1))
            _paint(frames[frame], label, shape + np.rint(moved).astype(np.int64))


def _pixels(
    labels: np.ndarray, boxes: Sequence[tuple[slice, ...] | None], label: int
) -> np.ndarray:
    """(n, 3) the pixels of a label."""
    box = boxes[label - 1]
    assert box is not None
    start = np.array([part.start for part in box])
    return np.asarray(np.argwhere(labels[box] == label) + start)


def _paint(labels: np.ndarray, label: int, pixels: np.ndarray) -> None:
    middle = np.clip(np.rint(pixels.mean(axis=0)).astype(np.int64), 0, np.array(labels.shape) - 1)
    inside = ((pixels >= 0) & (pixels < labels.shape)).all(axis=1)
    places = tuple(pixels[inside].T)
    free = labels[places] == 0
    if free.any():
        labels[tuple(axis[free] for axis in places)] = label
        return
    # The nearest pixel that is not all there is of another cell.
    names, name, count = np.unique(labels, return_inverse=True, return_counts=True)
    spare = np.argwhere(((names == 0) | (count > 1))[name].reshape(labels.shape))
    if len(spare):
        nearest = np.square(spare - middle).sum(axis=1).argmin()
        labels[tuple(spare[nearest])] = label

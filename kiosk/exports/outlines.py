"""The outlines of the instances of a plane, traced in windows that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kiosk.exports.writer import LabelPlane, Table
from kiosk.imaging.polygons import Rings, trace_rings

# A window of this many pixels takes some hundred MB to trace in the worst case.
WINDOW_PIXELS = 4 * 2**20


def traced(plane: LabelPlane, boxes: Table) -> Iterator[Rings]:
    """The rings of instances, some at a time.

    Args:
        boxes: as in `Writer.add_instances`.
    """
    top, left, bottom, right = (
        np.asarray(boxes[name]).astype(np.int64)
        for name in ("min_y_px", "min_x_px", "max_y_px", "max_x_px")
    )
    labels = np.asarray(boxes["label"]).astype(np.int64)
    for part in _near_each_other(np.arange(len(labels)), top, left, bottom, right):
        rows = slice(int(top[part].min()), int(bottom[part].max()))
        columns = slice(int(left[part].min()), int(right[part].max()))
        bands = _bands(plane, rows, columns)
        yield trace_rings(bands, np.sort(labels[part]), (rows.start, columns.start))


def _near_each_other(
    part: np.ndarray, top: np.ndarray, left: np.ndarray, bottom: np.ndarray, right: np.ndarray
) -> Iterator[np.ndarray]:
    """The instances in groups, halved until the window around a group is small enough."""
    if not part.size:
        return
    height = int(bottom[part].max() - top[part].min())
    width = int(right[part].max() - left[part].min())
    if height * width <= WINDOW_PIXELS or part.size == 1:
        yield part
        return
    order = np.argsort((top if height >= width else left)[part], kind="stable")
    for half in np.array_split(part[order], 2):
        yield from _near_each_other(np.sort(half), top, left, bottom, right)


def _bands(plane: LabelPlane, rows: slice, columns: slice) -> Iterator[np.ndarray]:
    """The rows of a window; in several pieces where a single instance is very large."""
    step = max(1, WINDOW_PIXELS // (columns.stop - columns.start))
    for first in range(rows.start, rows.stop, step):
        yield plane.labels((slice(first, min(first + step, rows.stop)), columns))

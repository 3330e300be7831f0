"""Area of the convex hull of every instance, all instances at once.

The definition is scikit-image's `area_convex`: the hull of the middles of the pixels' four edges,
and in it all pixels whose centre is inside or on its border.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.runs import Runs

# Rows are counted in halves, so that middles of edges lie on them.
HALVES = 2
_TOLERANCE_PX = 1e-9
# Instances at a time, so that the work space fits a processor's cache.
CHUNK_INSTANCES = 1000


def hull_areas_px(runs: Runs) -> np.ndarray:
    """(instance,) int64: pixels in the convex hull of each instance."""
    count = len(runs.labels)
    areas = np.zeros(count, np.int64)
    for begin in range(0, count, CHUNK_INSTANCES):
        part = slice(begin, min(count, begin + CHUNK_INSTANCES))
        areas[part] = _areas(runs.part(part.start, part.stop))
    return areas


def _areas(runs: Runs) -> np.ndarray:
    row_begins = _rows(runs)
    instance = runs.instance[row_begins]
    y = runs.y[row_begins]
    left = runs.x[row_begins]
    ends = np.maximum.reduceat(runs.x + runs.length - 1, row_begins)
    # One axis for all instances: each has its own stretch of it, with a gap between.
    top, bottom = runs.least(runs.y), runs.most(runs.y)
    stretch = HALVES * (bottom - top + 3)
    base = np.concatenate([[0], np.cumsum(stretch)[:-1]])
    place = base[instance] + HALVES * (y - top[instance] + 1)
    rows = _all_rows(base, top, bottom)
    low = _envelope(*_edge_points(place, left.astype(np.float64), instance), rows)
    high = -_envelope(*_edge_points(place, -ends.astype(np.float64), instance), rows)
    counts = np.floor(high + _TOLERANCE_PX) - np.ceil(low - _TOLERANCE_PX) + 1
    owner = np.repeat(np.arange(len(base)), bottom - top + 1)
    return np.bincount(owner, np.maximum(counts, 0), len(base)).astype(np.int64)


def _rows(runs: Runs) -> np.ndarray:
    """The first run of each row of each instance."""
    new_row = np.diff(runs.y, prepend=-1) != 0
    new_row[runs.first] = True
    return np.flatnonzero(new_row)


def _all_rows(base: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Places of all rows from top to bottom of each instance, also of those it leaves out."""
    height = bottom - top + 1
    begin = np.concatenate([[0], np.cumsum(height)[:-1]])
    within = np.arange(height.sum()) - np.repeat(begin, height)
    return np.repeat(base, height) + HALVES * (within + 1)


def _edge_points(
    place: np.ndarray, edge: np.ndarray, instance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(place, value, whether it is an end) of the points that a hull's left side can have.

    Every pixel gives three: the middle of its left edge and those of its upper and lower edges,
    half a row away; where two rows meet, the one further left counts, and that only where it is
    further left than the line from row to row. Ends are the first and the last point of each
    instance.

    Args:
        place, edge, instance: of each row, its leftmost pixel, in order.
    """
    meets = np.empty(len(place) + 1, bool)  # the row before; one more for the end
    meets[1:-1] = np.diff(place) == HALVES
    meets[0] = meets[-1] = False
    changes = np.flatnonzero(np.diff(instance)) + 1
    at = np.stack([place - 1, place, place + 1], axis=1)
    value = np.stack([edge, edge - 0.5, edge], axis=1)
    value[:-1, 2] = np.where(meets[1:-1], np.minimum(edge[:-1], edge[1:]), edge[:-1])
    is_end = np.zeros(at.shape, bool)
    is_end[np.append(0, changes), 0] = True
    is_end[np.append(changes - 1, len(place) - 1), 2] = True
    keep = np.ones(at.shape, bool)
    keep[:, 0] = ~meets[:-1]
    keep[:-1, 2] = ~meets[1:-1] | (np.abs(np.diff(edge)) > 1)
    return at[keep], value[keep], is_end[keep]


def _envelope(
    at: np.ndarray, value: np.ndarray, is_end: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """The lower convex envelope at `rows` of points in order, from end to end of each instance.

    A point that is not below the line between its neighbours is on no convex envelope, so all
    such points can go at once; what is left after some rounds is convex.
    """
    while True:
        before, after = at[1:-1] - at[:-2], at[2:] - at[1:-1]
        below = value[1:-1] * (before + after) < value[:-2] * after + value[2:] * before
        below |= is_end[1:-1]
        if below.all():
            return np.interp(rows, at, value)
        keep = np.concatenate([[0], np.flatnonzero(below) + 1, [len(at) - 1]])
        at, value, is_end = at[keep], value[keep], is_end[keep]

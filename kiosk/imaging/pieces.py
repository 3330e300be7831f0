"""Labels that several unconnected objects of an image share, as masks drawn by hand often do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from kiosk.imaging.runs import Runs, label_runs


@dataclass(frozen=True)
class _Pieces:
    """The runs of an image and the piece that each belongs to.

    Attributes:
        runs: rows of all planes below each other.
        piece: (run,) int64.
        instance: (piece,) int64 place in `runs.labels`.
        area_px: (piece,) int64.
    """

    runs: Runs
    piece: np.ndarray
    instance: np.ndarray
    area_px: np.ndarray

    @property
    def is_largest(self) -> np.ndarray:
        """(piece,) bool: of its label; of equal ones the first."""
        order = np.lexsort((-self.area_px, self.instance))
        first = np.ones(len(order), bool)
        first[1:] = self.instance[order][1:] != self.instance[order][:-1]
        largest = np.zeros(len(order), bool)
        largest[order[first]] = True
        return largest


def repeated_labels(labels: np.ndarray) -> np.ndarray:
    """(n,) int64 ascending: the labels that several unconnected objects share.

    Args:
        labels: (y, x) or (z, y, x) label image. Pixels that touch at a corner are connected.
    """
    pieces = _pieces(labels)
    return pieces.runs.labels[np.unique(pieces.instance[~pieces.is_largest])]


def split_unconnected(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """A label for every connected object: the largest one of a label keeps it.

    Args:
        labels: (y, x) or (z, y, x) label image, left as it is. Pixels that touch at a corner are
            connected.

    Returns:
        The label image, the same array where there is nothing to do, else uint32 with new labels
        from the highest one on; and the number of new labels.
    """
    pieces = _pieces(labels)
    is_new = ~pieces.is_largest
    count = int(is_new.sum())
    if not count:
        return labels, 0
    runs = pieces.runs
    numbers = runs.labels[pieces.instance]
    numbers[is_new] = int(runs.labels[-1]) + 1 + np.arange(count)
    changed = np.flatnonzero(is_new[pieces.piece])
    length = runs.length[changed]
    begins = runs.y[changed] * labels.shape[-1] + runs.x[changed]
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    result = labels.astype(np.uint32)
    flat = result.reshape(-1)
    flat[np.repeat(begins, length) + within] = np.repeat(numbers[pieces.piece[changed]], length)
    return result, count


def _pieces(labels: np.ndarray) -> _Pieces:
    height, width = labels.shape[-2:]
    runs = label_runs(labels.reshape(-1, width))
    instance = runs.instance
    # A row that is in no plane keeps the last row of a plane apart from the first of the next.
    row = runs.y + runs.y // height
    steps = [1] if labels.ndim == 2 else [1, height, height + 1, height + 2]
    rows = int(row.max(initial=0)) + max(steps) + 1
    # Ascending, because runs are ordered by label, row and column and do not overlap.
    begins = (instance * rows + row) * (width + 2) + runs.x
    ends = begins + runs.length - 1
    pairs = [_neighbours(begins, ends, step * (width + 2)) for step in steps]
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    count = len(begins)
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    _, piece = connected_components(graph, directed=False)
    places = np.unique(piece, return_index=True)[1]
    area_px = np.bincount(piece, runs.length, minlength=len(places)).astype(np.int64)
    return _Pieces(runs, piece, instance[places], area_px)


def _neighbours(begins: np.ndarray, ends: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs that touch, the second `step` further on; corners count."""
    low = np.searchsorted(ends, begins + step - 1)
    high = np.searchsorted(begins, ends + step + 1, side="right")
    counts = np.maximum(high - low, 0)
    first = np.repeat(np.arange(len(begins)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, np.repeat(low, counts) + within

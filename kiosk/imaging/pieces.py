"""Labels that several unconnected objects of an image share, as masks drawn by hand often do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kiosk.imaging.runs import Runs, label_runs

HIGHEST_LABEL = 2**32 - 1


@dataclass(frozen=True)
class Pieces:
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
    pieces = find_pieces(labels)
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
    pieces = find_pieces(labels)
    is_new = ~pieces.is_largest
    count = int(is_new.sum())
    if not count:
        return labels, 0
    numbers = pieces.runs.labels[pieces.instance]
    numbers[is_new] = new_labels(pieces.runs.labels, count)
    return renumbered(labels, pieces, numbers), count


def new_labels(taken: np.ndarray, count: int) -> np.ndarray:
    """(count,) int64 labels that are free: from the highest one on while uint32 holds them.

    Args:
        taken: (n,) labels, ascending.
    """
    highest = int(taken[-1]) if len(taken) else 0
    if highest + count <= HIGHEST_LABEL:
        return highest + 1 + np.arange(count)
    low = np.arange(1, len(taken) + count + 1)
    return low[~np.isin(low, taken)][:count]


def renumbered(labels: np.ndarray, pieces: Pieces, numbers: np.ndarray) -> np.ndarray:
    """A uint32 copy of a label image in which each piece has its number of (piece,) numbers."""
    runs = pieces.runs
    changed = np.flatnonzero((numbers != runs.labels[pieces.instance])[pieces.piece])
    length = runs.length[changed]
    begins = runs.y[changed] * labels.shape[-1] + runs.x[changed]
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    result = labels.astype(np.uint32)
    flat = result.reshape(-1)
    flat[np.repeat(begins, length) + within] = np.repeat(numbers[pieces.piece[changed]], length)
    return result


def find_pieces(labels: np.ndarray) -> Pieces:
    """The connected pieces of all labels of a (y, x) or (z, y, x) label image."""
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
    return Pieces(runs, piece, instance[places], area_px)


def _neighbours(begins: np.ndarray, ends: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs that touch, the second `step` further on; corners count."""
    low = np.searchsorted(ends, begins + step - 1)
    high = np.searchsorted(begins, ends + step + 1, side="right")
    counts = np.maximum(high - low, 0)
    first = np.repeat(np.arange(len(begins)), counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first, np.repeat(low, counts) + within

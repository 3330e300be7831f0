"""Cells that share a label: told from one cell whose mask is in pieces, and given labels apart."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from kiosk.imaging.pieces import Pieces, find_pieces, new_labels, renumbered

# What is smaller than this share of a label's largest piece was broken off, and is no cell.
CELL_SHARE = 0.25
# Pieces of one cell are not further apart than this share of the largest one's diameter.
APART_SHARE = 0.5
# Nobody draws a cell in more pieces of about equal size; then every one is a cell.
MOST_PIECES = 3
# A picture that is no label image is all specks: of few grey values, or without background.
SPECK_PX = 4
MOST_SPECKS = 3
FULL_SHARE = 0.9
FEWEST_SPECKS = 100
# Share of the pixels that have another number than those to their left.
NOISE_SHARE = 0.5


def split_shared(labels: np.ndarray, z_step: float = 1.0) -> tuple[np.ndarray, int]:
    """A label for every cell; cells in pieces that are near each other stay whole.

    Pieces of at least CELL_SHARE of the largest one are cells of their own when the gap between
    their bounding boxes is more than APART_SHARE of the largest one's diameter, or when they are
    more than MOST_PIECES. Smaller pieces go with the nearest of these.

    Args:
        labels: (y, x) or (z, y, x) label image, left as it is.
        z_step: distance of planes in pixels of y and x.

    Returns:
        The label image, the same array where there is nothing to do, else uint32 with new labels;
        and the number of new labels. The cell with the largest piece keeps the label.
    """
    pieces = find_pieces(labels)
    several = np.flatnonzero(np.bincount(pieces.instance, minlength=1) > 1)
    if not len(several):
        return labels, 0
    low, high = _boxes(pieces, labels.shape, z_step)
    size = pieces.area_px * (z_step if labels.ndim == 3 else 1.0)
    order = np.argsort(pieces.instance, kind="stable")
    begins = np.searchsorted(pieces.instance[order], several)
    ends = np.searchsorted(pieces.instance[order], several, side="right")
    # Of each piece the number of its cell among those of its label; the label's own is 0.
    cell = np.zeros(len(pieces.instance), np.int64)
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        mine = order[begin:end]
        cell[mine] = _cells(size[mine], low[mine], high[mine], labels.ndim)
    numbers = pieces.runs.labels[pieces.instance]
    is_new = cell > 0
    if not is_new.any():
        return labels, 0
    pairs = np.stack([pieces.instance[is_new], cell[is_new]])
    found, which = np.unique(pairs, axis=1, return_inverse=True)
    count = found.shape[1]
    numbers[is_new] = new_labels(pieces.runs.labels, count)[which.ravel()]
    return renumbered(labels, pieces, numbers), count


def is_picture(labels: np.ndarray) -> bool:
    """Whether these are the grey values of a picture rather than labels: specks of every number.

    Args:
        labels: (y, x) or (z, y, x) unsigned integers.
    """
    # Noise is known by its rows already; its pieces would take a hundred times its room.
    begins = int(np.count_nonzero((labels[..., 1:] != labels[..., :-1]) & (labels[..., 1:] > 0)))
    if begins > max(FEWEST_SPECKS, NOISE_SHARE * labels.size):
        return True
    pieces = find_pieces(labels)
    count, total = len(pieces.area_px), int(pieces.area_px.sum())
    is_all_over = count > MOST_SPECKS * len(pieces.runs.labels) or total > FULL_SHARE * labels.size
    return count > FEWEST_SPECKS and total < SPECK_PX * count and is_all_over


def _boxes(pieces: Pieces, shape: tuple[int, ...], z_step: float) -> tuple[np.ndarray, np.ndarray]:
    """(piece, 3) float64 first and last z, y, x of each piece, in pixels of the plane."""
    runs, height = pieces.runs, shape[-2]
    low = np.full((len(pieces.area_px), 3), np.inf)
    high = np.full_like(low, -np.inf)
    z, y = runs.y // height * z_step, runs.y % height
    for axis, (first, last) in enumerate([(z, z), (y, y), (runs.x, runs.x + runs.length - 1)]):
        np.minimum.at(low[:, axis], pieces.piece, first)
        np.maximum.at(high[:, axis], pieces.piece, last)
    return low, high


def _cells(size: np.ndarray, low: np.ndarray, high: np.ndarray, axes: int) -> np.ndarray:
    """(piece,) int64 which cell each piece of one label belongs to; 0 = that of the largest."""
    largest = int(np.argmax(size))
    large = np.flatnonzero(size >= CELL_SHARE * size[largest])
    if len(large) == 1:
        return np.zeros(len(size), np.int64)
    if len(large) > MOST_PIECES:
        of_large = np.arange(len(large))
    else:
        apart_px = APART_SHARE * _diameter_px(float(size[largest]), axes)
        gap = _gaps(low[large][:, None], high[large][:, None], low[large], high[large])
        first, second = np.nonzero(gap <= apart_px)
        shape = (len(large), len(large))
        graph = coo_array((np.ones(len(first), bool), (first, second)), shape=shape)
        _, of_large = connected_components(graph, directed=False)
    # The cell with the largest piece is 0.
    own = of_large[np.searchsorted(large, largest)]
    of_large = np.where(of_large == own, 0, of_large + 1)
    middle = (low + high) / 2
    _, nearest = cKDTree(middle[large]).query(middle)
    cell = of_large[nearest]
    cell[large] = of_large
    return np.asarray(cell)


def _gaps(
    low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray
) -> np.ndarray:
    """Distance between boxes; 0 where they overlap or touch."""
    between = np.maximum(low - other_high, other_low - high)
    return np.asarray(np.sqrt(np.square(np.maximum(between, 0)).sum(axis=-1)))


def _diameter_px(size: float, axes: int) -> float:
    """Of the circle of this area, or the ball of this volume."""
    return 2 * (size / np.pi) ** 0.5 if axes == 2 else (6 * size / np.pi) ** (1 / 3)

"""Faults of single frames mended by those around them: cells cut in pieces, and cells run together.

A cell that is one instance in the frame before and in one soon after, and two in between, was cut;
a division would stay. Two cells that are two before and after, and one in between, touched and were
taken for one. Cells are told by overlap, so what moves further than its own size is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kiosk.imaging.overlap_counts import OverlapCounts, count_overlaps, label_areas
from kiosk.imaging.runs import label_runs

# An instance lies in the one that covers most of it, if that is at least this share; the rest may
# have moved on. Areas have to agree as well.
INSIDE_SHARE = 0.3
# The parts together are as large as the whole, within this factor.
AREA_FACTOR = 1.6
# A fault is mended when the cell is whole again after at most this many frames.
LOOK_AHEAD_FRAMES = 3


@dataclass(frozen=True)
class Mended:
    """A frame after mending.

    Attributes:
        labels: (y, x) uint32; labels of cells that were cut are joined, cells that were run
            together have a new label beside the old one.
        joined, parted: how many instances of each kind there were.
    """

    labels: np.ndarray
    joined: int
    parted: int


def mend(before: np.ndarray, labels: np.ndarray, later: Sequence[np.ndarray]) -> Mended:
    """Mend a frame.

    Args:
        before: (y, x) labels of the frame before, mended.
        labels: (y, x) labels of the frame.
        later: those of the frames after it, the next one first.
    """
    found = labels.astype(np.uint32)
    joined = parted = 0
    for after in later[:LOOK_AHEAD_FRAMES]:
        pieces = _cut_pieces(before, found, after)
        if pieces:
            table = np.arange(int(found.max()) + 1, dtype=np.uint32)
            for keep, other in pieces:
                table[other] = table[keep]
            found = table[found]
            joined += len(pieces)
        for whole, first, second in _run_together(before, found, after):
            found = _parted(found, whole, before == first, before == second)
            parted += 1
    return Mended(found, joined, parted)


class _Frame:
    """Areas of the labels of a frame."""

    def __init__(self, labels: np.ndarray) -> None:
        self.area = label_areas(labels, int(labels.max(initial=0)) + 1)

    def like(self, whole: int, parts: int) -> bool:
        return bool(whole / AREA_FACTOR <= parts <= whole * AREA_FACTOR)


def _cut_pieces(before: np.ndarray, labels: np.ndarray, after: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of labels that are one cell before and after."""
    here, past, future = _Frame(labels), _Frame(before), _Frame(after)
    was, becomes = _containers(labels, before, here), _containers(labels, after, here)
    families: dict[tuple[int, int], list[int]] = {}
    for label, mother in was.items():
        if label in becomes:
            families.setdefault((mother, becomes[label]), []).append(label)
    found = []
    for (mother, child), pieces in families.items():
        if len(pieces) != 2:
            continue
        area = int(here.area[pieces].sum())
        if here.like(past.area[mother], area) and here.like(future.area[child], area):
            found.append((pieces[0], pieces[1]))
    return found


def _run_together(
    before: np.ndarray, labels: np.ndarray, after: np.ndarray
) -> list[tuple[int, int, int]]:
    """(label, its two cells in the frame before) of instances that are two before and after."""
    here, past, future = _Frame(labels), _Frame(before), _Frame(after)
    were, become = _by_container(before, labels, past), _by_container(after, labels, future)
    found = []
    for whole, cells in were.items():
        later = become.get(whole, [])
        if len(cells) != 2 or len(later) != 2:
            continue
        if here.like(here.area[whole], int(past.area[cells].sum())) and here.like(
            here.area[whole], int(future.area[later].sum())
        ):
            found.append((whole, cells[0], cells[1]))
    return found


def _containers(labels: np.ndarray, other: np.ndarray, frame: _Frame) -> dict[int, int]:
    """label -> the label of the other image that most of it lies in."""
    counts: OverlapCounts = count_overlaps(labels, other).foreground
    inside = np.flatnonzero(counts.count >= INSIDE_SHARE * frame.area[counts.first])
    inside = inside[np.argsort(counts.count[inside], kind="stable")]  # the largest stays
    pairs = zip(counts.first[inside].tolist(), counts.second[inside].tolist(), strict=True)
    return dict(pairs)


def _by_container(labels: np.ndarray, other: np.ndarray, frame: _Frame) -> dict[int, list[int]]:
    """label of the other image -> the labels that lie in it."""
    found: dict[int, list[int]] = {}
    for label, container in _containers(labels, other, frame).items():
        found.setdefault(container, []).append(label)
    return found


def _parted(labels: np.ndarray, whole: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The labels with an instance cut in two: each pixel goes to the nearer of two cells.

    The cells are where they were in the frame before; the second gets a new label.
    """
    runs = label_runs((labels == whole).astype(np.uint8))
    top, left = int(runs.y.min()), int(runs.x.min())
    window = (
        slice(top, int(runs.y.max()) + 1),
        slice(left, int((runs.x + runs.length).max())),
    )
    inside = labels[window] == whole
    away = [_distance_px(cell[window] & inside) for cell in (first, second)]
    labels[window][inside & (away[1] < away[0])] = int(labels.max()) + 1
    return labels


def _distance_px(cell: np.ndarray) -> np.ndarray:
    """(y, x) distance to the nearest pixel of a cell."""
    return np.asarray(cv2.distanceTransform((~cell).astype(np.uint8), cv2.DIST_L2, 5))

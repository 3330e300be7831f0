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
    past = _Overlap.of(found, before)
    for after in later[:LOOK_AHEAD_FRAMES]:
        future = _Overlap.of(found, after)
        pieces = _cut_pieces(past, future)
        if pieces:
            table = np.arange(int(found.max()) + 1, dtype=np.uint32)
            for keep, other in pieces:
                table[other] = table[keep]
            found = table[found]
            joined += len(pieces)
            past, future = _Overlap.of(found, before), _Overlap.of(found, after)
        wholes = _run_together(past, future)
        for whole, first, second in wholes:
            found = _parted(found, whole, before == first, before == second)
        if wholes:
            parted += len(wholes)
            past = _Overlap.of(found, before)
    return Mended(found, joined, parted)


@dataclass(frozen=True)
class _Overlap:
    """The instances of a frame and those of another, by label: areas, and who lies in whom."""

    area: np.ndarray
    other_area: np.ndarray
    counts: OverlapCounts

    @classmethod
    def of(cls, labels: np.ndarray, other: np.ndarray) -> _Overlap:
        area, other_area = (
            label_areas(image, int(image.max(initial=0)) + 1) for image in (labels, other)
        )
        return cls(area, other_area, count_overlaps(labels, other).foreground)

    def containers(self) -> dict[int, int]:
        """label -> the label of the other frame that most of it lies in."""
        return _containers(self.counts.first, self.counts.second, self.counts.count, self.area)

    def contained(self) -> dict[int, list[int]]:
        """label -> the labels of the other frame that lie in it."""
        counts, found = self.counts, dict[int, list[int]]()
        inside = _containers(counts.second, counts.first, counts.count, self.other_area)
        for label, container in inside.items():
            found.setdefault(container, []).append(label)
        return found


def _containers(
    label: np.ndarray, container: np.ndarray, count: np.ndarray, area: np.ndarray
) -> dict[int, int]:
    """label -> what most of it lies in, if that is enough."""
    inside = np.flatnonzero(count >= INSIDE_SHARE * area[label])
    inside = inside[np.argsort(count[inside], kind="stable")]  # the largest stays
    return dict(zip(label[inside].tolist(), container[inside].tolist(), strict=True))


def _agree(whole: int, parts: int) -> bool:
    """Whether the parts of a cell are about as large as the whole."""
    return bool(whole / AREA_FACTOR <= parts <= whole * AREA_FACTOR)


def _cut_pieces(past: _Overlap, future: _Overlap) -> list[tuple[int, int]]:
    """Pairs of labels that are one cell before and after."""
    was, becomes = past.containers(), future.containers()
    families: dict[tuple[int, int], list[int]] = {}
    for label, mother in was.items():
        if label in becomes:
            families.setdefault((mother, becomes[label]), []).append(label)
    found = []
    for (mother, child), pieces in families.items():
        area = int(past.area[pieces].sum())
        wholes = past.other_area[mother], future.other_area[child]
        if len(pieces) == 2 and all(_agree(whole, area) for whole in wholes):
            found.append((pieces[0], pieces[1]))
    return found


def _run_together(past: _Overlap, future: _Overlap) -> list[tuple[int, int, int]]:
    """(label, its two cells in the frame before) of instances that are two before and after."""
    become = future.contained()
    found = []
    for whole, cells in past.contained().items():
        later, area = become.get(whole, []), past.area[whole]
        areas = past.other_area[cells].sum(), future.other_area[later].sum()
        if len(cells) == len(later) == 2 and all(_agree(area, int(parts)) for parts in areas):
            found.append((whole, cells[0], cells[1]))
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

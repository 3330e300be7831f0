"""Large planes in blocks, and one label image out of the labels of the blocks.

Each block is labelled together with a margin (its halo) that it shares with its neighbours, so
an instance on the border between two blocks is seen whole by both. The block that holds the
instance's centroid owns it and paints it whole, also across the border. Two views of one
instance may differ by a pixel and put the centroid on different sides; therefore instances that
lie just outside a block's core are painted as well, last, and only where nothing is yet. An
instance wider than the halo is cut by its block; its pieces overlap and are painted as one.

Only one block is in memory at a time, so a plane may be of any size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Protocol

import numpy as np

from kiosk.imaging.runs import Runs, label_runs
from kiosk.imaging.tiling import iter_bands

# Two views of an instance that overlap by this share of the smaller one are the same instance.
SAME_SHARE = 0.5
# How far outside the core a centroid may be for the instance to be painted if nobody else did.
NEAR_PX = 16
# What is seen of the canvas around such instances.
NEAR_MARGIN_PX = 32
# Pixels at a time: what fits a processor's cache.
BAND_PX = 200_000

Interval = tuple[int, int]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Block:
    """A rectangle of a plane: the core it answers for, and the outer window it looks at."""

    core_y: Interval
    core_x: Interval
    outer_y: Interval
    outer_x: Interval

    @property
    def window(self) -> Window:
        return slice(*self.outer_y), slice(*self.outer_x)


class Canvas(Protocol):
    """The label image of a plane, read and written in windows; zeros where nothing is yet."""

    shape: tuple[int, int]

    def read(self, window: Window) -> np.ndarray:
        """(y, x) uint32 labels; the caller may change them."""

    def write(self, window: Window, labels: np.ndarray) -> None: ...


@dataclass(frozen=True)
class Group:
    """Instances with consecutive labels that lie near each other, to be measured together.

    Attributes:
        first, last: their labels.
        window: holds all of them, but those in `wide`.
        wide: label -> window of instances that reach far beyond the block.
    """

    first: int
    last: int
    window: Window
    wide: dict[int, Window] = field(default_factory=dict)


@dataclass(frozen=True)
class Stitched:
    """What came of stitching: instances 1..count in groups, and how many were cut by blocks."""

    count: int
    groups: list[Group]
    cut: int


def cut_blocks(
    rows: Interval,
    columns: Interval,
    shape: tuple[int, int],
    block_px: int,
    halo_px: int,
    align_px: int = 1,
) -> list[Block]:
    """Blocks whose cores cover a rectangle without overlap, row by row, about equal in size.

    Args:
        rows, columns: the rectangle, starts and stops; halos reach beyond it, up to the plane.
        shape: (y, x) of the plane.
        block_px: a rectangle of at most this along both axes is one block.
        halo_px: margin around each core; a little more at its top and left where alignment asks.
        align_px: outer windows begin at multiples of this.
    """
    return [
        Block(y, x, _outer(y, halo_px, shape[0], align_px), _outer(x, halo_px, shape[1], align_px))
        for y in _cores(rows, block_px, halo_px, align_px)
        for x in _cores(columns, block_px, halo_px, align_px)
    ]


def stitch(
    labelled_blocks: Iterable[tuple[Block, np.ndarray]],
    canvas: Canvas,
    rows: Interval,
    columns: Interval,
) -> Stitched:
    """Paint the labels of all blocks on one canvas.

    Args:
        labelled_blocks: every block with its (y, x) labels of the outer window; iterated twice,
            so pass a list, or an object whose __iter__ reads the blocks anew.
        canvas: zeros; painted in place.
        rows, columns: instances with their centroid in this rectangle are painted.
    """
    painter = _Painter(canvas, rows, columns)
    for block, labels in labelled_blocks:
        painter.paint_owned(block, labels)
    for block, labels in labelled_blocks:
        painter.paint_near(block, labels)
    return Stitched(painter.count, painter.groups(), len(painter.cut))


@dataclass
class _Range:
    """The labels that one block has given in one pass, and where they are."""

    first: int
    last: int
    box: list[int]  # min_y, min_x, max_y, max_x


class _Painter:
    """The canvas, how many instances are on it, and where they are."""

    def __init__(self, canvas: Canvas, rows: Interval, columns: Interval) -> None:
        self._canvas, self._rows, self._columns = canvas, rows, columns
        self.count = 0
        # Canvas labels of instances that a block has cut -> where they are, as far as painted.
        self.cut: dict[int, list[int]] = {}
        self._ranges: list[_Range] = []
        self._wide: dict[int, list[int]] = {}

    def paint_owned(self, block: Block, labels: np.ndarray) -> None:
        """Paint the instances that have their centroid in the core of the block."""
        seen = _Seen(block, label_runs(labels))
        self._paint(seen, labels, np.flatnonzero(seen.owned()), block.window)

    def paint_near(self, block: Block, labels: np.ndarray) -> None:
        """Paint the instances that lie just outside of the core; side by side, as they lie along
        its edges and most of the block need not be looked at."""
        seen = _Seen(block, label_runs(labels))
        top, left = block.outer_y[0], block.outer_x[0]
        for places in seen.near(self._rows, self._columns):
            rows, columns = window = _window(_grown(_box_of(seen.boxes[places]), block))
            of_block = (
                slice(rows.start - top, rows.stop - top),
                slice(columns.start - left, columns.stop - left),
            )
            self._paint(seen, labels[of_block], places, window)

    def _paint(self, seen: _Seen, labels: np.ndarray, places: np.ndarray, window: Window) -> None:
        """Paint some instances, given by their places in `seen`, where nothing is yet.

        Args:
            labels: (y, x) of the block in the window.
        """
        if not places.size:
            return
        size = int(seen.runs.labels[-1]) + 1
        view = self._canvas.read(window)
        wanted = np.zeros(size, bool)
        wanted[seen.runs.labels[places]] = True
        twin, overlap = _strongest_overlap(labels, view, wanted)
        canvas_area = _areas(view) if twin.any() else {}
        is_cut = seen.cut(self._canvas.shape)
        target = np.zeros(size, np.uint32)
        first, new = self.count + 1, []
        for place in places.tolist():
            label = int(seen.runs.labels[place])
            other = int(twin[label])
            smaller = min(int(seen.area[place]), canvas_area.get(other, 0)) if other else 0
            if other and overlap[label] >= SAME_SHARE * smaller:
                if is_cut[place] or other in self.cut:
                    target[label] = other
                    self._widen(other, seen.boxes[place].tolist())
                continue
            self.count += 1
            target[label] = self.count
            new.append(place)
            if is_cut[place]:
                self.cut[self.count] = seen.boxes[place].tolist()
        if new:
            self._ranges.append(_Range(first, self.count, _box_of(seen.boxes[new])))
        if target.any():
            _fill_free(view, labels, target)
            self._canvas.write(window, view)

    def _widen(self, label: int, box: list[int]) -> None:
        if label not in self._wide:
            # Of those that were seen whole only the box of their neighbours is known.
            self._wide[label] = list(self.cut.get(label) or self._ranges[self._home(label)].box)
        self._wide[label] = _united(self._wide[label], box)

    def _home(self, label: int) -> int:
        return bisect_left(self._ranges, label, key=lambda item: item.last)

    def groups(self) -> list[Group]:
        wide: dict[int, dict[int, Window]] = {}
        for label, box in self._wide.items():
            wide.setdefault(self._home(label), {})[label] = _window(box)
        return [
            Group(item.first, item.last, _window(item.box), wide.get(number, {}))
            for number, item in enumerate(self._ranges)
        ]


class _Seen:
    """The instances of a block in coordinates of the plane."""

    def __init__(self, block: Block, runs: Runs) -> None:
        self.block, self.runs = block, runs
        self.area = runs.total(runs.length)
        y, x = runs.y + block.outer_y[0], runs.x + block.outer_x[0]
        end = x + runs.length
        self._y = runs.total(y * runs.length) / np.maximum(self.area, 1)
        middle = x + (runs.length - 1) / 2
        self._x = runs.total(middle * runs.length) / np.maximum(self.area, 1)
        # (instance, 4): min_y, min_x, max_y, max_x
        self.boxes = np.stack(
            [runs.least(y), runs.least(x), runs.most(y) + 1, runs.most(end)], axis=1
        )

    def owned(self) -> np.ndarray:
        """Which instances have their centroid in the core."""
        return self._within(self.block.core_y, self.block.core_x, 0)

    def near(self, rows: Interval, columns: Interval) -> list[np.ndarray]:
        """Places of those just above, below, left and right of the core, within a rectangle."""
        core_y, core_x = self.block.core_y, self.block.core_x
        near = ~self.owned() & self._within(core_y, core_x, NEAR_PX)
        near &= self._within(rows, columns, 0)
        above, below = self._y < core_y[0] - 0.5, self._y >= core_y[1] - 0.5
        left = ~above & ~below & (self._x < core_x[0] - 0.5)
        sides = (above, below, left, ~above & ~below & ~left)
        found = (np.flatnonzero(near & side) for side in sides)
        return [places for places in found if places.size]

    def _within(self, rows: Interval, columns: Interval, margin: int) -> np.ndarray:
        return np.asarray(
            (self._y >= rows[0] - margin - 0.5)
            & (self._y < rows[1] + margin - 0.5)
            & (self._x >= columns[0] - margin - 0.5)
            & (self._x < columns[1] + margin - 0.5)
        )

    def cut(self, shape: tuple[int, int]) -> np.ndarray:
        """Which instances touch an edge of the outer window that is not an edge of the plane."""
        (top, bottom), (left, right) = self.block.outer_y, self.block.outer_x
        min_y, min_x, max_y, max_x = self.boxes.T
        return np.asarray(
            ((min_y == top) & (top > 0))
            | ((max_y == bottom) & (bottom < shape[0]))
            | ((min_x == left) & (left > 0))
            | ((max_x == right) & (right < shape[1]))
        )


def _fill_free(view: np.ndarray, labels: np.ndarray, target: np.ndarray) -> None:
    """Write the new labels where nothing is yet, in bands, so that no copy of all is made."""
    height, width = labels.shape
    for band in iter_bands(height, width, BAND_PX):
        np.copyto(view[band], target[labels[band]], where=view[band] == 0)


def _areas(view: np.ndarray) -> dict[int, int]:
    """Pixels of each label."""
    runs = label_runs(view)
    return dict(zip(runs.labels.tolist(), runs.total(runs.length).tolist(), strict=True))


def _strongest_overlap(
    labels: np.ndarray, view: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Per label: the canvas label that covers most of it, and the pixels it covers."""
    twin = np.zeros(wanted.size, np.int64)
    overlap = np.zeros(wanted.size, np.int64)
    factor = int(view.max(initial=0)) + 1
    found = []
    height, width = labels.shape
    for band in iter_bands(height, width, BAND_PX):
        painted = np.flatnonzero(view[band])
        one, other = labels[band].ravel()[painted], view[band].ravel()[painted]
        both = wanted[one]
        pairs = one[both].astype(np.int64) * factor + other[both]
        if pairs.size:
            found.append(np.unique(pairs, return_counts=True))
    if not found:
        return twin, overlap
    keys, at = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
    counts = np.bincount(at, np.concatenate([counts for _, counts in found]), len(keys))
    order = np.argsort(counts, kind="stable")  # the largest is written last and stays
    twin[keys[order] // factor] = keys[order] % factor
    overlap[keys[order] // factor] = counts[order]
    return twin, overlap


def _united(one: list[int], other: list[int]) -> list[int]:
    return [
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    ]


def _box_of(boxes: np.ndarray) -> list[int]:
    """The box around some boxes."""
    return [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]


def _grown(box: list[int], block: Block) -> list[int]:
    """With a margin, as far as the block reaches."""
    (top, bottom), (left, right) = block.outer_y, block.outer_x
    return [
        max(top, box[0] - NEAR_MARGIN_PX),
        max(left, box[1] - NEAR_MARGIN_PX),
        min(bottom, box[2] + NEAR_MARGIN_PX),
        min(right, box[3] + NEAR_MARGIN_PX),
    ]


def _window(box: list[int]) -> Window:
    return slice(box[0], box[2]), slice(box[1], box[3])


def _cores(span: Interval, block_px: int, halo_px: int, align_px: int) -> list[Interval]:
    """Edges where a halo before them begins at a multiple of the alignment."""
    start, stop = span
    count = max(1, -(-(stop - start) // block_px))
    wanted = (start + i * (stop - start) / count for i in range(1, count))
    aligned = {round((edge - halo_px) / align_px) * align_px + halo_px for edge in wanted}
    return list(pairwise([start, *sorted(e for e in aligned if start < e < stop), stop]))


def _outer(core: Interval, halo_px: int, length_px: int, align_px: int) -> Interval:
    start = max(0, core[0] - halo_px)
    return start - start % align_px, min(length_px, core[1] + halo_px)

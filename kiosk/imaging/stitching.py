"""Large planes in blocks, and one label image out of the labels of the blocks.

Each block is labelled together with a margin (its halo) that it shares with its neighbours, so
an instance on the border between two blocks is seen whole by both. The block that holds the
instance's centroid owns it and paints it whole, also across the border. Two views of one
instance may differ by a pixel and put the centroid on different sides; therefore instances that
lie just outside a block's core are painted as well, last, and only where nothing is yet. An
instance wider than the halo is cut by its block; its pieces overlap and are painted as one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

# Two views of an instance that overlap by this share of the smaller one are the same instance.
SAME_SHARE = 0.5
# How far outside the core a centroid may be for the instance to be painted if nobody else did.
NEAR_PX = 16


@dataclass(frozen=True)
class Block:
    """A rectangle of a plane: the core it answers for, and the outer window it looks at."""

    core_y: tuple[int, int]
    core_x: tuple[int, int]
    outer_y: tuple[int, int]
    outer_x: tuple[int, int]

    @property
    def window(self) -> tuple[slice, slice]:
        return slice(*self.outer_y), slice(*self.outer_x)


def cut_blocks(height_px: int, width_px: int, block_px: int, halo_px: int) -> list[Block]:
    """Blocks whose cores cover the plane without overlap, row by row, about equal in size.

    A plane of at most `block_px` along both axes is one block.
    """
    return [
        Block(y, x, _outer(y, halo_px, height_px), _outer(x, halo_px, width_px))
        for y in _cores(height_px, block_px)
        for x in _cores(width_px, block_px)
    ]


def stitch(
    shape: tuple[int, int], labelled_blocks: Iterable[tuple[Block, np.ndarray]], canvas: np.ndarray
) -> int:
    """Paint the labels of all blocks on one canvas.

    Args:
        shape: (y, x) of the plane.
        labelled_blocks: every block with its (y, x) labels of the outer window; iterated twice
            if it is a sequence-like object, so pass something that can be (a list, or an object
            whose __iter__ reads the blocks anew).
        canvas: (y, x) uint32 zeros, may be a memory map; painted in place.

    Returns:
        The number of instances; they are numbered 1..n.
    """
    count = 0
    cut: set[int] = set()  # canvas labels of instances that a block has cut
    for owned in (True, False):
        for block, labels in labelled_blocks:
            count = _paint(canvas, shape, block, labels, owned, count, cut)
    return count


def _paint(
    canvas: np.ndarray,
    shape: tuple[int, int],
    block: Block,
    labels: np.ndarray,
    owned: bool,
    count: int,
    cut: set[int],
) -> int:
    """Paint the block's owned (or merely near) instances; returns the new number of instances."""
    size = int(labels.max(initial=0)) + 1
    chosen = _chosen(block, labels, size, owned)
    if not chosen.any():
        return count
    is_cut = _cut_instances(block, shape, labels, size)
    area = np.bincount(labels.ravel(), minlength=size)
    view = canvas[block.window]
    twin, overlap = _strongest_overlap(labels, view, chosen)
    canvas_area = np.bincount(view.ravel(), minlength=count + 1)

    target = np.zeros(size, np.uint32)
    for label in np.flatnonzero(chosen).tolist():
        other = int(twin[label])
        smaller = min(int(area[label]), int(canvas_area[other])) if other else 0
        if other and overlap[label] >= SAME_SHARE * smaller:
            if is_cut[label] or other in cut:
                target[label] = other
            continue
        count += 1
        target[label] = count
        if is_cut[label]:
            cut.add(count)
    painted = target[labels]
    free = (view == 0) & (painted > 0)
    view[free] = painted[free]
    return count


def _chosen(block: Block, labels: np.ndarray, size: int, owned: bool) -> np.ndarray:
    """Which labels have their centroid in the core (owned), or just outside of it (near)."""
    area = np.bincount(labels.ravel(), minlength=size)
    rows = np.arange(block.outer_y[0], block.outer_y[1], dtype=np.float64)
    columns = np.arange(block.outer_x[0], block.outer_x[1], dtype=np.float64)
    shape = labels.shape
    with np.errstate(invalid="ignore"):
        y = np.bincount(labels.ravel(), np.repeat(rows, shape[1]), size) / area
        x = np.bincount(labels.ravel(), np.tile(columns, shape[0]), size) / area

    def within(margin: int) -> np.ndarray:
        return (
            (y >= block.core_y[0] - margin - 0.5)
            & (y < block.core_y[1] + margin - 0.5)
            & (x >= block.core_x[0] - margin - 0.5)
            & (x < block.core_x[1] + margin - 0.5)
        )

    present = area > 0
    present[0] = False
    inside = within(0)
    return present & inside if owned else present & ~inside & within(NEAR_PX)


def _cut_instances(
    block: Block, shape: tuple[int, int], labels: np.ndarray, size: int
) -> np.ndarray:
    """Which labels touch an edge of the outer window that is not an edge of the plane."""
    touching = np.zeros(size, bool)
    edges = (
        (block.outer_y[0] > 0, labels[0]),
        (block.outer_y[1] < shape[0], labels[-1]),
        (block.outer_x[0] > 0, labels[:, 0]),
        (block.outer_x[1] < shape[1], labels[:, -1]),
    )
    for inner, line in edges:
        if inner:
            touching[line] = True
    touching[0] = False
    return touching


def _strongest_overlap(
    labels: np.ndarray, view: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Per label: the canvas label that covers most of it, and the pixels it covers."""
    twin = np.zeros(chosen.size, np.int64)
    overlap = np.zeros(chosen.size, np.int64)
    both = (view > 0) & chosen[labels]
    if both.any():
        width = int(view.max()) + 1
        pairs = labels[both].astype(np.int64) * width + view[both]
        keys, counts = np.unique(pairs, return_counts=True)
        order = np.argsort(counts, kind="stable")  # the largest is written last and stays
        twin[keys[order] // width] = keys[order] % width
        overlap[keys[order] // width] = counts[order]
    return twin, overlap


def _cores(length_px: int, block_px: int) -> list[tuple[int, int]]:
    count = max(1, -(-length_px // block_px))
    edges = [round(i * length_px / count) for i in range(count + 1)]
    return list(pairwise(edges))


def _outer(core: tuple[int, int], halo_px: int, length_px: int) -> tuple[int, int]:
    return max(0, core[0] - halo_px), min(length_px, core[1] + halo_px)

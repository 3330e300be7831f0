"""Stitching: the labels of the blocks of a plane give the labels of the plane."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.imaging.stitching import Block, cut_blocks, stitch
from kiosk.pipelines.canvas import LabelFile


def canonical(labels: np.ndarray) -> np.ndarray:
    """Numbered by first pixel, so that two numberings can be compared."""
    found, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.zeros(found.size, np.int64)
    instances = np.flatnonzero(found != 0)
    rank[instances[np.argsort(first[instances])]] = np.arange(1, instances.size + 1)
    return rank[inverse].reshape(labels.shape)


def views(labels: np.ndarray, blocks: list[Block], seed: int = 0) -> list[tuple[Block, np.ndarray]]:
    """What each block would find: its window, with numbers of its own in any order."""
    random = np.random.default_rng(seed)
    found = []
    for block in blocks:
        window = canonical(labels[block.window])
        numbers = np.concatenate([[0], random.permutation(window.max()) + 1])
        found.append((block, numbers[window].astype(np.uint32)))
    return found


def stitched(labels: np.ndarray, blocks: list[Block], seed: int = 0) -> np.ndarray:
    canvas = painted(views(labels, blocks, seed), labels.shape)
    return canvas


def painted(found: list[tuple[Block, np.ndarray]], shape: tuple[int, int]) -> np.ndarray:
    """The canvas after stitching; checks that every instance lies in the window of its group."""
    with tempfile.TemporaryDirectory() as folder:
        file = LabelFile(Path(folder) / "labels", shape)
        stitched = stitch(found, file, (0, shape[0]), (0, shape[1]))
        canvas = file.read((slice(0, shape[0]), slice(0, shape[1])))
        file.close()
    assert stitched.count == canvas.max(initial=0) == np.unique(canvas[canvas > 0]).size
    seen = []
    for group in stitched.groups:
        for label in range(group.first, group.last + 1):
            window = group.wide.get(label, group.window)
            whole = np.count_nonzero(canvas == label)
            assert whole == np.count_nonzero(canvas[window] == label) > 0
            seen.append(label)
    assert seen == list(range(1, stitched.count + 1))
    return canvas


@given(st.integers(1, 900), st.integers(1, 900), st.integers(20, 300), st.sampled_from([1, 16, 64]))
def test_aligned_blocks_cover_a_region_and_begin_at_multiples(
    height: int, width: int, block_px: int, align_px: int
) -> None:
    rows, columns = (height // 3, height), (width // 4, width)
    covered = np.zeros((height, width), int)
    for block in cut_blocks(rows, columns, (height, width), block_px, 20, align_px):
        covered[slice(*block.core_y), slice(*block.core_x)] += 1
        for core, outer, length in (
            (block.core_y, block.outer_y, height),
            (block.core_x, block.outer_x, width),
        ):
            assert outer[0] % align_px == 0
            assert core[0] - outer[0] >= min(core[0], 20)
            assert outer[1] == min(length, core[1] + 20)
    assert (covered[slice(*rows), slice(*columns)] == 1).all()
    assert covered.sum() == (rows[1] - rows[0]) * (columns[1] - columns[0])


def blocks_of(height: int, width: int, block_px: int, halo_px: int) -> list[Block]:
    return cut_blocks((0, height), (0, width), (height, width), block_px, halo_px)


def ellipses(
    shape: tuple[int, int], seed: int, largest_px: float, count: int, *, touching: bool
) -> np.ndarray:
    """Ellipses that do not overlap; with `touching` they may lie side by side."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for number in range(1, count + 1):
        centre_y, centre_x = random.uniform(0, shape[0]), random.uniform(0, shape[1])
        a, b = random.uniform(1.5, largest_px / 2, 2)
        angle = random.uniform(0, np.pi)
        u = (y - centre_y) * np.cos(angle) + (x - centre_x) * np.sin(angle)
        v = (x - centre_x) * np.cos(angle) - (y - centre_y) * np.sin(angle)
        inside = (u / a) ** 2 + (v / b) ** 2 <= 1
        margin = ((u / (a + 2)) ** 2 + (v / (b + 2)) ** 2 <= 1) if not touching else inside
        if inside.any() and not labels[margin].any():
            labels[inside] = number
    return labels


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 120), st.integers(0, 50))
def test_cores_cover_the_plane_once(height: int, width: int, block_px: int, halo_px: int) -> None:
    if height * width / block_px**2 > 500:
        block_px = 120
    cover = np.zeros((height, width), int)
    for block in blocks_of(height, width, block_px, halo_px):
        assert block.core_y[1] - block.core_y[0] <= block_px
        assert block.core_x[1] - block.core_x[0] <= block_px
        cover[slice(*block.core_y), slice(*block.core_x)] += 1
        rows, columns = block.window
        assert (rows.start, columns.start) == (
            max(0, block.core_y[0] - halo_px),
            max(0, block.core_x[0] - halo_px),
        )
        assert (rows.stop, columns.stop) == (
            min(height, block.core_y[1] + halo_px),
            min(width, block.core_x[1] + halo_px),
        )
    assert (cover == 1).all()


def test_small_plane_is_one_block() -> None:
    (block,) = blocks_of(64, 50, 64, 8)
    assert Block((0, 64), (0, 50), (0, 64), (0, 50)) == block


@settings(max_examples=40)
@given(
    st.integers(0, 10**6),
    st.integers(24, 90),
    st.integers(10, 20),
    st.booleans(),
    st.tuples(st.integers(30, 150), st.integers(30, 150)),
)
def test_stitched_is_the_whole(
    seed: int, block_px: int, halo_px: int, touching: bool, shape: tuple[int, int]
) -> None:
    """Instances that fit into the halo come back pixel by pixel, whatever the blocks."""
    labels = ellipses(shape, seed, halo_px, 60, touching=touching)
    blocks = blocks_of(*shape, block_px, halo_px)
    np.testing.assert_array_equal(canonical(labels), canonical(stitched(labels, blocks, seed)))


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(40, 70), st.integers(8, 16))
def test_instances_wider_than_the_halo_stay_in_one_piece(
    seed: int, block_px: int, halo_px: int
) -> None:
    """Convex shapes up to four halos wide: no piece gets a number of its own."""
    labels = ellipses((160, 170), seed, 4 * halo_px, 12, touching=False)
    blocks = blocks_of(160, 170, block_px, halo_px)
    canvas = stitched(labels, blocks, seed)
    for label in np.unique(labels[labels > 0]):
        pieces = np.unique(canvas[labels == label])
        assert (pieces > 0).sum() == 1
        assert np.mean(canvas[labels == label] > 0) > 0.9
    assert not canvas[labels == 0].any()


@pytest.mark.parametrize("halo_px", [8, 16])
@pytest.mark.parametrize("block_px", [40, 64])
def test_bars_across_many_blocks_stay_in_one_piece(block_px: int, halo_px: int) -> None:
    labels = np.zeros((150, 300), np.uint32)
    labels[30:36], labels[60:90], labels[:25, 100:140] = 1, 2, 3
    canvas = stitched(labels, blocks_of(150, 300, block_px, halo_px))
    np.testing.assert_array_equal(canonical(labels), canonical(canvas))


def test_instance_that_covers_everything_is_one() -> None:
    labels = np.ones((130, 130), np.uint32)
    canvas = stitched(labels, blocks_of(130, 130, 40, 8))
    assert 1 == canvas.min() == canvas.max()


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_views_that_differ_by_a_pixel_make_no_doubles(seed: int) -> None:
    """Two blocks may see an instance a little differently; it is still one, and painted."""
    random = np.random.default_rng(seed)
    labels = ellipses((120, 130), seed, 14.0, 25, touching=False)
    labels[np.isin(labels, np.flatnonzero(np.bincount(labels.ravel()) < 30))] = 0
    blocks = blocks_of(120, 130, 40, 16)
    shaken = []
    for block, view in views(labels, blocks, seed):
        dy, dx = random.integers(-1, 2, 2)
        shaken.append((block, np.roll(view, (dy, dx), (0, 1))))
    canvas = painted(shaken, labels.shape)
    margin = 20  # rolling moves labels to the other side of a window
    inner = canonical(labels)[margin:-margin, margin:-margin]
    for label in np.unique(inner[inner > 0]):
        where = canonical(labels) == label
        if where[margin:-margin, margin:-margin].sum() < where.sum():
            continue
        counts = np.bincount(canvas[where])
        assert counts[1:].max(initial=0) > 0.4 * where.sum()


def test_no_block_has_anything() -> None:
    labels = np.zeros((100, 100), np.uint32)
    assert stitched(labels, blocks_of(100, 100, 30, 8)).max() == 0

"""Masks of cells in frames in which they were not found."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.gap_masks import fill_gaps


def frame(x: int, label: int = 3, height: int = 6) -> np.ndarray:
    labels = np.zeros((1, 30, 60), np.uint16)
    labels[0, 10 : 10 + height, x : x + 6] = label
    return labels


def test_the_cell_is_halfway() -> None:
    frames = {4: frame(10), 5: np.zeros((1, 30, 60), np.uint16), 6: frame(20)}
    fill_gaps(frames, [(3, 4, 6)])
    np.testing.assert_array_equal(frames[5], frame(15))


def test_over_a_longer_gap_the_nearer_frame_gives_the_shape() -> None:
    empty = np.zeros((1, 30, 60), np.uint16)
    frames = {0: frame(10), 1: empty.copy(), 2: empty.copy(), 3: frame(22, height=12)}
    fill_gaps(frames, [(3, 0, 3)])
    assert np.count_nonzero(frames[1]) == 36
    assert np.count_nonzero(frames[2]) == 72
    centres = [np.argwhere(frames[t][0]).mean(axis=0)[1] for t in range(4)]
    assert centres == pytest.approx([12.5, 16.5, 20.5, 24.5])


def test_other_cells_are_left_as_they_are() -> None:
    between = frame(14, label=9)
    frames = {0: frame(10), 1: between.copy(), 2: frame(20)}
    fill_gaps(frames, [(3, 0, 2)])
    np.testing.assert_array_equal(frames[1][between == 9], 9)
    assert (frames[1] == 3).any()


def test_where_all_is_taken_one_pixel_is_left() -> None:
    full = np.full((1, 30, 60), 9, np.uint16)
    frames = {0: frame(10), 1: full, 2: frame(20)}
    fill_gaps(frames, [(3, 0, 2)])
    assert np.count_nonzero(full == 3) == 1


def test_the_last_pixel_of_another_cell_is_left() -> None:
    """Cells of a pixel, as sparse labels have them; the gap of one lies on the way of another."""
    planes = np.zeros((4, 1, 1, 3), np.uint16)
    planes[0, 0, 0] = [3, 0, 0]
    planes[1, 0, 0] = [5, 4, 0]
    planes[2, 0, 0] = [3, 0, 0]
    planes[3, 0, 0] = [5, 0, 0]
    frames = dict(enumerate(planes))
    fill_gaps(frames, [(3, 0, 2)])
    assert sorted(frames[1].ravel().tolist()) == [3, 4, 5]
    fill_gaps(frames, [(5, 1, 3)])
    assert 5 in frames[2]
    full = {0: np.array([[[3, 3]]]), 1: np.array([[[1, 2]]]), 2: np.array([[[3, 3]]])}
    fill_gaps(full, [(3, 0, 2)])
    assert full[1].ravel().tolist() == [1, 2]  # there is no room


def test_a_cell_that_comes_from_the_border_stays_inside() -> None:
    frames = {0: frame(0), 1: np.zeros((1, 30, 60), np.uint16), 2: frame(54)}
    fill_gaps(frames, [(3, 0, 2)])
    assert np.count_nonzero(frames[1]) == 36

"""Cells that were cut or run together in single frames."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.mending import mend


def cell(x: int, label: int, out: np.ndarray | None = None, width: int = 12) -> np.ndarray:
    out = np.zeros((40, 80), np.uint32) if out is None else out
    out[10:30, x : x + width] = label
    return out


def pair(x: int, first: int, second: int, gap: int = 0) -> np.ndarray:
    """Two cells beside each other."""
    return cell(x + 12 + gap, second, cell(x, first))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_pieces_of_a_cell_that_is_whole_again_are_joined(frames: int) -> None:
    whole = cell(21, 4, width=24)
    cut = pair(21, 2, 7)
    later = [cut] * (frames - 1) + [cell(22, 9, width=24)]
    found = mend(whole, cut, later)
    assert (found.joined, found.parted) == (1, 0)
    np.testing.assert_array_equal(found.labels > 0, cut > 0)
    assert np.unique(found.labels).tolist() == [0, 2]


def test_a_division_stays() -> None:
    daughters = pair(21, 2, 7)
    found = mend(cell(21, 4, width=24), daughters, [daughters, pair(20, 1, 2, 2), pair(20, 1, 2)])
    assert (found.joined, found.parted) == (0, 0)
    np.testing.assert_array_equal(found.labels, daughters)


def test_two_cells_stay_two() -> None:
    both = pair(21, 2, 7)
    found = mend(both, both, [both])
    np.testing.assert_array_equal(found.labels, both)


def test_cells_run_together_are_parted_where_they_were() -> None:
    before, after = pair(20, 3, 5), pair(22, 1, 2)
    found = mend(before, cell(21, 6, width=24), [after])
    assert (found.joined, found.parted) == (0, 1)
    first, second = found.labels[20, 21], found.labels[20, 44]
    assert first == 6
    assert second not in (0, 6)
    # Halfway between the two: the cells were 12 px wide, from 20 on.
    assert (found.labels[20, 21:32] == first).all()
    assert (found.labels[20, 32:45] == second).all()


def test_a_cell_that_grows_by_more_than_its_pieces_is_left_alone() -> None:
    small = cell(21, 4, width=4)
    found = mend(small, pair(21, 2, 7), [cell(21, 1, width=24)])
    assert found.joined == 0


@pytest.mark.parametrize("which", [0, 1, 2])
def test_empty_frames(which: int) -> None:
    frames = [cell(21, 4), pair(21, 2, 7), cell(21, 4)]
    frames[which] = np.zeros((40, 80), np.uint32)
    found = mend(frames[0], frames[1], frames[2:])
    np.testing.assert_array_equal(found.labels, frames[1])


def test_at_the_end_of_a_movie_nothing_is_mended() -> None:
    found = mend(cell(21, 4, width=24), pair(21, 2, 7), [])
    assert found.joined == 0

"""Cells that share a label, and cells whose mask is in pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from movie_makers import discs
from track_makers import movie

from kiosk.imaging.pieces import HIGHEST_LABEL
from kiosk.imaging.sample import make_sample
from kiosk.imaging.shared_labels import is_picture, split_shared

SHARED = Path(__file__).resolve().parents[3] / "shared/data/tracking"


def apart(gap_px: int, second_px: int = 20) -> np.ndarray:
    """Two squares of one label, the first of 20 px, this far from each other."""
    labels = np.zeros((60, 100), np.uint16)
    labels[10:30, 10:30] = 5
    labels[10 : 10 + second_px, 30 + gap_px : 30 + gap_px + second_px] = 5
    labels[45:50, 45:50] = 9
    return labels


def test_cells_that_share_a_label_are_told_apart() -> None:
    labels = apart(30)
    found, count = split_shared(labels)
    assert count == 1
    assert found.dtype == np.uint32
    assert (found[15, 15], found[15, 65], found[47, 47]) == (5, 10, 9)
    np.testing.assert_array_equal(found > 0, labels > 0)


@pytest.mark.parametrize(
    ("gap_px", "second_px", "why"),
    [
        (4, 20, "near: a cell cut by a line of pixels"),
        (10, 20, "less than half its diameter away"),
        (40, 8, "far, but a sixth of its size"),
    ],
)
def test_a_cell_in_pieces_stays_whole(gap_px: int, second_px: int, why: str) -> None:
    labels = apart(gap_px, second_px)
    found, count = split_shared(labels)
    assert count == 0, why
    assert found is labels


def test_a_small_piece_goes_with_the_cell_that_it_is_near_to() -> None:
    labels = apart(40)
    labels[35:38, 70:73] = 5
    labels[35:38, 15:18] = 5
    found, count = split_shared(labels)
    assert count == 1
    assert found[36, 71] == found[15, 75] == 10
    assert found[36, 16] == found[15, 15] == 5


def test_a_mask_of_one_value_has_a_cell_for_every_piece() -> None:
    places = {k + 1: (20 + 30 * (k // 4), 16 + 16 * (k % 4)) for k in range(12)}
    mask = (discs(places) > 0).astype(np.uint8) * 255
    found, count = split_shared(mask)
    assert count == 11
    assert len(np.unique(found)) == 13
    assert not is_picture(mask)


def test_labels_up_to_the_highest() -> None:
    labels = apart(30).astype(np.uint32)
    labels[labels == 9] = HIGHEST_LABEL
    found, count = split_shared(labels)
    assert count == 1
    assert np.unique(found).tolist() == [0, 1, 5, HIGHEST_LABEL]


@pytest.mark.parametrize(("z_step", "cells"), [(1.0, 1), (6.0, 2)])
def test_stacks(z_step: float, cells: int) -> None:
    """Four planes between two boxes are near or far, depending on how far planes are apart."""
    labels = np.zeros((14, 30, 30), np.uint16)
    labels[:4, 5:20, 5:20] = 3
    labels[8:12, 5:20, 5:20] = 3
    found, count = split_shared(labels, z_step)
    assert count == cells - 1
    assert len(np.unique(found)) == 1 + cells


def test_pictures_are_no_labels() -> None:
    sample = make_sample(frames=1, height_px=100, width_px=120, nuclei=9)
    assert is_picture(sample.images[0])
    assert is_picture((sample.images[0] // 16).astype(np.uint8))
    assert is_picture(np.random.default_rng(0).integers(0, 9, (99, 99)).astype(np.uint8))
    assert not is_picture(sample.labels[0])
    assert not is_picture(np.zeros((50, 50), np.uint8))
    assert not is_picture(np.array([[1, 2], [3, 4]]))
    spots = np.zeros((90, 90), np.uint16)
    spots[::3, ::3] = np.arange(1, 901).reshape(30, 30)
    assert not is_picture(spots)


def test_made_up_tracks_are_left_alone() -> None:
    for plane in movie():
        assert split_shared(plane.labels())[1] == 0


@pytest.mark.skipif(not SHARED.exists(), reason="the shared movies are not here")
@pytest.mark.parametrize("sequence", ["Fluo-SemiSynth/01_GT", "PhC-T98G-A/01_GT"])
def test_cells_drawn_by_people_stay_whole(sequence: str) -> None:
    files = sorted((SHARED / sequence / "TRA").glob("man_track*.tif"))[::6]
    assert files
    for file in files:
        labels = tifffile.imread(file)
        assert split_shared(labels)[1] == 0
        assert not is_picture(labels)

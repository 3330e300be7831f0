"""Holes, outlines and growth, on label images small enough to be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.heads import OutlineParameters
from kiosk.imaging.finishing import expand, fill_holes, finish, smooth_outlines


def drawn(picture: str) -> np.ndarray:
    """Digits are labels, '.' is background."""
    rows = picture.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint32)


def check(expected: str, labels: np.ndarray) -> None:
    assert np.uint32 == labels.dtype
    np.testing.assert_array_equal(drawn(expected), labels)


RINGS = """
    1111.2222
    1..1.2..2
    1..1.2.22
    1111.2222
"""


def test_nothing_asked_for_is_nothing_done() -> None:
    labels = drawn(RINGS)
    assert finish(labels, OutlineParameters(), 0) is labels


def test_holes_up_to_a_size_are_filled() -> None:
    check("1111.2222 1..1.2222 1..1.2222 1111.2222", fill_holes(drawn(RINGS), 3))
    check("1111.2222 1111.2222 1111.2222 1111.2222", fill_holes(drawn(RINGS), 4))


@pytest.mark.parametrize(
    "picture",
    ["111 1.1 1.1", "1112 1..2 1222", "...\n.1.\n..."],
    ids=["open to the rim", "between two", "around"],
)
def test_what_is_no_hole_stays(picture: str) -> None:
    check(picture, fill_holes(drawn(picture), 100))


def test_a_hole_with_an_instance_in_it_keeps_the_instance() -> None:
    check("11111 1...1 1.2.1 1...1 11111", fill_holes(drawn("11111 1...1 1.2.1 1...1 11111"), 9))


def test_growth_stops_where_instances_meet() -> None:
    grown = expand(drawn("1....2. ......."), 2)
    assert grown[0].tolist() == [1, 1, 1, 2, 2, 2, 2]


def test_growth_has_a_reach() -> None:
    labels = np.zeros((21, 21), np.uint32)
    labels[10, 10] = 7
    y, x = np.mgrid[:21, :21]
    away = np.hypot(y - 10, x - 10)
    grown = expand(labels, 5)
    assert (grown[away <= 4.8] == 7).all()
    assert (grown[away >= 5.2] == 0).all()


def test_smoothing_removes_spikes_and_keeps_discs() -> None:
    y, x = np.mgrid[:60, :60]
    labels = (np.hypot(y - 30, x - 30) < 15).astype(np.uint32)
    spiked = labels.copy()
    spiked[30, 44:58] = 1
    smooth = smooth_outlines(spiked, 2)
    assert smooth[30, 50:].max() == 0
    inside = (smooth & labels).sum() / (smooth | labels).sum()
    assert inside > 0.93


def test_smoothing_keeps_the_rim_of_the_plane_and_touching_instances_apart() -> None:
    labels = np.ones((30, 40), np.uint32)
    labels[:, 20:] = 2
    np.testing.assert_array_equal(labels, smooth_outlines(labels, 2))


def test_all_together_numbers_without_gaps() -> None:
    labels = drawn("1......2222 .......2222 .......2222 .......2222")
    done = finish(labels, OutlineParameters(smooth_outline_px=1, expand_px=1), 4)
    assert set(np.unique(done)) == {0, 1}

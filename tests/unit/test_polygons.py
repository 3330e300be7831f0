"""Instances as polygons: filling them gives the mask back, and they are valid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from result_makers import discs, labelled

from kiosk.imaging.polygons import Rings, trace_rings


def rings_of(labels: np.ndarray, bands: int = 0, **options: object) -> Rings:
    wanted = np.unique(labels[labels > 0])
    parts = np.array_split(labels, bands) if bands else [labels]
    return trace_rings([part for part in parts if len(part)], wanted, **options)  # type: ignore[arg-type]


def filled(rings: Rings, shape: tuple[int, int]) -> np.ndarray:
    """Labels from polygons: a pixel is inside when a ray from its centre crosses an odd number."""
    canvas = np.zeros(shape, np.int64)
    for label, _, polygons in rings.instances():
        crossings = np.zeros((shape[0], shape[1] + 1), np.int64)
        for number in (number for polygon in polygons for number in polygon):
            ring = rings.ring(number)
            for (x, y), (other_x, other_y) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
                if x == other_x:
                    crossings[min(y, other_y) : max(y, other_y), x] += 1
        inside = np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1
        assert not (canvas[inside] > 0).any()
        canvas[inside] = label
    return canvas


def assert_valid(rings: Rings) -> None:
    """Rings are simple, turn at every corner, and run the right way round."""
    for number in range(len(rings.labels)):
        ring = rings.ring(number)
        assert len(ring) >= 4
        assert len({tuple(point) for point in ring.tolist()}) == len(ring), "touches itself"
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all(), "edges are horizontal or vertical"
        assert ((steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)).all(), "no straight"
        x, y = ring[:, 0], ring[:, 1]
        area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2
        assert area == rings.area_px[number]
    for _, area, polygons in rings.instances():
        signs = [[rings.area_px[number] > 0 for number in polygon] for polygon in polygons]
        assert all(sign == [True] + [False] * (len(sign) - 1) for sign in signs)
        assert area > 0


def check(labels: np.ndarray, bands: int = 0) -> Rings:
    rings = rings_of(labels, bands)
    assert_valid(rings)
    np.testing.assert_array_equal(filled(rings, labels.shape), labels)
    found, areas = np.unique(labels[labels > 0], return_counts=True)
    instances = [(label, area) for label, area, _ in rings.instances()]
    assert instances == list(zip(found.tolist(), areas.tolist(), strict=True))
    return rings


def polygons_of(picture: str) -> list[list[int]]:
    """Sizes of the polygons of label 1: [outer, hole, ...] in pixels, largest first."""
    rings = check(labelled(picture))
    label, _, polygons = next(rings.instances())
    assert label == 1
    return sorted(([int(rings.area_px[n]) for n in polygon] for polygon in polygons), reverse=True)


def test_one_pixel() -> None:
    rings = check(labelled(".. .1"))
    assert rings.points.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]
    assert rings.area_px.tolist() == [1]


def test_the_whole_window() -> None:
    assert check(np.full((3, 4), 7)).points.tolist() == [[0, 0], [4, 0], [4, 3], [0, 3]]


def test_neighbours_share_an_edge() -> None:
    rings = check(labelled("1122 1122"))
    assert rings.labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ("111 1.1 111", [[9, -1]]),
        # Diagonal pixels are two pieces.
        ("1. .1", [[1], [1]]),
        (".1 1.", [[1], [1]]),
        # A gap in a corner: the hole touches the outside at one point.
        ("111 1.1 11.", [[8, -1]]),
        (".11 1.1 111", [[8, -1]]),
        # Two holes that touch each other.
        ("1111 1.11 11.1 1111", [[16, -1, -1]]),
        # Two pieces that touch twice, around what is not a hole but outside.
        ("11. 1.1 .11", [[3], [3]]),
        # A piece in the hole of another piece, with a hole of its own.
        ("1111111 1.....1 1.111.1 1.1.1.1 1.111.1 1.....1 1111111", [[49, -25], [9, -1]]),
        # The first hole belongs to the second piece.
        ("1.111 ..1.1 1.111 1.... 1.111", [[9, -1], [3], [3], [1]]),
    ],
)
def test_holes_and_pieces(picture: str, expected: list[list[int]]) -> None:
    assert polygons_of(picture) == expected


def test_only_the_wanted_labels_at_their_place() -> None:
    labels = labelled("113 1.3 223")
    rings = trace_rings([labels], np.array([2, 3]), (10, 20))
    assert rings.labels.tolist() == [2, 3]
    assert rings.points[:4].tolist() == [[20, 12], [22, 12], [22, 13], [20, 13]]


def test_nothing_at_all() -> None:
    for labels in (np.zeros((5, 5), np.uint32), np.zeros((0, 5), np.uint32)):
        rings = trace_rings([labels], np.zeros(0, np.int64))
        assert list(rings.instances()) == []
    assert list(trace_rings([], np.array([3])).instances()) == []
    assert list(trace_rings([np.zeros((2, 2), int)], np.array([3])).instances()) == []


@pytest.mark.parametrize("bands", [0, 2, 7])
def test_many_instances_in_bands(bands: int) -> None:
    check(discs(90, 70, pitch=13).astype(np.int64), bands)


@given(
    arrays(np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2))
)
def test_any_labels(labels: np.ndarray) -> None:
    check(labels)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_noise_with_many_touching_points(seed: int, bands: int) -> None:
    check((np.random.default_rng(seed).random((25, 25)) < 0.55).astype(np.int64), bands)


def test_the_largest_labels() -> None:
    labels = np.array([[2**32 - 1, 0], [0, 2**32 - 2]], np.uint32)
    assert rings_of(labels).labels.tolist() == [2**32 - 2, 2**32 - 1]

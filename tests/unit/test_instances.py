"""From maps to instances, on maps small enough to be drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.instances import InstanceParameters, find_instances

PLAIN = InstanceParameters(smoothing_px=0.0, min_area_px=1, peak_threshold=0.0, merge_height=0.1)


def drawn(picture: str) -> np.ndarray:
    """Digits as tenths of full scale, '.' as 0: (y, x) uint8."""
    rows = picture.split()
    scale = {".": 0, **{str(digit): digit * 28 for digit in range(10)}}
    return np.array([[scale[c] for c in row] for row in rows], np.uint8)


def labelled(picture: str) -> np.ndarray:
    """Labels as drawn: digits are labels, '.' is background."""
    rows = picture.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint32)


def found(distance: str, parameters: InstanceParameters = PLAIN) -> np.ndarray:
    """Instances of a distance map; where it is not 0 is foreground."""
    height = drawn(distance)
    return find_instances(np.where(height > 0, 255, 0).astype(np.uint8), height, parameters)


def check(expected: str, labels: np.ndarray) -> None:
    assert np.uint32 == labels.dtype
    np.testing.assert_array_equal(labelled(expected), labels)


def test_separate_instances_are_numbered_in_raster_order() -> None:
    labels = found("""
        ......55
        .55...55
        .55.....
        ....5...
    """)
    check(
        """
        ......11
        .22...11
        .22.....
        ....3...
        """,
        labels,
    )


def test_touching_instances_are_split_at_the_pass() -> None:
    labels = found("""
        .222.222.
        24642464.
        24942494.
        24642464.
        .222.222.
    """)
    assert labels.max() == 2
    assert labels[2, 2] == 1
    assert labels[2, 6] == 2
    assert labels[2, 1] == 1
    assert labels[2, 7] == 2


def test_shallow_pass_joins_two_peaks() -> None:
    shallow = InstanceParameters(smoothing_px=0, min_area_px=1, peak_threshold=0, merge_height=0.25)
    picture = """
        3333333
        3574753
        3333333
    """
    assert found(picture).max() == 2
    assert found(picture, shallow).max() == 2
    assert found(picture.replace("4", "6"), shallow).max() == 1


@pytest.mark.parametrize("merge_height", [0.0, 0.1, 1.0])
def test_plateau_is_one_instance(merge_height: float) -> None:
    """A saturated map has no single peak; whatever the height, that is no reason to cut."""
    parameters = InstanceParameters(
        smoothing_px=0, min_area_px=1, peak_threshold=0, merge_height=merge_height
    )
    labels = found(
        """
        ..99...9
        .9999.99
        99..9999
        .99..99.
        """,
        parameters,
    )
    check(
        """
        ..11...1
        .1111.11
        11..1111
        .11..11.
        """,
        labels,
    )


def test_hole_stays_background() -> None:
    labels = found("""
        55555
        5...5
        55555
    """)
    check("11111 1...1 11111", labels)


def test_diagonal_neighbours_are_connected() -> None:
    check("1... .1.. ..1.", found("5... .5.. ..5."))


def test_small_instances_are_dropped_and_numbers_have_no_gap() -> None:
    parameters = InstanceParameters(smoothing_px=0, min_area_px=3, peak_threshold=0)
    labels = found("55.5.555 5.......", parameters)
    check("11...222 1.......", labels)


def test_faint_instances_are_dropped() -> None:
    parameters = InstanceParameters(smoothing_px=0, min_area_px=1, peak_threshold=0.5)
    check("...11 ...11", found("33.99 33.99", parameters))


def test_foreground_threshold_is_inclusive_and_a_fraction() -> None:
    foreground = np.array([[0, 127, 128, 255]], np.uint8)
    labels = find_instances(foreground, np.full((1, 4), 200, np.uint8), PLAIN)
    assert labels.tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_plane_without_pixels(shape: tuple[int, int]) -> None:
    empty = np.zeros(shape, np.uint8)
    labels = find_instances(empty, empty, InstanceParameters())
    assert (shape, np.uint32) == (labels.shape, labels.dtype)


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (255, 1)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1)])
def test_thin_planes(shape: tuple[int, int], value: int, expected: int) -> None:
    plane = np.full(shape, value, np.uint8)
    labels = find_instances(plane, plane, InstanceParameters(min_area_px=1))
    assert expected == labels.min() == labels.max()


def test_all_black_has_no_instances() -> None:
    black = np.zeros((30, 40), np.uint8)
    assert find_instances(black, black, InstanceParameters()).max() == 0


def test_touching_discs_are_split() -> None:
    """Two discs of radius 12 that touch: one pixel of a bridge must not make them one."""
    y, x = np.mgrid[:40, :70]
    distance = np.zeros((40, 70))
    for centre in (20, 44):
        r = np.hypot(y - 20, x - centre)
        distance = np.maximum(distance, np.clip(1 - r / 12.5, 0, 1))
    labels = find_instances(
        np.where(distance > 0, 255, 0).astype(np.uint8),
        (distance * 255).astype(np.uint8),
        InstanceParameters(),
    )
    assert labels.max() == 2
    assert (labels[20, 20], labels[20, 44]) == (1, 2)
    areas = np.bincount(labels.ravel())[1:]
    assert abs(int(areas[0]) - int(areas[1])) < 30


def test_input_is_left_as_it_was() -> None:
    plane = drawn("2552 2552")
    before = plane.copy()
    find_instances(plane, plane, InstanceParameters(min_area_px=1))
    np.testing.assert_array_equal(before, plane)


def test_more_instances_than_uint16_can_count() -> None:
    """72,900 single pixels on a grid: labels go on beyond 65,535."""
    foreground = np.zeros((540, 540), np.uint8)
    foreground[::2, ::2] = 255
    labels = find_instances(foreground, foreground, PLAIN)
    assert labels.max() == 72_900
    assert np.unique(labels).size == 72_901
    assert np.uint32 == labels.dtype
    np.testing.assert_array_equal(np.arange(1, 72_901), labels[labels > 0])

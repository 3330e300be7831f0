"""Pictures for people."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from kiosk.imaging.rendering import (
    colours,
    display_labels,
    display_plane,
    draw_outlines,
    encode_png,
    outlines,
)


def labelled(picture: str) -> np.ndarray:
    rows = picture.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint32)


def test_outlines_run_inside_of_the_instances() -> None:
    labels = labelled("""
        ......
        .1111.
        .1111.
        .1112.
        ......
    """)
    expected = labelled("""
        ......
        .1111.
        .1..1.
        .1111.
        ......
    """)
    np.testing.assert_array_equal(expected > 0, outlines(labels))


def test_border_of_the_plane_is_no_outline() -> None:
    assert not outlines(np.ones((3, 4), np.uint32)).any()


def test_grey_plane_is_stretched_to_the_full_range() -> None:
    plane = np.linspace(1000, 2000, 400, dtype=np.uint16).reshape(1, 20, 20)
    picture = display_plane(plane, 100)
    assert ((20, 20, 3), np.uint8) == (picture.shape, picture.dtype)
    assert (picture.min(), picture.max()) == (0, 255)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])


def test_colours_keep_their_order() -> None:
    plane = np.zeros((3, 8, 8), np.uint8)
    plane[0, :, :4] = 200
    picture = display_plane(plane, 100)
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert picture[0, 7].tolist() == [0, 0, 0]


@pytest.mark.parametrize("value", [0, 7, np.nan, np.inf, 1e38])
def test_constant_and_odd_planes_are_black(value: float) -> None:
    picture = display_plane(np.full((1, 4, 5), value, np.float32), 100)
    assert picture.shape == (4, 5, 3)
    if np.isfinite(value):
        assert picture.max() == 0


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (5000, 3), (3, 5000), (100, 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_labels_shrink_like_their_plane(shape: tuple[int, int], channels: int) -> None:
    picture = display_plane(np.ones((channels, *shape), np.uint8), 100)
    labels = display_labels(np.ones(shape, np.uint16), 100)
    assert picture.shape[:2] == labels.shape
    assert max(labels.shape) == 100
    assert min(labels.shape) >= 1
    assert np.uint32 == labels.dtype


def test_shrunken_labels_are_labels_of_the_image() -> None:
    labels = np.arange(1, 901, dtype=np.uint32).reshape(30, 30)
    small = display_labels(labels, 7)
    assert small.shape == (7, 7)
    assert set(small.ravel().tolist()) <= set(labels.ravel().tolist())
    assert np.unique(small).size == 49


def test_outlines_are_drawn_on_a_copy() -> None:
    picture = np.zeros((5, 5, 3), np.uint8)
    labels = labelled("..... .111. .111. .111. .....")
    drawn = draw_outlines(picture, labels)
    assert picture.max() == 0
    assert drawn[2, 2].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(colours(np.array([1]))[0], drawn[1, 1])


def test_neighbouring_numbers_get_well_separated_bright_colours() -> None:
    shades = colours(np.arange(1, 2000)).astype(int)
    assert shades.max(axis=1).min() >= 200
    assert np.abs(np.diff(shades, axis=0)).max(axis=1).min() > 60


def test_png_round_trip() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (6, 9, 3)).astype(np.uint8)
    data = encode_png(picture)
    assert data.startswith(b"\x89PNG")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    np.testing.assert_array_equal(picture, decoded[:, :, ::-1])

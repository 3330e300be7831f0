"""Smaller resolutions of a plane that goes by in bands."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.pyramids import Pyramid, level_count, level_shape, mean, nearest

RNG = np.random.default_rng(3)


def levels_of(plane: np.ndarray, levels: int, band_px: int, shrink: object) -> list[np.ndarray]:
    shape = plane.shape[0], plane.shape[1]
    found = [np.full(level_shape(shape, level), -1.0) for level in range(levels)]
    pyramid = Pyramid(shape, levels, band_px, shrink)  # type: ignore[arg-type]
    for top in range(0, shape[0], band_px):
        for level, first, band in pyramid.push(plane[top : top + band_px]):
            assert len(band) == band_px or first + len(band) == len(found[level])
            found[level][first : first + len(band)] = band
    return found


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 33), (7, 90), (100, 101)])
def test_each_level_is_every_other_pixel_of_the_one_before(shape: tuple[int, int]) -> None:
    plane = RNG.integers(0, 70_000, shape).astype(np.uint32)
    found = levels_of(plane, 4, 16, nearest)
    for level, part in enumerate(found):
        np.testing.assert_array_equal(part, plane[:: 2**level, :: 2**level])


def test_levels_end_where_a_side_is_short_enough() -> None:
    assert level_count((1024, 1000), 1024) == 1
    assert level_count((1025, 1000), 1024) == 2
    assert level_count((10_000, 20_000), 1024) == 6
    assert level_shape((10_000, 20_000), 5) == (313, 625)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.float32])
def test_means_of_four_pixels(dtype: type) -> None:
    plane = np.array([[1, 2, 10], [3, 4, 20], [7, 9, 5]]).astype(dtype)
    expected = np.array([[2.5, 15], [8, 5]])
    found = mean(plane)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, atol=0 if dtype is np.float32 else 0.5)


def test_one_row_and_one_column() -> None:
    assert mean(np.array([[4, 8]], np.uint16)).tolist() == [[6]]
    assert mean(np.array([[4]], np.uint8)).tolist() == [[4]]


def test_nan_is_left_out_and_stays_where_there_is_nothing_else() -> None:
    plane = np.array([[1, np.nan, np.nan, np.nan], [3, np.inf, np.nan, np.nan]], np.float32)
    found = mean(plane)
    assert found[0, 0] == 2
    assert np.isnan(found[0, 1])

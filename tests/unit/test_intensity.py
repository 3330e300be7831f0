"""Intensity limits and the integer form of pixels, for every dtype and odd content."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging import intensity
from kiosk.imaging.intensity import UINT16_MAX, Limits, as_uint16, plane_limits

DTYPES = ["?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"]


def seen(pixels: np.ndarray, limits: Limits) -> np.ndarray:
    """What the model makes of them: 0 at `low`, 1 at `high`."""
    return np.clip((pixels.astype(np.float64) - limits.low) / (limits.high - limits.low), 0, 1)


def test_limits_are_percentiles() -> None:
    plane = np.arange(101, dtype=np.float32).reshape(1, 101)
    assert Limits(10.0, 90.0) == plane_limits(plane, 10, 90)
    assert Limits(0.0, 100.0) == plane_limits(plane, 0, 100)


@pytest.mark.parametrize("low", [0.0, 0.3, 1.0, 25.0])
@pytest.mark.parametrize("high", [75.0, 99.8, 100.0])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_counting_grey_values_agrees_with_sorting(dtype: str, low: float, high: float) -> None:
    plane = np.random.default_rng(1).integers(0, 200, (40, 50)).astype(dtype)
    expected = np.percentile(plane, [low, high], method="lower")
    assert Limits(*expected.tolist()) == plane_limits(plane, low, high)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_plane_is_black_for_every_dtype(dtype: str) -> None:
    for value in (0, 1):
        plane = np.full((5, 6), value, dtype)
        limits = plane_limits(plane)
        assert Limits(value, value + 1) == limits
        assert seen(*as_uint16(plane, limits)).max() == 0


@pytest.mark.parametrize("value", [1e17, -1e17, 1e20, 3.4e38, -3.4e38, 1e308])
def test_constant_huge_plane_is_black(value: float) -> None:
    """One more than 1e17 is 1e17 again in floating point; the limits must differ all the same."""
    plane = np.full((5, 6), value)
    limits = plane_limits(plane)
    assert limits.high > limits.low
    assert seen(*as_uint16(plane, limits)).max() == 0


def test_not_finite_values_are_left_out() -> None:
    plane = np.array([[np.nan, 1, 2, np.inf], [3, 4, -np.inf, 5]], np.float32)
    assert Limits(1.0, 5.0) == plane_limits(plane, 0, 100)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_plane_without_a_finite_value(value: float) -> None:
    plane = np.full((4, 4), value, np.float32)
    limits = plane_limits(plane)
    assert Limits(0.0, 1.0) == limits
    pixels, _ = as_uint16(plane, limits)
    assert np.uint16 == pixels.dtype


def test_nan_and_infinities_as_pixels() -> None:
    plane = np.array([[np.nan, -np.inf, np.inf, 0.0, 1.0]], np.float32)
    pixels, limits = as_uint16(plane, plane_limits(plane, 0, 100))
    assert pixels[0, :3].tolist() == [0, 0, UINT16_MAX]
    np.testing.assert_allclose(seen(pixels, limits)[0], [0, 0, 1, 0, 1], atol=1e-4)


def test_nearly_all_equal_values_fall_back_to_the_whole_range() -> None:
    """Percentiles coincide, yet there is one bright spot."""
    plane = np.zeros((100, 100), np.uint16)
    plane[50, 50] = 700
    assert Limits(0.0, 700.0) == plane_limits(plane)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_8_and_16_bit_pixels_are_kept(dtype: str) -> None:
    plane = np.arange(200, dtype=dtype).reshape(10, 20)
    limits = Limits(3.0, 150.0)
    pixels, there = as_uint16(plane, limits)
    assert np.uint16 == pixels.dtype
    assert limits == there
    np.testing.assert_array_equal(plane, pixels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_model_sees_the_same_whatever_the_dtype(dtype: str) -> None:
    plane = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], dtype)
    pixels, limits = as_uint16(plane, plane_limits(plane, 0, 100))
    np.testing.assert_allclose(seen(pixels, limits), plane.astype(float), atol=1e-4)


@pytest.mark.parametrize(
    ("low", "high"), [(-5.0, -1.0), (1e9, 1e9 + 10), (-1e30, 1e30), (0.0, 1e-30), (-1e-9, 1e-9)]
)
def test_any_range_is_stretched(low: float, high: float) -> None:
    ramp = np.linspace(low, high, 101).reshape(1, -1)
    pixels, limits = as_uint16(ramp, plane_limits(ramp, 0, 100))
    np.testing.assert_allclose(seen(pixels, limits)[0], np.linspace(0, 1, 101), atol=1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("span", [(-1e308, 1e308), (0.0, 5e-324)])
def test_extreme_ranges_do_no_harm(span: tuple[float, float]) -> None:
    plane = np.array([span])
    pixels, _ = as_uint16(plane, plane_limits(plane, 0, 100))
    assert np.uint16 == pixels.dtype


def test_a_few_wild_values_do_not_squeeze_the_others() -> None:
    plane = np.random.default_rng(2).normal(0, 1, (100, 100))
    plane[3, 4] = 1e30
    pixels, limits = as_uint16(plane, plane_limits(plane))
    assert seen(pixels, limits).std() > 0.1


@pytest.mark.parametrize("dtype", ["u2", "f4", "i4"])
def test_tiles_of_one_plane_agree(dtype: str) -> None:
    plane = (np.random.default_rng(3).normal(100, 30, (64, 64))).astype(dtype)
    limits = plane_limits(plane)
    whole, there = as_uint16(plane, limits)
    tile, tile_there = as_uint16(plane[10:30, 20:50], limits)
    np.testing.assert_array_equal(whole[10:30, 20:50], tile)
    assert there == tile_there


def test_channels_share_their_limits() -> None:
    plane = np.stack([np.full((4, 4), value, np.uint8) for value in (10, 20, 200)])
    assert Limits(10.0, 200.0) == plane_limits(plane, 0, 100)


def test_large_plane_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "SAMPLE_LIMIT_PX", 1000)
    plane = np.random.default_rng(4).normal(0, 1, (300, 400))
    limits = plane_limits(plane, 1, 99)
    np.testing.assert_allclose([limits.low, limits.high], np.percentile(plane, [1, 99]), atol=0.4)


def test_a_full_range_of_16_bits_fits_float16() -> None:
    plane = np.array([[0, 1000, 40_000, 65_535]], np.uint16)
    pixels, limits = as_uint16(plane, Limits(0, 65_535))
    assert np.isfinite(np.float16(limits.high - limits.low))
    seen = (pixels - limits.low) / (limits.high - limits.low)
    np.testing.assert_allclose(seen, plane / 65_535, atol=1e-4)
    assert pixels.dtype == np.uint16

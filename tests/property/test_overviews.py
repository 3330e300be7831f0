"""Small pictures of large planes, read band by band, equal those made of the whole plane."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.imaging import overviews
from kiosk.imaging.intensity import plane_limits, sample_limits, sample_step
from kiosk.imaging.overviews import sampled, small_labels, small_plane
from kiosk.imaging.rendering import display_labels, display_size

sizes = st.integers(1, 90)
bands = st.sampled_from([1, 64, 500, 10**6])
dtypes = st.sampled_from(["uint8", "uint16", "float32", "int16", "uint32"])


class Reads:
    """Reads windows of an array and keeps how many pixels each had."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.sizes: list[int] = []

    def __call__(self, window: tuple[slice, slice]) -> np.ndarray:
        part = self.pixels[(..., *window)]
        self.sizes.append(part.shape[-1] * part.shape[-2])
        return part


def plane(height: int, width: int, dtype: str, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(height * 1000 + width)
    return random.integers(0, 200, (channels, height, width)).astype(dtype)


@given(sizes, sizes, st.integers(1, 100), bands, dtypes, st.integers(1, 3))
def test_small_plane_is_about_the_whole_plane_shrunk(
    height: int, width: int, longest: int, band: int, dtype: str, channels: int
) -> None:
    pixels = plane(height, width, dtype, channels)
    # Smooth, so that a band edge within a fraction of a pixel changes little.
    pixels[:] = (np.add.outer(np.arange(height), np.arange(width)) % 200).astype(dtype)
    pixels = np.stack([cv2.blur(c.astype(np.float32), (9, 9)).astype(dtype) for c in pixels])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overviews, "BAND_PX", band)
        small = small_plane(Reads(pixels), (height, width), longest)
    shape = display_size(height, width, longest)
    assert small.shape == (channels, *shape)
    whole = [cv2.resize(c.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
             for c in pixels]  # fmt: skip
    rows = height / shape[0]
    # Every band is shrunk by itself: its rows are off by less than half a row of the plane.
    assert np.abs(small.astype(np.float32) - np.stack(whole)).mean() <= 12 + 2 * rows


@given(st.integers(1, 12), st.integers(1, 12), st.integers(2, 9), bands)
def test_small_plane_is_exact_where_pixels_fit(
    rows: int, columns: int, times: int, band: int
) -> None:
    pixels = plane(rows * times, columns * times, "float32")
    longest = max(rows, columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overviews, "BAND_PX", band)
        small = small_plane(Reads(pixels), pixels.shape[1:], longest)
    blocks = pixels[0].reshape(rows, times, columns, times).mean(axis=(1, 3))
    np.testing.assert_allclose(small[0], blocks, rtol=1e-5)


@given(sizes, sizes, st.integers(1, 100), bands)
def test_small_labels_are_those_of_the_whole_plane(
    height: int, width: int, longest: int, band: int
) -> None:
    labels = plane(height, width, "uint32")[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overviews, "BAND_PX", band)
        small = small_labels(Reads(labels), (height, width), longest)
    np.testing.assert_array_equal(small, display_labels(labels, longest))
    assert small.dtype == np.uint32


@given(sizes, sizes, st.integers(1, 3), st.integers(1, 2000), bands)
def test_a_sample_is_every_nth_pixel(
    height: int, width: int, channels: int, limit: int, band: int
) -> None:
    pixels = plane(height, width, "uint16", channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overviews, "BAND_PX", band)
        patch.setattr("kiosk.imaging.intensity.SAMPLE_LIMIT_PX", limit)
        step = sample_step(pixels.size)
        found = sampled(Reads(pixels), (height, width), channels)
        np.testing.assert_array_equal(found, pixels[:, ::step, ::step])
        assert plane_limits(pixels, 1, 99) == sample_limits(found, 1, 99)


def test_no_more_than_a_band_is_read_at_a_time() -> None:
    pixels = plane(900, 50, "uint16")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overviews, "BAND_PX", 5000)
        for made in (
            lambda read: small_plane(read, (900, 50), 90),
            lambda read: sampled(read, (900, 50), 1),
        ):
            read = Reads(pixels)
            made(read)
            assert max(read.sizes) <= 5000
            assert len(read.sizes) > 5

"""The scale at which a network sees an image."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.scaling import (
    alignment_px,
    resized,
    scale_for,
    scaled_shape,
    typical_diameter_px,
)
from kiosk.pipelines.sizing import WINDOW_PX, busiest


@pytest.mark.parametrize(
    ("diameter_px", "scale"),
    [
        (0, 1.0),  # nothing known
        (28, 1.0),
        (23, 1.0),  # near enough: the pixel grid is left alone
        (34, 1.0),
        (14, 2.0),
        (13, 2.0),  # rounded to a quarter of an octave
        (56, 0.5),
        (3, 76 / 32),  # not more than 2**1.25, in whole 32nds
        (400, 11 / 32),
    ],
)
def test_scale_for_a_network_of_28_px(diameter_px: float, scale: float) -> None:
    assert scale_for(diameter_px, 28) == pytest.approx(scale)


def test_a_network_for_any_size_sees_the_image_as_it_is() -> None:
    assert scale_for(5, 0) == 1.0


def test_typical_diameter_is_that_of_the_median_area() -> None:
    labels = np.zeros((60, 60), np.uint32)
    y, x = np.mgrid[:60, :60]
    for label, (cy, cx, radius) in enumerate([(12, 12, 5), (12, 40, 8), (42, 30, 15)], 1):
        labels[np.hypot(y - cy, x - cx) <= radius] = label
    assert typical_diameter_px(labels) == pytest.approx(16, abs=0.3)
    assert typical_diameter_px(np.zeros((4, 4), np.uint16)) == 0.0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
@pytest.mark.parametrize("scale", [0.4, 1.0, 2.3])
def test_resizing_keeps_dtype_and_mean_and_comes_back(dtype: str, scale: float) -> None:
    y, x = np.mgrid[:50, :70]
    smooth = (100 + 40 * np.sin(y / 16) + 40 * np.cos(x / 20)).astype(dtype)[None]
    there = resized(smooth, *scaled_shape((50, 70), scale))
    assert there.dtype == smooth.dtype
    assert there.shape == (1, round(50 * scale), round(70 * scale))
    back = resized(there, 50, 70).astype(float)
    assert np.abs(back - smooth.astype(float))[:, 3:-3, 3:-3].max() < 4


@pytest.mark.parametrize("diameter_px", [10, 16, 20, 40, 56, 90])
def test_an_aligned_window_is_resized_like_the_whole_plane(diameter_px: float) -> None:
    scale = scale_for(diameter_px, 28)
    step = alignment_px(scale, 16)
    assert step * scale % 16 == 0
    plane = np.random.default_rng(1).random((1, 2 * step, 64)).astype(np.float32)
    whole = resized(plane, *scaled_shape(plane.shape[1:], scale))
    window = resized(plane[:, step:], *scaled_shape((step, 64), scale))
    inner = 4  # what lies outside of the window is not seen at its rim
    np.testing.assert_allclose(whole[:, -window.shape[1] + inner :], window[:, inner:], atol=1e-5)


def test_a_plane_never_shrinks_to_nothing() -> None:
    assert scaled_shape((1, 2), 0.33) == (1, 1)


def test_the_first_pass_looks_where_something_is() -> None:
    plane = np.zeros((1, 3000, 2000), np.uint16)
    plane[0, 2500:2600:2, 1800:1900:2] = 900
    window = busiest(lambda at: plane[:, *at], (3000, 2000))
    assert window.shape == (1, WINDOW_PX, WINDOW_PX)
    assert window.sum() == plane.sum()


def test_the_window_of_a_small_plane_is_all_of_it() -> None:
    plane = np.zeros((3, 20, 700))
    assert busiest(lambda at: plane[:, *at], (20, 700)).shape == plane.shape

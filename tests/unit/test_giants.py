"""One instance measured band by band: the same values as in one piece."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.imaging.giants import GiantMeasurements
from kiosk.imaging.measurements import measure
from kiosk.imaging.perimeters import MARGIN_PX

NAMES = ("dapi", "gfp")


def blob(shape: tuple[int, int], seed: int) -> np.ndarray:
    """(y, x) bool with holes and dents, in one or several pieces."""
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), 3.0)).reshape(shape)
    return smooth >= np.quantile(smooth, 0.4)


def in_bands(
    inside: np.ndarray, pixels: np.ndarray, rows: int, pixel_size_um: Any = None
) -> dict[str, np.ndarray]:
    """Measured in a window that holds the instance, as in a larger plane."""
    top, left = 3, 5
    plane = (inside.shape[0] + top + 4, inside.shape[1] + left)
    giant = GiantMeasurements(plane, NAMES, pixel_size_um)
    padded = np.pad(inside, ((MARGIN_PX, MARGIN_PX), (0, 0)))
    for first in range(0, len(inside), rows):
        last = min(first + rows, len(inside))
        band = padded[first : last + 2 * MARGIN_PX]
        giant.add(band, iter(pixels[:, first:last]), (top + first, left))
    found = giant.columns()
    whole = measure(
        inside.astype(np.uint32),
        pixels,
        NAMES,
        pixel_size_um,
        origin_px=(top, left),
        plane_shape=plane,
    )
    assert ["label", *found] == list(whole)
    return {name: np.stack([values, whole[name]]) for name, values in found.items()}


def assert_same(columns: dict[str, np.ndarray]) -> None:
    for name, (found, expected) in columns.items():
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 50),
    st.sampled_from([np.uint8, np.uint16, np.int16, np.float32, np.float64]),
)
def test_bands_give_what_the_whole_gives(
    seed: int, shape: tuple[int, int], rows: int, dtype: type
) -> None:
    inside = blob(shape, seed)
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 200, (2, *shape)).astype(dtype)
    assert_same(in_bands(inside, pixels, rows, (0.5, 0.5)))


def test_values_that_are_no_numbers_are_left_out() -> None:
    inside = blob((30, 20), 1)
    pixels = np.random.default_rng(1).normal(size=(2, 30, 20)).astype(np.float32)
    pixels[0, 10:20] = np.nan
    pixels[1] = np.inf
    assert_same(in_bands(inside, pixels, 7))


def test_touches_the_border() -> None:
    giant = GiantMeasurements((10, 10))
    giant.add(np.pad(np.ones((10, 4), bool), ((2, 2), (0, 0))), [np.zeros((10, 4))], (0, 6))
    assert giant.columns()["touches_border"] == [1]


def test_medians_of_many_different_values_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.imaging.giants.MOST_BYTES", 20_000)
    pixels = np.random.default_rng(2).normal(100, 10, (2, 200, 100)).astype(np.float32)
    columns = in_bands(np.ones((200, 100), bool), pixels, 10)
    for suffix in NAMES:
        found, expected = columns[f"median_intensity_{suffix}"]
        np.testing.assert_allclose(found, expected, rtol=5e-3)

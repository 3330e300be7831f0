"""Views of a plane: each can be undone, no two are alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.imaging.orientations import VIEWS, mean_map, turned, turned_back

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(SHAPES, st.integers(0, VIEWS - 1))
def test_a_view_can_be_undone(shape: tuple[int, int, int], view: int) -> None:
    pixels = np.arange(np.prod(shape)).reshape(shape)
    seen = turned(pixels, view)
    assert seen.flags.c_contiguous
    np.testing.assert_array_equal(turned_back(seen, view), pixels)


def test_all_views_differ_and_the_first_is_the_image_itself() -> None:
    pixels = np.arange(16).reshape(1, 4, 4)
    seen = {turned(pixels, view).tobytes() for view in range(VIEWS)}
    assert len(seen) == VIEWS
    np.testing.assert_array_equal(turned(pixels, 0), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_the_mean_keeps_the_dtype(dtype: type) -> None:
    maps = [np.full((1, 2, 2), value, dtype) for value in (10, 11, 11)]
    mean = mean_map(maps)
    assert mean.dtype == dtype
    assert mean[0, 0, 0] == dtype(11 if dtype is np.uint8 else np.float32(32 / 3))

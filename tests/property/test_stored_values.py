"""Grey values as 16 bits: what comes back is what went in, as well as 16 bits can tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kiosk.imaging.stored_values import measured_values, plain_values

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def real(values, pixels: np.ndarray) -> np.ndarray:
    return values.offset + values.scale * values.stored(pixels).astype(np.float64)


@given(
    st.sampled_from(["bool", "uint8", "int8", "uint16", "int16"]).flatmap(
        lambda dtype: arrays.arrays(dtype, shapes)
    )
)
def test_up_to_16_bits_nothing_is_lost(pixels: np.ndarray) -> None:
    values = measured_values(pixels)
    np.testing.assert_array_equal(real(values, pixels), pixels.astype(np.float64))
    assert values.offset == plain_values(pixels.dtype).offset
    assert 0 <= values.low < values.high <= 65535


@given(arrays.arrays("int32", shapes, elements=st.integers(-20_000, 20_000)))
def test_small_whole_numbers_stay_what_they_are(pixels: np.ndarray) -> None:
    values = measured_values(pixels)
    np.testing.assert_array_equal(real(values, pixels), pixels)


@given(
    st.sampled_from(["float32", "float64", "int64", "uint32"]).flatmap(
        lambda dtype: arrays.arrays(dtype, shapes)
    )
)
def test_any_values_give_numbers(pixels: np.ndarray) -> None:
    values = measured_values(pixels)
    numbers = [values.offset, values.scale, values.low, values.high]
    assert np.isfinite(numbers).all()
    assert values.scale > 0
    assert 0 <= values.low < values.high <= 65535
    assert values.stored(pixels).dtype == np.uint16


@given(
    arrays.arrays("float64", st.integers(50, 200), elements=st.floats(-5, 5)),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e6),
)
def test_what_was_seen_is_told_apart(pixels: np.ndarray, offset: float, factor: float) -> None:
    pixels = pixels * factor + offset
    values = measured_values(pixels)
    # Wild values may be clipped; of those between the percentiles none is.
    low, high = np.percentile(pixels, [0.5, 99.8])
    inside = pixels[(pixels >= low) & (pixels <= high)]
    np.testing.assert_allclose(real(values, inside), inside, atol=values.scale)


def test_wild_values_do_not_squeeze_the_others() -> None:
    pixels = np.random.default_rng(1).normal(100, 5, 100_000)
    pixels[:3] = 1e12
    values = measured_values(pixels)
    assert values.scale < 1e-2
    assert values.stored(pixels)[0] == 65535


def test_nan_and_infinities_have_a_place() -> None:
    pixels = np.array([np.nan, -np.inf, np.inf, 1.0, 2.0])
    assert list(measured_values(pixels).stored(pixels)[:3]) == [0, 0, 65535]
    values = measured_values(np.full(3, np.nan))
    assert list(values.stored(np.full(3, np.nan))) == [0, 0, 0]


@pytest.mark.parametrize("value", [0.0, 5.0, -1e30, 1e300])
def test_a_constant_plane(value: float) -> None:
    pixels = np.full((4, 4), value)
    values = measured_values(pixels)
    np.testing.assert_allclose(real(values, pixels), pixels, rtol=1e-3, atol=1e-4)

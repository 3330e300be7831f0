"""Histograms of any values: every one is counted once, in bins that grow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.figures.histograms import BINS, histogram

WHOLE = st.lists(st.integers(-(2**40), 2**40).map(float), max_size=300)
ANY = st.lists(st.floats(-1e30, 1e30), max_size=300)


@given(st.one_of(WHOLE, ANY, st.lists(st.integers(0, 50).map(float), max_size=300)))
def test_every_value_is_counted(values: list[float]) -> None:
    found = histogram(np.array([*values, np.nan, np.inf]))
    if not values:
        assert found is None
        return
    assert found is not None
    array = np.array(values)
    assert found.counts.sum() == len(values)
    assert len(found.edges) == len(found.counts) + 1 <= BINS + 1
    assert np.all(np.diff(found.edges) > 0)
    assert found.below == (array < found.edges[0]).sum()
    assert found.above == (array > found.edges[-1]).sum()


@pytest.mark.parametrize("highest", [1, 7, 39, 40, 41, 90])
def test_whole_numbers_have_equally_many_in_each_bin(highest: int) -> None:
    found = histogram(np.repeat(np.arange(highest + 1.0), 1000))
    assert found is not None
    assert set(found.edges % 1) == {0.5}
    assert len(set(found.counts[:-1].tolist())) <= 1
    assert found.counts[-1] <= found.counts[0]


def test_what_lies_beyond_is_in_the_outermost_bins() -> None:
    values = np.concatenate([np.linspace(0.01, 1, 9990), [-50.0] * 3, [900.0] * 5])
    found = histogram(values)
    assert found is not None
    assert found.edges[-1] < 1
    assert found.below >= 3
    assert found.above >= 5
    assert found.counts[-1] > found.above

"""The assignment of links against trying everything."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kiosk.imaging.assignment import best_links

GAINS = st.floats(-5, 5).filter(lambda value: abs(value) > 1e-6)
EDGES = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(3, 6)),
    st.tuples(GAINS, st.one_of(GAINS, st.just(-np.inf))),
    max_size=7,
)


def best_of_all(edges: dict[tuple[int, int], tuple[float, float]]) -> float:
    """The highest sum of gains over all choices: each edge unused, first or second."""
    best = 0.0
    for choice in product((0, 1, 2), repeat=len(edges)):
        used = [(key, edges[key][c - 1], c) for key, c in zip(edges, choice, strict=True) if c]
        targets = [target for (_, target), _, _ in used]
        slots = [(source, c) for (source, _), _, c in used]
        if len(set(targets)) == len(targets) and len(set(slots)) == len(slots):
            best = max(best, sum(gain for _, gain, _ in used))
    return best


@given(EDGES)
def test_no_choice_is_better(edges: dict[tuple[int, int], tuple[float, float]]) -> None:
    source, target = (np.array([key[i] for key in edges], np.int64) for i in (0, 1))
    gain, second_gain = (np.array([value[i] for value in edges.values()]) for i in (0, 1))
    chosen, second = best_links(source, target, gain, second_gain)
    assert not np.any(second & ~chosen)
    assert np.bincount(target[chosen], minlength=1).max() <= 1
    assert np.bincount(source[chosen & ~second], minlength=1).max() <= 1
    assert np.bincount(source[second], minlength=1).max() <= 1
    total = gain[chosen & ~second].sum() + second_gain[second].sum()
    assert np.isclose(total, best_of_all(edges))

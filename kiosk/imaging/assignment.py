"""Assignment: the set of links that is best as a whole."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import (  # type: ignore[import-untyped]
    min_weight_full_bipartite_matching,
)


def best_links(
    source: np.ndarray,
    target: np.ndarray,
    gain: np.ndarray,
    second_gain: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Choose edges so that their gains add up to the most.

    A target has one source at most, a source one target, or a second one (a division). All
    instances count as true, so what enters an instance and what leaves it do not depend on each
    other, and the best choice is a matching of targets with two places per source, of which the
    second has its own gain. It is exact; the solver is SciPy's LAPJVsp (Jonker and Volgenant,
    Computing 38:325, 1987).

    Args:
        source, target: (e,) int64, any numbers.
        gain: (e,) what an edge is worth against its target having no source.
        second_gain: (e,) what it is worth as the second of its source; -inf = never.

    Returns:
        (e,) bool, which edges are chosen, and (e,) bool, which of them as the second.
    """
    size = len(source)
    # What is worth nothing is never chosen, and most of what remains has no rival.
    first = np.flatnonzero(gain > 0)
    second = np.flatnonzero(second_gain > 0)
    edge = np.concatenate([first, second])
    if not edge.size:
        return np.zeros(size, bool), np.zeros(size, bool)
    worth = np.concatenate([gain[first], second_gain[second]])
    is_second = np.repeat([False, True], [len(first), len(second)])
    sources, place = np.unique(source[edge], return_inverse=True)
    targets, row = np.unique(target[edge], return_inverse=True)
    column = place + len(sources) * is_second
    # A column of its own for every target: it has no source. Weights of 0 would be no edges.
    alone = 2 * len(sources) + np.arange(len(targets))
    weights = coo_array(
        (
            np.concatenate([worth + 1, np.ones(len(targets))]),
            (
                np.concatenate([row, np.arange(len(targets))]),
                np.concatenate([column, alone]),
            ),
        ),
        shape=(len(targets), 2 * len(sources) + len(targets)),
    ).tocsr()
    rows, columns = min_weight_full_bipartite_matching(weights, maximize=True)
    matched = np.full(len(targets), -1)
    matched[rows] = columns
    taken = matched[row] == column
    return _marked(edge[taken], size), _marked(edge[taken & is_second], size)


def _marked(places: np.ndarray, size: int) -> np.ndarray:
    marks = np.zeros(size, bool)
    marks[places] = True
    return marks

"""Assignment: the set of links that is best as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import (
    connected_components,
    min_weight_full_bipartite_matching,
)

# The solver's time grows with the square of what it is given, so it is given so many edges at a
# time; instances that are not connected do not depend on each other.
EDGES_AT_ONCE = 500


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
        source, target: (e,) int64 places, from 0.
        gain: (e,) what an edge is worth against its target having no source.
        second_gain: (e,) what it is worth as the second of its source; -inf = never.

    Returns:
        (e,) bool, which edges are chosen, and (e,) bool, which of them as the second.
    """
    # What is worth nothing is never chosen, and most of what remains has no rival.
    useful = (gain > 0) | (second_gain > 0)
    lone = useful & _only_one(source, useful) & _only_one(target, useful)
    as_second = lone & (second_gain > gain)
    chosen = lone.copy()
    for edges in _groups(source, target, np.flatnonzero(useful & ~lone)):
        first, second = _matched(source[edges], target[edges], gain[edges], second_gain[edges])
        chosen[edges] = first | second
        as_second[edges] = second
    return chosen, as_second


def _only_one(owner: np.ndarray, useful: np.ndarray) -> np.ndarray:
    """(e,) whether an edge's owner has no more than one useful edge."""
    return np.asarray(np.bincount(owner[useful], minlength=owner.max(initial=0) + 1)[owner] <= 1)


def _groups(source: np.ndarray, target: np.ndarray, edges: np.ndarray) -> Iterator[np.ndarray]:
    """The edges in groups of about EDGES_AT_ONCE, those that are connected together."""
    if not edges.size:
        return
    sources, rows = np.unique(source[edges], return_inverse=True)
    targets, columns = np.unique(target[edges], return_inverse=True)
    size = len(sources) + len(targets)
    places = (rows, len(sources) + columns)
    graph = coo_array((np.ones(len(edges)), places), shape=(size, size))
    _, component = connected_components(graph, directed=False)
    of_edge = component[rows]
    order = np.argsort(of_edge, kind="stable")
    begins = np.flatnonzero(np.diff(of_edge[order], prepend=-1))
    # The first component that begins in each stretch of EDGES_AT_ONCE begins a group.
    _, opening = np.unique(begins // EDGES_AT_ONCE, return_index=True)
    yield from np.split(edges[order], begins[opening][1:])


def _matched(
    source: np.ndarray, target: np.ndarray, gain: np.ndarray, second_gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(e,) bool twice: chosen as the first and as the second of their source."""
    first, second = np.flatnonzero(gain > 0), np.flatnonzero(second_gain > 0)
    edge = np.concatenate([first, second])
    worth = np.concatenate([gain[first], second_gain[second]])
    is_second = np.repeat([False, True], [len(first), len(second)])
    sources, place = np.unique(source[edge], return_inverse=True)
    targets, row = np.unique(target[edge], return_inverse=True)
    every = np.arange(len(targets))
    column = place + len(sources) * is_second
    # A column of its own for every target: it has no source. Weights of 0 would be no edges.
    rows = np.concatenate([row, every])
    columns = np.concatenate([column, 2 * len(sources) + every])
    weights = coo_array((np.concatenate([worth + 1, np.ones(len(every))]), (rows, columns)))
    found, taken = min_weight_full_bipartite_matching(weights.tocsr(), maximize=True)
    column_of = np.full(len(targets), -1)
    column_of[found] = taken
    hit = column_of[row] == column
    marks = np.zeros((2, len(source)), bool)
    marks[is_second[hit].astype(int), edge[hit]] = True
    return marks[0], marks[1]

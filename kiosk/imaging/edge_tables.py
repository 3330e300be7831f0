"""Edges sorted to the nodes that they belong to."""

from __future__ import annotations

import numpy as np


def edge_ranks(owner: np.ndarray, gap: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(e,) how many of its owner's edges over the same gap come before each, in this order."""
    group = (owner * (gap.max(initial=0) + 1) + gap)[order]
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    length = np.diff(np.append(begins, len(group)))
    rank = np.empty(len(owner), np.int64)
    rank[order] = np.arange(len(owner)) - np.repeat(begins, length)
    return rank


def edge_table(
    owner: np.ndarray, owners: int, nothing: int, order: np.ndarray | None = None
) -> np.ndarray:
    """(owners, most) places of each owner's edges in `order`, filled up with `nothing`."""
    order = np.arange(len(owner)) if order is None else order
    count = np.bincount(owner, minlength=owners)
    table = np.full((owners, max(1, int(count.max(initial=0)))), nothing, np.int64)
    column = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    table[owner[order], column] = order
    return table

"""How values are distributed, for a plot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 40
# A single bright speck of dirt would leave all the others in one bin.
LOW_PERCENT, HIGH_PERCENT = 0.5, 99.5


@dataclass(frozen=True)
class Histogram:
    """Counts between edges. What lies beyond the edges is counted in the first and last bin.

    Attributes:
        edges: (bin + 1,) float64 ascending.
        counts: (bin,) int64; their sum is the number of values.
        below, above: how many of them lie below the first edge and above the last one.
    """

    edges: np.ndarray
    counts: np.ndarray
    below: int
    above: int


def histogram(values: np.ndarray) -> Histogram | None:
    """Bins of equal width from the 0.5th to the 99.5th percentile of the values.

    Whole numbers get bins that hold equally many of them, so that none is empty by rounding.

    Args:
        values: (n,) float64; NaN and infinities do not count.

    Returns:
        None where there are no values.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, (LOW_PERCENT, HIGH_PERCENT))
    edges = _whole_edges(low, high) if _are_whole(values) else _edges(low, high)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    below, above = (values < edges[0]).sum(), (values > edges[-1]).sum()
    return Histogram(edges, counts, int(below), int(above))


def _edges(low: float, high: float) -> np.ndarray:
    edges = np.linspace(low, high, BINS + 1)
    # Of one value, or of values too close for numbers of this size, there is one bin.
    return edges if np.all(np.diff(edges) > 0) else _around(low, high)


def _whole_edges(low: float, high: float) -> np.ndarray:
    """Edges half-way between whole numbers."""
    first, last = np.floor(low), np.ceil(high)
    width = np.ceil((last - first + 1) / BINS)
    bins = int(np.ceil((last - first + 1) / width))
    edges = first - 0.5 + width * np.arange(bins + 1)
    return edges if np.all(np.diff(edges) > 0) else _around(low, high)


def _around(low: float, high: float) -> np.ndarray:
    margin = max(0.5, abs(high) * 1e-6)
    return np.array([low - margin, high + margin])


def _are_whole(values: np.ndarray) -> bool:
    return bool(np.all(values == np.floor(values)))

"""A label plane as runs: stretches of one label within one row.

A plane with 8,000 cells has four million pixels and some hundred thousand runs, so everything that
follows from the shape of instances is quicker said of runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kiosk.imaging.tiling import iter_bands

# Rows at a time: what fits a processor's cache, and little beside the plane itself.
BAND_PX = 200_000
# Labels below this are looked up in a table of 16 MB at most, others in a sorted list.
LARGEST_TABLE = 4_000_000
KEY_BITS = 64


@dataclass(frozen=True)
class Runs:
    """The runs of a plane, ordered by label, then row, then column.

    Attributes:
        y, x, length: (run,) int64, first pixel and number of pixels of each run.
        labels: (instance,) int64, ascending.
        first: (instance,) int64, the first run of each instance.
        shape: (y, x) of the plane.
    """

    y: np.ndarray
    x: np.ndarray
    length: np.ndarray
    labels: np.ndarray
    first: np.ndarray
    shape: tuple[int, int]

    @property
    def instance(self) -> np.ndarray:
        """(run,) int64: place in `labels` of the instance of each run."""
        counts = np.diff(np.append(self.first, len(self.y)))
        return np.repeat(np.arange(len(self.labels)), counts)

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over the runs of each instance."""
        return _reduced(np.add, values, self.first)

    def least(self, values: np.ndarray) -> np.ndarray:
        return _reduced(np.minimum, values, self.first)

    def most(self, values: np.ndarray) -> np.ndarray:
        return _reduced(np.maximum, values, self.first)

    def part(self, begin: int, end: int) -> Runs:
        """The runs of the instances [begin, end), counted in `labels`."""
        first = self.first[begin:end]
        stop = self.first[end] if end < len(self.first) else len(self.y)
        of_runs = slice(first[0] if first.size else stop, stop)
        return Runs(
            self.y[of_runs],
            self.x[of_runs],
            self.length[of_runs],
            self.labels[begin:end],
            first - of_runs.start,
            self.shape,
        )

    def chunks(self, chunk_px: int) -> Iterator[slice]:
        """Runs of about `chunk_px` pixels together, in order."""
        through = np.cumsum(self.length)
        begin, done = 0, 0
        while begin < len(through):
            end = max(begin + 1, int(np.searchsorted(through, done + chunk_px, side="right")))
            yield slice(begin, end)
            begin, done = end, int(through[end - 1])


class Places:
    """Where labels stand in an ascending list of labels that contains them all."""

    def __init__(self, listed: np.ndarray) -> None:
        self._listed = listed
        self._table: np.ndarray | None = None
        highest = int(listed[-1]) if listed.size else 0
        if highest < LARGEST_TABLE:
            self._table = np.zeros(highest + 1, np.int32)
            self._table[listed] = np.arange(len(listed))

    def of(self, labels: np.ndarray) -> np.ndarray:
        """(n,) places of (n,) labels."""
        if self._table is None:
            return np.searchsorted(self._listed, labels)
        return self._table[labels]


def label_runs(labels: np.ndarray) -> Runs:
    """The runs of a (y, x) label image of any integer dtype, 0 = background."""
    height, width = labels.shape
    bands = iter_bands(height, width, BAND_PX)
    found = [_band_runs(labels[band], band.start) for band in bands]
    label, y, x, length = (np.concatenate(part) for part in zip(*found, strict=True))
    order = _order(label)
    label = label[order]
    first = np.flatnonzero(np.diff(label, prepend=0))
    return Runs(y[order], x[order], length[order], label[first], first, (height, width))


def _order(label: np.ndarray) -> np.ndarray:
    """Places of the labels in ascending order, equal ones in the order they have."""
    shift = len(label).bit_length()
    if int(label.max(initial=0)).bit_length() + shift >= KEY_BITS:
        return np.argsort(label, kind="stable")
    # One sort of one integer, label above place, takes a fifth of a stable sort.
    key = (label << shift) + np.arange(len(label))
    key.sort()
    return np.asarray(key & ((1 << shift) - 1))


def _band_runs(rows: np.ndarray, first_row: int) -> tuple[np.ndarray, ...]:
    """(label, y, x, length) of the runs of some rows, in raster order."""
    width = rows.shape[1]
    flat = np.ascontiguousarray(rows).ravel()
    begins = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    start = np.flatnonzero(begins)
    label = flat[start]
    inside = np.flatnonzero(label > 0)
    length = np.diff(start, append=flat.size)[inside]
    start = start[inside]
    y = start // width
    return label[inside].astype(np.int64), y + first_row, start - y * width, length


def _reduced(operation: np.ufunc, values: np.ndarray, first: np.ndarray) -> np.ndarray:
    if not first.size:
        return np.zeros(0, values.dtype)
    return np.asarray(operation.reduceat(values, first))

"""A label plane as runs: stretches of one label within one row.

A plane with 8,000 cells has four million pixels and some hundred thousand runs, so everything that
follows from the shape of instances is quicker said of runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.imaging.tiling import iter_bands


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


def label_runs(labels: np.ndarray) -> Runs:
    """The runs of a (y, x) label image of any integer dtype, 0 = background."""
    height, width = labels.shape
    found = [_band_runs(labels[band], band.start) for band in iter_bands(height, width)]
    label, y, x, length = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.argsort(label, kind="stable")
    label, y, x, length = label[order], y[order], x[order], length[order]
    first = np.flatnonzero(np.diff(label, prepend=0))
    return Runs(y, x, length, label[first], first, (height, width))


def _band_runs(rows: np.ndarray, first_row: int) -> tuple[np.ndarray, ...]:
    """(label, y, x, length) of the runs of some rows, in raster order."""
    width = rows.shape[1]
    flat = np.ascontiguousarray(rows).ravel()
    begins = np.empty(flat.size, bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[::width] = True
    start = np.flatnonzero(begins)
    length = np.diff(np.append(start, flat.size))
    label = flat[start].astype(np.int64)
    inside = label > 0
    y, x = np.divmod(start[inside], width)
    return label[inside], y + first_row, x, length[inside]


def _reduced(operation: np.ufunc, values: np.ndarray, first: np.ndarray) -> np.ndarray:
    if not first.size:
        return np.zeros(0, values.dtype)
    return np.asarray(operation.reduceat(values, first))

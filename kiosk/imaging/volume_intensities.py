"""Grey values of volumes in one channel, gathered plane by plane or window by window."""

from __future__ import annotations

import numpy as np

from kiosk.imaging.grey_values import CHUNK_PX, gathered_pixels
from kiosk.imaging.medians import Medians
from kiosk.imaging.runs import Runs


class VolumeIntensities:
    """Sums that can be added to; arrays have an entry per volume, and one for 0, unused."""

    def __init__(self, count: int, most_bytes: int) -> None:
        """
        Args:
            count: number of volumes.
            most_bytes: see `Medians`.
        """
        size = count + 1
        self._voxels = np.zeros(size)  # finite ones
        self._total = np.zeros(size)
        self._squares = np.zeros(size)  # of the distances from the mean
        self._least, self._most = np.full(size, np.inf), np.full(size, -np.inf)
        self.medians = Medians(size, most_bytes)

    def add(self, runs: Runs, channel: np.ndarray) -> None:
        """Add pixels; NaN and infinities are left out.

        Args:
            runs: of the labels of volumes in a plane or a window of it.
            channel: (y, x) of any real dtype, of the same shape.

        Raises:
            ValueError: the shapes differ.
        """
        if channel.shape != runs.shape:
            raise ValueError(f"the labels have shape {runs.shape}, the channel {channel.shape}")
        label = np.repeat(runs.labels, np.diff(np.append(runs.first, len(runs.y))))
        for part in runs.chunks(CHUNK_PX):
            values = gathered_pixels(runs, channel, part)
            volume = np.repeat(label[part], runs.length[part])
            if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
                values, volume = values[finite], volume[finite]
            if values.size:
                first = np.flatnonzero(np.diff(volume, prepend=-1))
                count = np.diff(np.append(first, len(volume)))
                self.medians.add(volume[first], count, values)
                self._add(volume[first], first, count, values.astype(np.float64))

    def _add(
        self, here: np.ndarray, first: np.ndarray, count: np.ndarray, values: np.ndarray
    ) -> None:
        """Means and squares of two sets as one: Chan, Golub and LeVeque, COMPSTAT 1982."""
        total = np.add.reduceat(values, first)
        away = values - np.repeat(total / count, count)
        squares = np.add.reduceat(away * away, first)
        before = self._voxels[here]
        apart = total / count - self._total[here] / np.maximum(before, 1)
        squares += apart**2 * (before * count / (before + count))
        self._squares[here] += squares
        self._voxels[here] += count
        self._total[here] += total
        self._least[here] = np.minimum(self._least[here], np.minimum.reduceat(values, first))
        self._most[here] = np.maximum(self._most[here], np.maximum.reduceat(values, first))

    def columns(self) -> dict[str, np.ndarray]:
        """(volume,) float64 arrays as `grey_value_columns` names them."""
        there = self._voxels > 0
        voxels = np.where(there, self._voxels, np.nan)
        found = {
            "mean": self._total / voxels,
            "sd": np.sqrt(self._squares / voxels),
            "min": np.where(there, self._least, np.nan),
            "max": np.where(there, self._most, np.nan),
            "median": self.medians.medians,
            "total": self._total,
        }
        return {name: values[1:] for name, values in found.items()}

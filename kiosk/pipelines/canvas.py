"""A label image on disk that is read and written in windows, so that it may be of any size."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from kiosk.ports import Window

LABEL_BYTES = 4


class LabelFile:
    """`stitching.Canvas` over a file: (y, x) uint32 row by row, zeros where nothing was written.

    Plain reads and writes and no memory map: the pages of a map count as memory of the process.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.truncate(self._file, shape[0] * shape[1] * LABEL_BYTES)

    def read(self, window: Window) -> np.ndarray:
        """(y, x) uint32 labels of a window."""
        rows, columns = window
        labels = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.uint32)
        if not labels.size:  # has no bytes to view
            return labels
        if labels.shape[1] == self.shape[1]:
            self._read_into(labels, rows.start * self.shape[1])
            return labels
        for row, line in enumerate(labels, rows.start):
            self._read_into(line, row * self.shape[1] + columns.start)
        return labels

    def write(self, window: Window, labels: np.ndarray) -> None:
        rows, columns = window
        labels = np.ascontiguousarray(labels, np.uint32)
        if not labels.size:  # has no bytes to view
            return
        for row, line in enumerate(labels, rows.start):
            data = line.data.cast("B")
            offset = (row * self.shape[1] + columns.start) * LABEL_BYTES
            while data:  # a write may be cut short
                written = os.pwrite(self._file, data, offset)
                data, offset = data[written:], offset + written

    def _read_into(self, out: np.ndarray, first_px: int) -> None:
        data, offset = out.data.cast("B"), first_px * LABEL_BYTES
        while data:
            count = os.preadv(self._file, [data], offset)
            if not count:
                raise OSError("the file of labels is shorter than it was made")
            data, offset = data[count:], offset + count

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

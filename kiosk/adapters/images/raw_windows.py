"""Windows of pixels that lie uncompressed in a file, read without the rest of their plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

# Most bytes of one read; a band of rows is as high as fits in.
BAND_BYTES = 4 * 1024 * 1024
# Bytes between two rows that are cheaper to read than to jump over (measured on a local disk:
# 20,000 px of 16 bits per row, windows of 2048 px).
GAP_BYTES = 16 * 1024


@dataclass(frozen=True)
class Target:
    """Where the values of one channel go.

    Attributes:
        shift: bytes from the first byte of a pixel to the value of this channel.
        out: (y, x), filled.
        colours: values -> colours of a palette, or None where the values are what is wanted.
    """

    shift: int
    out: np.ndarray
    colours: np.ndarray | None = None

    def put(self, rows: slice, columns: slice, values: np.ndarray) -> None:
        """Fill a part of `out`. Raises IndexError for a value that the palette lacks."""
        if self.colours is not None:
            values = self.colours[values.astype(np.intp)]
        self.out[rows, columns] = values


def read_raw(
    file: BinaryIO,
    start: int,
    dtype: np.dtype[Any],
    strides: tuple[int, int],
    targets: Sequence[Target],
) -> None:
    """Fill targets of one size with values at `start + shift + y * strides[0] + x * strides[1]`.

    Args:
        start: offset in the file of the first pixel of the window, in bytes.
        dtype: of the values in the file, with their byte order.
        strides: bytes from row to row and from pixel to pixel; the rows are the farther apart.

    Raises ValueError where the file ends too early.
    """
    height, width = targets[0].out.shape
    first = min(target.shift for target in targets)
    pixel = max(target.shift for target in targets) - first + dtype.itemsize
    step = max(1, BAND_BYTES // strides[1])
    for left in range(0, width, step):
        columns = slice(left, min(left + step, width))
        row_bytes = (columns.stop - left - 1) * strides[1] + pixel
        joined = strides[0] - row_bytes <= GAP_BYTES
        band = max(1, BAND_BYTES // strides[0]) if joined else 1
        for top in range(0, height, band):
            rows = slice(top, min(top + band, height))
            size = (rows.stop - top - 1) * strides[0] + row_bytes
            file.seek(start + first + top * strides[0] + left * strides[1])
            data = file.read(size)
            if len(data) < size:
                raise ValueError("the file ends within its pixels")
            shape = (rows.stop - top, columns.stop - left)
            for target in targets:
                values: np.ndarray = np.ndarray(
                    shape, dtype, data, offset=target.shift - first, strides=strides
                )
                target.put(rows, columns, values)

"""Rows of a result table in CSV, found by bisection: they lie in the order of their planes.

A table of a long movie has gigabytes. The rows of a plane are found in about thirty short reads,
and no more than a piece of the file is in memory at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from kiosk.exports.writer import Table
from kiosk.figures.stored_rows import Key, row_order

# Parsed at a time: some ten thousand rows.
PIECE_BYTES = 4 * 2**20


class CsvRows:
    """`StoredRows` over a CSV file as `exports.row_file` writes it: numbers and empty cells."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        self.columns: Sequence[str] = file.readline().decode().rstrip("\r\n").split(",")
        self._order = [self.columns.index(name) for name in row_order(self.columns)]
        self._begin = file.tell()
        self._end = file.seek(0, os.SEEK_END)

    def read(self, columns: Sequence[str], first: Key = (), last: Key = ()) -> Iterator[Table]:
        start = self._bisect(lambda key: key[: len(first)] < first) if first else self._begin
        stop = self._bisect(lambda key: key[: len(last)] <= last) if last else self._end
        for data in self._pieces(start, stop):
            yield _parsed(data, self.columns, columns)

    def _bisect(self, is_before: Callable[[Key], bool]) -> int:
        """Where the first row begins that is not before; the end of the file without one."""
        low, high = self._begin, self._end
        while low < high:
            middle = (low + high) // 2
            start, line = self._line_at(middle)
            if start < high and is_before(self._key(line)):
                low = start + len(line)
            else:
                high = middle
        return low

    def _line_at(self, offset: int) -> tuple[int, bytes]:
        """The first line that begins at an offset or after it."""
        if offset == self._begin:
            self._file.seek(offset)
        else:
            self._file.seek(offset - 1)
            self._file.readline()
        return self._file.tell(), self._file.readline()

    def _key(self, line: bytes) -> Key:
        cells = line.split(b",", max(self._order) + 1)
        return tuple(int(cells[place]) for place in self._order)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from one row to another, in whole lines."""
        self._file.seek(start)
        while start < stop:
            data = self._file.read(min(PIECE_BYTES, stop - start))
            data += self._file.readline() if start + len(data) < stop else b""
            start += len(data)
            yield data


def _parsed(data: bytes, names: Sequence[str], wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """(row,) float64 per column, NaN where nothing is known."""
    import pyarrow
    from pyarrow import csv

    table = csv.read_csv(
        pyarrow.BufferReader(data),
        csv.ReadOptions(column_names=list(names), use_threads=False),
        convert_options=csv.ConvertOptions(
            include_columns=list(wanted),
            column_types=dict.fromkeys(wanted, pyarrow.float64()),
            null_values=["", "nan"],
        ),
    )
    return {name: table[name].to_numpy() for name in wanted}

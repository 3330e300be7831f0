"""Rows of a result table in Parquet: groups of rows that cannot be meant are not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from kiosk.exports.writer import Table
from kiosk.figures.stored_rows import Key, row_order


class ParquetRows:
    """`StoredRows` over a Parquet file as `exports.parquet` writes it."""

    def __init__(self, file: BinaryIO) -> None:
        from pyarrow import parquet

        self._file = parquet.ParquetFile(file)
        self.columns: Sequence[str] = self._file.schema_arrow.names
        self._order = row_order(self.columns)

    def read(self, columns: Sequence[str], first: Key = (), last: Key = ()) -> Iterator[Table]:
        keys = self._order[: max(len(first), len(last))]
        for number in range(self._file.num_row_groups):
            if not self._may_have(number, first, last):
                continue
            # Names may repeat in the list: each is read once.
            names = list(dict.fromkeys([*columns, *keys]))
            group = self._file.read_row_group(number, columns=names, use_threads=False)
            table = {name: group[name].to_numpy().astype(np.float64) for name in names}
            kept = _within([table[name] for name in keys], first, last, group.num_rows)
            yield {name: table[name][kept] for name in columns}

    def _may_have(self, number: int, first: Key, last: Key) -> bool:
        """Whether there may be rows of these time points in a group of rows."""
        place = list(self.columns).index(self._order[0])
        found: Any = self._file.metadata.row_group(number).column(place).statistics
        if found is None or not found.has_min_max:
            return True
        return not (first and found.max < first[0]) and not (last and found.min > last[0])


def _within(keys: Sequence[np.ndarray], first: Key, last: Key, count: int) -> np.ndarray:
    """(row,) bool: the rows from `first` to `last`."""
    after, before = np.ones(count, bool), np.ones(count, bool)
    # From the last column to the first: what counts is the first one that differs.
    for key, least in reversed(list(zip(keys, first, strict=False))):
        after = (key > least) | ((key == least) & after)
    for key, most in reversed(list(zip(keys, last, strict=False))):
        before = (key < most) | ((key == most) & before)
    return np.asarray(after & before)

"""Rows of columns as CSV: numbers, texts, and empty cells for what is not known."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiosk.exports.writer import Table

AT_A_TIME_ROWS = 10_000


class RowFile:
    """A CSV file with a header line; point as decimal mark.

    Args:
        unknown: what stands for NaN.
    """

    def __init__(self, path: Path, columns: Sequence[str], unknown: str = "") -> None:
        self._columns, self._unknown = columns, unknown
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(columns)

    def add(self, table: Table) -> None:
        """Some rows: a value for every column."""
        columns = [table[name] for name in self._columns]
        # Texts take many times the room of numbers.
        for first in range(0, len(columns[0]), AT_A_TIME_ROWS):
            some = (column[first : first + AT_A_TIME_ROWS].tolist() for column in columns)
            texts = [[self._cell(value) for value in values] for values in some]
            self._rows.writerows(zip(*texts, strict=True))

    def close(self) -> None:
        self._file.close()

    def _cell(self, value: Any) -> str:
        """Texts as they are, whole numbers whole, others with eight digits."""
        if isinstance(value, str):
            return value
        if isinstance(value, float) and not value.is_integer():
            return f"{value:.8g}" if not math.isnan(value) else self._unknown
        return str(int(value))

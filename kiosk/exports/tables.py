"""The table of instances as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from kiosk.exports.writer import ResultImage, Table, Writer

AT_A_TIME_ROWS = 10_000


class CsvTable(Writer):
    """One row per instance; a header line; point as decimal mark."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(image.columns)

    def add_rows(self, table: Table) -> None:
        columns = [table[name] for name in self.image.columns]
        # Texts take many times the room of numbers.
        for first in range(0, len(table["label"]), AT_A_TIME_ROWS):
            some = (column[first : first + AT_A_TIME_ROWS].tolist() for column in columns)
            texts = [[_text(value) for value in values] for values in some]
            self._rows.writerows(zip(*texts, strict=True))

    def close(self) -> None:
        self._file.close()

    discard = close


def _text(value: float) -> str:
    """Whole numbers whole, whatever their size; others with eight digits."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.8g}"
    return str(int(value))

"""The table of instances as CSV."""

from __future__ import annotations

import csv
from pathlib import Path

from kiosk.exports.writer import ResultImage, Table, Writer


class CsvTable(Writer):
    """One row per instance; a header line; point as decimal mark."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._file)
        self._rows.writerow(image.columns)

    def add_rows(self, table: Table) -> None:
        texts = [[_text(value) for value in table[name].tolist()] for name in self.image.columns]
        self._rows.writerows(zip(*texts, strict=True))

    def close(self) -> None:
        self._file.close()

    discard = close


def _text(value: float) -> str:
    """Whole numbers whole, whatever their size; others with eight digits."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.8g}"
    return str(int(value))

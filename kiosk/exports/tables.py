"""The table of instances as CSV."""

from __future__ import annotations

from pathlib import Path

from kiosk.exports.row_file import RowFile
from kiosk.exports.writer import ResultImage, Table, Writer


class CsvTable(Writer):
    """One row per instance; a header line; point as decimal mark."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._file = RowFile(path, image.columns, unknown="nan")

    def add_rows(self, table: Table) -> None:
        self._file.add(table)

    def close(self) -> None:
        self._file.close()

    discard = close

"""The table of instances as Parquet, with the units and the meaning of each column in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage, Table, Writer
from kiosk.imaging.columns import describe_column

# Small tables are gathered: a group of rows per plane would make files of many planes slow.
GROUP_ROWS = 65_536


class ParquetTable(Writer):
    """int64 and float64 columns, zstd; metadata of columns: `unit` and `meaning`."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        from pyarrow import parquet

        self._schema = _schema(image)
        self._file = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Table] = []
        self._rows = 0

    def add_rows(self, table: Table) -> None:
        # Only what is written: the rest of the table may be let go.
        self._waiting.append({name: np.asarray(table[name]) for name in self.image.columns})
        self._rows += len(table["label"])
        if self._rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        import pyarrow

        columns = [
            pyarrow.array(
                np.concatenate([table[field.name] for table in self._waiting]).astype(
                    field.type.to_pandas_dtype()
                )
            )
            for field in self._schema
        ]
        self._file.write_table(pyarrow.Table.from_arrays(columns, schema=self._schema))
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        if self._waiting:
            self._write()
        self._file.close()

    def discard(self) -> None:
        self._file.close()


def _schema(image: ResultImage) -> Any:
    import pyarrow

    fields = []
    for name in image.columns:
        column = describe_column(name)
        kind = pyarrow.int64() if column.is_whole else pyarrow.float64()
        notes = {"unit": column.unit, "meaning": column.meaning}
        fields.append(pyarrow.field(name, kind, nullable=False, metadata=notes))
    return pyarrow.schema(fields, metadata=_metadata(image))


def _metadata(image: ResultImage) -> dict[str, str]:
    """About the whole table; all names begin with "kiosk."."""
    notes = dict(image.about or {})
    notes["image"] = image.stem
    notes["channels"] = ", ".join(image.channel_names)
    if image.pixel_size_um is not None:
        notes["pixel_size_y_um"], notes["pixel_size_x_um"] = map(str, image.pixel_size_um)
    if image.z_step_um:
        notes["z_step_um"] = str(image.z_step_um)
    if image.frame_interval_s:
        notes["frame_interval_s"] = str(image.frame_interval_s)
    return {f"kiosk.{name}": text for name, text in notes.items()}

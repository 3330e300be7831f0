"""The instances as AnnData (.h5ad) for scanpy, squidpy and the rest of scverse.

    X                 (instance, channel) mean intensities
    layers            the other intensities, e.g. median_intensity, alike
    obs               label, t, z, shape and all other columns
    var               channels by name
    obsm["spatial"]   centroids x, y (and z of volumes) in micrometres, or in pixels
    uns["kiosk"]      model, units of the columns, unit of "spatial", pixel size

Only whole tables can be written, so all rows are kept until the end: about 300 bytes per instance.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage, Table, Writer
from kiosk.imaging.columns import describe_column
from kiosk.imaging.measurements import INTENSITY_COLUMNS

IN_X = "mean_intensity"


class AnnDataFile(Writer):
    """One observation per instance, one variable per channel."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._tables: list[Table] = []

    def add_rows(self, table: Table) -> None:
        self._tables.append({name: np.asarray(table[name]) for name in self.image.columns})

    def close(self) -> None:
        import anndata

        table = self._joined()
        suffixes = [name[len(IN_X) :] for name in table if name.startswith(IN_X)]
        intensities = {
            base: [base + suffix for suffix in suffixes]
            for base in INTENSITY_COLUMNS
            if suffixes and all(base + suffix in table for suffix in suffixes)
        }
        in_layers = {name for names in intensities.values() for name in names}
        size = len(next(iter(table.values())))
        matrices = {
            base: np.stack([table[name].astype(np.float64) for name in names], axis=1)
            for base, names in intensities.items()
        }
        data = anndata.AnnData(
            X=matrices.pop(IN_X, np.zeros((size, 0))),
            obs=_observations(table, in_layers),
            var=_variables(self.image, suffixes),
            layers=matrices,
            obsm={"spatial": _spatial(table)[0]},
            uns={"kiosk": _notes(self.image, _spatial(table)[1])},
        )
        data.write_h5ad(self.path, compression="gzip")

    def _joined(self) -> dict[str, np.ndarray]:
        """All rows as one table; what was gathered is let go."""
        joined = {
            name: np.concatenate([table[name] for table in self._tables] or [np.zeros(0)])
            for name in self.image.columns
        }
        self._tables = []
        return {
            name: values.astype(np.int64 if describe_column(name).is_whole else np.float64)
            for name, values in joined.items()
        }


def _observations(table: Table, left_out: set[str]) -> Any:
    """One row per instance; named by time point, z and label as far as they are in the table."""
    import pandas

    parts = [table[name].astype(str) for name in ("t", "z", "label") if name in table]
    names = ["-".join(part) for part in zip(*(part.tolist() for part in parts), strict=True)]
    columns = {name: values for name, values in table.items() if name not in left_out}
    return pandas.DataFrame(columns, index=pandas.Index(names, dtype=str))


def _variables(image: ResultImage, suffixes: list[str]) -> Any:
    """One row per channel, named as in the image; names that come twice get a number."""
    import pandas

    names = list(image.channel_names)
    if len(names) != len(suffixes):
        names = [suffix.removeprefix("_") for suffix in suffixes]
    single = [
        name if names.count(name) == 1 else f"{name} {number}" for number, name in enumerate(names)
    ]
    return pandas.DataFrame(index=pandas.Index(single, dtype=str))


def _spatial(table: Table) -> tuple[np.ndarray, str]:
    """(instance, 2) x and y, or (instance, 3) with z where the table has it, and their unit."""
    unit = "um" if "x_um" in table and "y_um" in table else "px"
    axes = [axis for axis in "xyz" if f"{axis}_{unit}" in table]
    return np.stack([table[f"{axis}_{unit}"] for axis in axes], axis=1), unit


def _notes(image: ResultImage, spatial_unit: str) -> dict[str, Any]:
    notes: dict[str, Any] = {
        # A slash would be a level of its own in the file.
        **{name.replace("/", "_"): text for name, text in (image.about or {}).items()},
        "image": image.stem,
        "spatial_unit": spatial_unit,
        "units": {name: describe_column(name).unit for name in image.columns},
    }
    if image.pixel_size_um is not None:
        notes["pixel_size_um"] = np.array(image.pixel_size_um)  # y, x
    return notes

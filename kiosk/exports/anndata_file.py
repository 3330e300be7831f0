"""The instances as AnnData (.h5ad) for scanpy, squidpy and the rest of scverse.

    X                 (instance, channel) mean intensities
    layers            the other intensities, e.g. median_intensity, alike
    obs               label, t, z, shape and all other columns
    var               channels by name
    obsm["spatial"]   centroids x, y (and z of volumes) in micrometres, or in pixels
    uns["kiosk"]      model, units of the columns, unit of "spatial", pixel size

anndata writes whole tables only. It writes one without instances, which has everything but the
rows; these are appended as they come, so memory does not grow with the instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage, Table, Writer
from kiosk.imaging.columns import describe_column
from kiosk.imaging.measurements import INTENSITY_COLUMNS

IN_X = "mean_intensity"
# Small tables are gathered: every array is extended for each piece. A chunk of the file holds
# about so many numbers.
GROUP_ROWS = 32_768
CHUNK_VALUES = 16_384


class AnnDataFile(Writer):
    """One observation per instance, one variable per channel."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        self._waiting: list[Table] = []
        self._rows = 0
        self._file: Any = None

    def add_rows(self, table: Table) -> None:
        self._waiting.append({name: np.asarray(table[name]) for name in self.image.columns})
        self._rows += len(table["label"])
        if self._rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        """Append what waits."""
        data = _annotated(self.image, self._joined())
        if self._file is None:
            self._begin(data[:0].copy())
        for name, values in _arrays(data):
            stored = self._file[name]
            first = len(stored)
            stored.resize(first + len(values), axis=0)
            stored[first:] = values

    def _begin(self, empty: Any) -> None:
        """A file without instances whose arrays can be extended."""
        import h5py

        empty.write_h5ad(self.path)
        self._file = h5py.File(self.path, "r+")
        for name, _ in _arrays(empty):
            old = self._file[name]
            attributes, dtype, shape = dict(old.attrs), old.dtype, old.shape[1:]
            del self._file[name]
            # Without a channel there are no columns, but chunks cannot be empty.
            wide = tuple(max(1, length) for length in shape)
            rows = max(1, CHUNK_VALUES // int(np.prod(wide)))
            made = self._file.create_dataset(
                name,
                shape=(0, *shape),
                maxshape=(None, *(length or None for length in shape)),
                chunks=(rows, *wide),
                dtype=dtype,
                compression="gzip",
            )
            made.attrs.update(attributes)

    def close(self) -> None:
        if self._waiting or self._file is None:
            self._write()
        self._file.close()

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()

    def _joined(self) -> dict[str, np.ndarray]:
        """What waits as one table."""
        tables, self._waiting, self._rows = self._waiting, [], 0
        joined = {
            name: np.concatenate([table[name] for table in tables] or [np.zeros(0)])
            for name in self.image.columns
        }
        return {
            name: values.astype(np.int64 if describe_column(name).is_whole else np.float64)
            for name, values in joined.items()
        }


def _annotated(image: ResultImage, table: Table) -> Any:
    """Some of the instances as AnnData."""
    import anndata

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
    spatial, unit = _spatial(table)
    return anndata.AnnData(
        X=matrices.pop(IN_X, np.zeros((size, 0))),
        obs=_observations(table, in_layers),
        var=_variables(image, suffixes),
        layers=matrices,
        obsm={"spatial": spatial},
        uns={"kiosk": _notes(image, unit)},
    )


def _arrays(data: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Path in the file of everything that has an entry for each instance."""
    yield "X", data.X
    yield "obsm/spatial", data.obsm["spatial"]
    yield "obs/_index", data.obs_names.to_numpy(dtype=object)
    for name in data.layers:
        yield f"layers/{name}", data.layers[name]
    for name in data.obs.columns:
        yield f"obs/{name}", data.obs[name].to_numpy()


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

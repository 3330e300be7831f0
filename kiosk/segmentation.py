"""What goes into and comes out of a segmentation, as arrays: for the client library."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.errors import AlreadyExists, InvalidRequest, NotFound


@dataclass(frozen=True)
class Segmentation:
    """The results of one job, by file name in `files`."""

    job_id: str
    # Megabytes, which nobody wants to see in a notebook.
    files: Mapping[str, bytes] = field(repr=False)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} ({len(data):,} bytes)" for name, data in self.files.items())
        return f"<Segmentation of job {self.job_id}: {sizes}>"

    @cached_property
    def labels(self) -> np.ndarray:
        """Label image, uint16 or uint32: (y, x), with t and z in front where there are several."""
        import tifffile

        return np.asarray(tifffile.imread(io.BytesIO(self._file("_labels.tif"))))

    @cached_property
    def table(self) -> dict[str, np.ndarray]:
        """One array per column, one entry per instance; `pandas.DataFrame(table)` takes it."""
        rows = csv.DictReader(io.StringIO(self._file("_instances.csv").decode()))
        records = list(rows)
        return {
            name: np.array([_number(record[name]) for record in records])
            for name in rows.fieldnames or ()
        }

    @cached_property
    def run(self) -> dict[str, Any]:
        """How the results were made: model, version, parameters, software, timings."""
        return dict(json.loads(self._file("_run.json")))

    def save(self, directory: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write all files to a directory, which is made if needed.

        Raises AlreadyExists when one of the files is there and `overwrite` is not set.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in self.files]
        if not overwrite:
            check_free(paths)
        for path, data in zip(paths, self.files.values(), strict=True):
            path.write_bytes(data)
        return paths

    def _file(self, ending: str) -> bytes:
        for name, data in self.files.items():
            if name.endswith(ending):
                return data
        raise NotFound(
            f"The job '{self.job_id}' has no result that ends in '{ending}'; name its format when"
            " you ask for the segmentation."
        )


def check_free(paths: Sequence[Path]) -> None:
    """Raise AlreadyExists when one of the files is there."""
    for path in paths:
        if path.exists():
            raise AlreadyExists(
                f"'{path}' is there already. Choose another folder, or allow overwriting with"
                " overwrite=True.",
                reason="FILE_EXISTS",
            )


def as_tiff(array: np.ndarray, axes: str) -> bytes:
    """An array as the bytes of an OME-TIFF; axes as in `AsyncKiosk.segment`."""
    import tifffile

    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    axes = axes.upper() or {2: "YX", 3: "TYX", 4: "TZYX"}.get(array.ndim, "")
    if len(axes) != array.ndim or not set(axes) <= set("TCZYXS") or "YX" not in axes:
        raise InvalidRequest(
            f"An array with the shape {array.shape} needs axes like 'TYX' (letters of TCZYXS, one"
            f" per axis), not '{axes}'.",
            reason="BAD_AXES",
        )
    rgb = axes.endswith("S")
    with io.BytesIO() as file:
        tifffile.imwrite(
            file,
            array,
            ome=True,
            metadata={"axes": axes},
            photometric="rgb" if rgb else "minisblack",
            bigtiff=array.nbytes > 2**32 - 2**25,
        )
        return file.getvalue()


def _number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        return float(text)

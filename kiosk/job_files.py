"""The result files of a job, in memory: for the client library."""

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

from kiosk.ctc_folder import folder_of, is_ctc_zip, unpack
from kiosk.errors import AlreadyExists, NotFound


@dataclass(frozen=True)
class JobFiles:
    """The results of one job, by file name in `files`."""

    job_id: str
    # Megabytes, which nobody wants to see in a notebook.
    files: Mapping[str, bytes] = field(repr=False)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} ({len(data):,} bytes)" for name, data in self.files.items())
        return f"<{type(self).__name__} of job {self.job_id}: {sizes}>"

    @cached_property
    def labels(self) -> np.ndarray:
        """Label image, uint16 or uint32: (y, x), with t and z in front where there are several."""
        import tifffile

        return np.asarray(tifffile.imread(io.BytesIO(self._file("_labels.tif"))))

    @cached_property
    def run(self) -> dict[str, Any]:
        """How the results were made: model, version, parameters, software, timings."""
        return dict(json.loads(self._file("_run.json")))

    def save(self, directory: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write all files to a directory, which is made if needed.

        NAME_RES.zip becomes the folder NAME_RES.

        Raises AlreadyExists when one of the files is there and `overwrite` is not set.
        """
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in self.files]
        if not overwrite:
            check_free(paths)
        for path, data in zip(paths, self.files.values(), strict=True):
            path.write_bytes(data)
        return [unpack(path) if is_ctc_zip(path) else path for path in paths]

    def _table(self, ending: str) -> dict[str, np.ndarray]:
        """A CSV file: one array per column."""
        rows = csv.DictReader(io.StringIO(self._file(ending).decode()))
        records = list(rows)
        return {
            name: np.array([_value(record[name]) for record in records])
            for name in rows.fieldnames or ()
        }

    def _file(self, ending: str) -> bytes:
        for name, data in self.files.items():
            if name.endswith(ending):
                return data
        raise NotFound(
            f"The job '{self.job_id}' has no result that ends in '{ending}'; name its format when"
            " you ask for the job."
        )


def check_free(paths: Sequence[Path]) -> None:
    """Raise AlreadyExists when one of the files is there."""
    for path in [folder_of(path) if is_ctc_zip(path) else path for path in paths]:
        if path.exists():
            raise AlreadyExists(
                f"'{path}' is there already. Choose another folder, or allow overwriting with"
                " overwrite=True.",
                reason="FILE_EXISTS",
            )


def _value(text: str) -> float | int | str:
    """A number where it is one; NaN for an empty cell."""
    if not text:
        return float("nan")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

"""The rows of one plane in a job's table of instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kiosk.exports.tracks.tables import TRACK_COLUMNS
from kiosk.figures.job_tables import instance_rows
from kiosk.figures.stored_rows import StoredRows, row_order
from kiosk.imaging.columns import describe_column
from kiosk.jobs import Job
from kiosk.ports import ObjectStore

# More rows than this nobody scrolls through; with all columns they are about 8 MB of JSON.
MOST_ROWS = 20_000
# Number of a track, in the table of tracks and as the label of the tracked label image.
TRACK_ID, TRACK = "track_id", "track"


@dataclass(frozen=True)
class DescribedColumn:
    """A column with its unit ("" = none) and what it holds."""

    name: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class InstanceTable:
    """Instances of a plane, a stack or a frame.

    Attributes:
        columns: the label first; those that say which plane it is are left out.
        values: (row,) float64 per column, NaN where nothing is known.
        truncated: there are more rows.
    """

    columns: Sequence[DescribedColumn]
    values: Sequence[np.ndarray]
    truncated: bool


def read_instances(
    store: ObjectStore, job: Job, t: int, z: int | None, label: int | None
) -> InstanceTable:
    """The instances of a plane, in the order of the table; for use in a thread.

    Args:
        z: of a stack in 3-D only those whose box reaches over this plane; None = all of a stack,
            and the first of the planes of other images.
        label: only this one.

    Raises:
        NotFound: the job has no table (NO_TABLE).
    """
    with instance_rows(store, job) as rows:
        names, values = _read(rows, t, z, label)
    described = [_described(name) for name in names]
    truncated = len(values[0]) > MOST_ROWS
    return InstanceTable(described, [column[:MOST_ROWS] for column in values], truncated)


def _read(
    rows: StoredRows, t: int, z: int | None, label: int | None
) -> tuple[list[str], list[np.ndarray]]:
    """Names of the columns and their values, of one row too many where there are more."""
    order = row_order(rows.columns)
    place = (t, z or 0)[: len(order)]
    number = TRACK_ID if TRACK_ID in rows.columns else "label"
    names = [number, *(n for n in rows.columns if n not in (*order, "label", TRACK_ID))]
    pieces: list[Mapping[str, np.ndarray]] = []
    count = 0
    for table in rows.read(names, place, place):
        kept = np.ones(len(table[number]), bool)
        if label is not None:
            kept &= table[number] == label
        if z is not None and "min_z_px" in names:
            kept &= (table["min_z_px"] <= z) & (z < table["max_z_px"])
        pieces.append({name: column[kept] for name, column in table.items()})
        count += int(kept.sum())
        if count > MOST_ROWS or (count and label is not None):
            break
    nothing = np.zeros(0)
    return names, [np.concatenate([nothing, *(p[name] for p in pieces)]) for name in names]


def _described(name: str) -> DescribedColumn:
    """What the writers of tables say about a column."""
    column = describe_column(name)
    meaning = column.meaning or TRACK_COLUMNS.get(name, "")
    return DescribedColumn(TRACK if name == TRACK_ID else name, column.unit, meaning)

"""What the plots of a job show: instances per plane, and how sizes and such are distributed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.errors import NotFound
from kiosk.figures.histograms import Histogram, histogram
from kiosk.figures.job_tables import instance_rows, run_record, track_rows
from kiosk.figures.stored_rows import StoredRows, row_order
from kiosk.imaging.columns import describe_column
from kiosk.imaging.measurements import INTENSITY_COLUMNS
from kiosk.imaging.track_summary import SPEED_COLUMNS
from kiosk.jobs import Job
from kiosk.ports import ObjectStore

# Values in memory at a time, 8 bytes each: of two million cells the size and the first channels.
MOST_VALUES = 16_000_000
# More channels nobody looks at side by side.
MOST_CHANNELS = 16
# More planes are left out of the answer: 4 MB of JSON.
MOST_PLANES = 100_000
# Of each list the first that there is: micrometres where the pixel size is known.
_SIZES = ("volume_um3", "volume_px", "area_um2", "area_px")
_SPEEDS = (*SPEED_COLUMNS, "mean_speed_px_per_frame")
_MEAN = next(iter(INTENSITY_COLUMNS))
_TITLES = {
    **dict.fromkeys(_SIZES[:2], "Volume"),
    **dict.fromkeys(_SIZES[2:], "Area"),
    **dict.fromkeys(_SPEEDS, "Mean speed of tracks"),
}


@dataclass(frozen=True)
class PlaneCounts:
    """Instances per plane.

    Attributes:
        t, z, instances: (plane,) int64; z is -1 where instances are of a whole stack.
    """

    t: np.ndarray
    z: np.ndarray
    instances: np.ndarray


@dataclass(frozen=True)
class ColumnHistogram:
    """How the values of a column are distributed."""

    column: str
    title: str
    unit: str
    values: Histogram


@dataclass(frozen=True)
class Statistics:
    """What the plots of a job show.

    Attributes:
        left_out: channels for which there was no room.
        truncated: there are more planes.
    """

    planes: PlaneCounts
    histograms: Sequence[ColumnHistogram]
    left_out: Sequence[str]
    truncated: bool


def read_statistics(store: ObjectStore, job: Job) -> Statistics:
    """Go once through the table of a job; for use in a thread.

    Raises:
        NotFound: the job has no table (NO_TABLE).
    """
    record = run_record(store, job)
    with instance_rows(store, job) as rows:
        shown, left_out = _shown_columns(rows.columns, int(record["instances"]))
        places = _places(record, rows)
        counts = np.zeros(len(places), np.int64)
        values = _gathered(rows, shown, places, counts)
    histograms = [_column_histogram(name, values[name]) for name in shown]
    histograms += [_speeds(store, job)] if job.pipeline == "tracking" else []
    t, z = places[:MOST_PLANES].T
    return Statistics(
        PlaneCounts(t, z, counts[:MOST_PLANES]),
        [item for item in histograms if item is not None],
        left_out,
        len(places) > MOST_PLANES,
    )


def _shown_columns(columns: Sequence[str], instances: int) -> tuple[list[str], list[str]]:
    """The columns of which there will be a histogram, and those for which there is no room."""
    sizes = [name for name in _SIZES if name in columns][:1]
    means = [name for name in columns if name == _MEAN or name.startswith(f"{_MEAN}_")]
    room = MOST_VALUES // max(1, instances) - len(sizes)
    shown = means[: max(0, min(room, MOST_CHANNELS))]
    return [*sizes, *shown], means[len(shown) :]


def _places(record: Mapping[str, Any], rows: StoredRows) -> np.ndarray:
    """(plane, 2) int64: t and z of the planes of a job, ascending; z is -1 for whole stacks."""
    listed = record.get("planes")
    if listed is not None:
        places = np.array([(item["t"], item["z"]) for item in listed], np.int64).reshape(-1, 2)
    else:
        places = np.stack([np.arange(record["frames"]), np.zeros(record["frames"], np.int64)], 1)
    if "z_px" in rows.columns:
        places = np.unique(places[:, 0])[:, None] * (1, 0) + (0, -1)
    return places


def _gathered(
    rows: StoredRows, shown: Sequence[str], places: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    """The values of some columns; adds up the instances of each place on the way."""
    order = row_order(rows.columns)
    depth = int(places[:, 1].max(initial=0)) + 1
    numbers = places[:, 0] * depth + np.maximum(places[:, 1], 0)
    pieces: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] for name in shown}
    for table in rows.read([*order, *shown]):
        z = table["z"] if "z" in order else 0
        here = (table[order[0]] * depth + z).astype(np.int64)
        counts += np.bincount(np.searchsorted(numbers, here), minlength=len(counts))[: len(counts)]
        for name in shown:
            pieces[name].append(table[name])
    return {name: np.concatenate(pieces.pop(name)) for name in shown}


def _column_histogram(name: str, values: np.ndarray) -> ColumnHistogram | None:
    found = histogram(values)
    if found is None:
        return None
    column = describe_column(name)
    # "mean grey value, DAPI" for a channel of several.
    title = _TITLES.get(name) or column.meaning[:1].upper() + column.meaning[1:]
    return ColumnHistogram(name, title, column.unit, found)


def _speeds(store: ObjectStore, job: Job) -> ColumnHistogram | None:
    """Speeds of the tracks; None where the job has no summary of them, or nothing moves on."""
    try:
        with track_rows(store, job, "track-summary") as rows:
            name = next(name for name in _SPEEDS if name in rows.columns)
            values = [table[name] for table in rows.read([name])]
    except NotFound:
        return None
    return _column_histogram(name, np.concatenate([np.zeros(0), *values]))

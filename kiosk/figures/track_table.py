"""Tracks of a job: who is whose daughter, and the ways that the cells have come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kiosk.errors import NotFound, TooLarge
from kiosk.exports.writer import Table
from kiosk.figures.instance_table import TRACK_ID
from kiosk.figures.job_tables import track_rows
from kiosk.jobs import Job
from kiosk.ports import ObjectStore

# Tails of more cells cannot be told apart on a screen; as JSON they are about 6 MB.
MOST_POINTS = 200_000
# A tree of more tracks nobody reads; as JSON it is about 11 MB.
MOST_TRACKS = 200_000
_SUMMARY = (TRACK_ID, "parent_id", "first_frame", "last_frame")
_POINT = (TRACK_ID, "frame", "y_px", "x_px")


@dataclass(frozen=True)
class Family:
    """Tracks and their mothers: (track,) int64 each, ascending by track; parent 0 = none."""

    track: np.ndarray
    parent: np.ndarray
    first_t: np.ndarray
    last_t: np.ndarray


@dataclass(frozen=True)
class Ways:
    """Where cells are: (point,) each, ascending by track, then t; centroids in pixels.

    track and t are int64, y_px and x_px float64.
    """

    track: np.ndarray
    t: np.ndarray
    y_px: np.ndarray
    x_px: np.ndarray


def read_lineage(store: ObjectStore, job: Job) -> Family:
    """All tracks of a job; for use in a thread.

    Raises:
        NotFound: it has no table of tracks (NO_TRACKS).
        TooLarge: there are too many to draw.
    """
    try:
        with track_rows(store, job, "track-summary") as rows:
            columns = _columns(rows.read(_SUMMARY), _SUMMARY, MOST_TRACKS)
        found = columns.astype(np.int64)
    except NotFound:
        found = _from_points(store, job)
    if found.shape[1] > MOST_TRACKS:
        raise TooLarge(
            f"This job has more than {MOST_TRACKS:,} tracks, too many to draw. Download"
            " its table of tracks.",
            reason="TOO_MANY_TRACKS",
        )
    return Family(*found[:, np.argsort(found[0])])


def read_tracks(store: ObjectStore, job: Job, first_t: int, last_t: int | None) -> Ways:
    """The ways of the cells from one frame to another; for use in a thread.

    Args:
        first_t, last_t: frames, both included; None = to the end.

    Raises:
        NotFound: the job has no table of tracks (NO_TRACKS).
        TooLarge: there are too many cells in so many frames.
    """
    with track_rows(store, job, "tracks") as rows:
        last = () if last_t is None else (last_t,)
        found = _columns(rows.read(_POINT, (first_t,), last), _POINT, MOST_POINTS)
    if found.shape[1] > MOST_POINTS:
        raise TooLarge(
            f"There are more than {MOST_POINTS:,} cells in these frames. Ask for fewer frames at a"
            " time, with first_t and last_t.",
            reason="TOO_MANY_POINTS",
        )
    track, t, y, x = found[:, np.lexsort((found[1], found[0]))]
    return Ways(track.astype(np.int64), t.astype(np.int64), y, x)


def _from_points(store: ObjectStore, job: Job) -> np.ndarray:
    """(4, track) int64: as the summary has them, where only the table of points is there."""
    names = (TRACK_ID, "parent_id", "frame", "frame")
    pieces = [np.zeros((4, 0), np.int64)]
    with track_rows(store, job, "tracks") as rows:
        for table in rows.read(names[:3]):
            pieces.append(_spans(np.stack([table[name] for name in names]).astype(np.int64)))
    return _spans(np.concatenate(pieces, axis=1))


def _spans(lines: np.ndarray) -> np.ndarray:
    """(4, track): of each track the mother, the earliest first and the latest last frame."""
    track, begin, place = np.unique(lines[0], return_index=True, return_inverse=True)
    first, last = lines[2, begin].copy(), lines[3, begin].copy()
    np.minimum.at(first, place, lines[2])
    np.maximum.at(last, place, lines[3])
    return np.stack([track, lines[1, begin], first, last])


def _columns(tables: Iterable[Table], names: Sequence[str], most: int) -> np.ndarray:
    """(column, row) float64: the rows of all tables, or some more than `most` of them."""
    pieces = [np.zeros((len(names), 0))]
    count = 0
    for table in tables:
        pieces.append(np.stack([table[name] for name in names]))
        count += pieces[-1].shape[1]
        if count > most:
            break
    return np.concatenate(pieces, axis=1)

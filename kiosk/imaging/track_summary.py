"""One row per track: how long it lives, how it moves, how it begins and ends."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiosk.imaging.lineage import MOST_DAUGHTERS, Lineage
from kiosk.imaging.track_motion import TrackMotion

S_PER_H = 3600.0

# What each column of the summary means; the order is that of the file.
SUMMARY_COLUMNS: Mapping[str, str] = {
    "track_id": "number of the track",
    "parent_id": "the mother's track, or 0",
    "root_id": "first track of the family: the oldest known ancestor",
    "generation": "divisions since the first ancestor",
    "daughter_1_id": "first daughter's track, or 0",
    "daughter_2_id": "second daughter's track, or 0",
    "first_frame": "first frame of the track, counted from 0",
    "last_frame": "last frame of the track",
    "frames": "frames from the first to the last, both included",
    "missing_frames": "frames in between in which the cell was not found",
    "start_reason": "why the track begins",
    "end_reason": "why the track ends",
    "divides": "1 if the track ends in a division",
    "division_frame": "last frame before the division; empty without one",
    "mean_area_px": "mean area, or volume in 3-D, in pixels",
    "start_y_px": "y of the first position",
    "start_x_px": "x of the first position",
    "end_y_px": "y of the last position",
    "end_x_px": "x of the last position",
    "path_length_px": "length of the way through all positions",
    "displacement_px": "straight distance from the first to the last position",
    "straightness": "displacement divided by path length: 1 for a straight way",
    "mean_speed_px_per_frame": "path length divided by the frames it took",
    "mean_confidence": "mean confidence of the links of the track, 0 to 1",
    "lowest_confidence": "lowest confidence among the links of the track",
}
TIME_COLUMNS: Mapping[str, str] = {
    "start_s": "time of the first frame",
    "duration_s": "time from the first frame to the last",
    "division_s": "time of the last frame before the division; empty without one",
}
MICROMETRE_COLUMNS: Mapping[str, str] = {
    "path_length_um": "length of the way in micrometres",
    "displacement_um": "straight distance in micrometres",
}
SPEED_COLUMNS: Mapping[str, str] = {
    "mean_speed_um_per_h": "path length in micrometres divided by the hours it took",
}
START_REASONS: Mapping[str, str] = {
    "first frame": "there from the beginning of the movie",
    "division": "a daughter",
    "continuation": "the only daughter of its mother",
    "border": "its first outline touches the border: it came in",
    "appeared": "found inside of the image for the first time",
}
END_REASONS: Mapping[str, str] = {
    "last frame": "there to the end of the movie",
    "division": "it divides",
    "continuation": "it has one daughter only",
    "border": "its last outline touches the border: it went out",
    "lost": "not found any more inside of the image: dead, missed or merged",
}


def summarise(
    lineage: Lineage,
    motion: TrackMotion,
    *,
    frames: int,
    motion_um: TrackMotion | None = None,
    frame_interval_s: float | None = None,
) -> dict[str, np.ndarray]:
    """The columns of the summary, by name, (track,) each; texts as objects.

    Args:
        motion, motion_um: what the frames have added up to, in pixels and, where the pixel size
            is known, in micrometres.
        frames: frames of the movie.
        frame_interval_s: seconds between frames, where known.
    """
    steps = lineage.last_frame - lineage.first_frame
    counts = lineage.daughter_counts()
    daughters = _daughters(lineage)
    divides = counts >= MOST_DAUGHTERS
    division_frame = np.where(divides, lineage.last_frame, np.nan)
    start, end = motion.start[:, -2:], motion.end[:, -2:]
    columns: dict[str, np.ndarray] = {
        "track_id": lineage.track_id,
        "parent_id": lineage.parent_id,
        "root_id": lineage.root_id,
        "generation": lineage.generation,
        "daughter_1_id": daughters[:, 0],
        "daughter_2_id": daughters[:, 1],
        "first_frame": lineage.first_frame,
        "last_frame": lineage.last_frame,
        "frames": steps + 1,
        "missing_frames": steps + 1 - motion.instances,
        "start_reason": _start_reasons(lineage, motion, counts),
        "end_reason": _end_reasons(lineage, motion, counts, frames),
        "divides": divides.astype(np.int64),
        "division_frame": division_frame,
        "mean_area_px": _divided(motion.area_sum, motion.instances),
        "start_y_px": start[:, 0],
        "start_x_px": start[:, 1],
        "end_y_px": end[:, 0],
        "end_x_px": end[:, 1],
        "path_length_px": motion.path,
        "displacement_px": motion.displacement,
        "straightness": _divided(motion.displacement, motion.path),
        "mean_speed_px_per_frame": _divided(motion.path, steps),
        **_confidences(lineage),
    }
    if frame_interval_s is not None:
        columns["start_s"] = lineage.first_frame * frame_interval_s
        columns["duration_s"] = steps * frame_interval_s
        columns["division_s"] = division_frame * frame_interval_s
    if motion_um is not None:
        columns["path_length_um"] = motion_um.path
        columns["displacement_um"] = motion_um.displacement
        if frame_interval_s is not None:
            hours = steps * frame_interval_s / S_PER_H
            columns["mean_speed_um_per_h"] = _divided(motion_um.path, hours)
    return columns


def _daughters(lineage: Lineage) -> np.ndarray:
    """(track, 2) int64 numbers of the first two daughters, or 0."""
    found = np.zeros((len(lineage.track_id), MOST_DAUGHTERS), np.int64)
    place = {track: row for row, track in enumerate(lineage.track_id.tolist())}
    for mother, children in lineage.daughters().items():
        if mother in place:
            some = children[:MOST_DAUGHTERS]
            found[place[mother], : len(some)] = some
    return found


def _start_reasons(lineage: Lineage, motion: TrackMotion, counts: np.ndarray) -> np.ndarray:
    known = lineage.has_mother
    sisters = np.zeros(len(counts), np.int64)
    sisters[known] = counts[lineage.rows_of(lineage.parent_id[known])]
    return np.select(
        [sisters > 1, sisters == 1, lineage.first_frame == 0, motion.touches_border_first],
        [_text("division"), _text("continuation"), _text("first frame"), _text("border")],
        _text("appeared"),
    )


def _end_reasons(
    lineage: Lineage, motion: TrackMotion, counts: np.ndarray, frames: int
) -> np.ndarray:
    return np.select(
        [counts > 1, counts == 1, lineage.last_frame == frames - 1, motion.touches_border_last],
        [_text("division"), _text("continuation"), _text("last frame"), _text("border")],
        _text("lost"),
    )


def _confidences(lineage: Lineage) -> dict[str, np.ndarray]:
    known = ~np.isnan(lineage.confidence)
    rows, values = lineage.rows_of(lineage.track[known]), lineage.confidence[known]
    count = len(lineage.track_id)
    sums = np.bincount(rows, values, minlength=count)
    lowest = np.full(count, np.nan)
    np.fmin.at(lowest, rows, values)
    links = np.bincount(rows, minlength=count)
    return {"mean_confidence": _divided(sums, links), "lowest_confidence": lowest}


def _divided(value: np.ndarray, by: np.ndarray) -> np.ndarray:
    """The quotient; NaN where the divisor is 0."""
    by = np.asarray(by, np.float64)
    return np.divide(value, by, out=np.full(len(by), np.nan), where=by != 0)


def _text(text: str) -> np.ndarray:
    return np.array(text, object)

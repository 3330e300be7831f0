"""Tables of a tracked movie as CSV: every cell in every frame, every track, doubtful links."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kiosk.exports.row_file import RowFile
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.doubtful_links import doubtful_links
from kiosk.imaging.lineage import Lineage
from kiosk.imaging.track_motion import TrackMotion
from kiosk.imaging.track_summary import summarise

TRACK_COLUMNS = {
    "track_id": "number of the track: the same cell has the same number in all frames",
    "frame": "counted from 0",
    "time_s": "frame times frame interval; only where the interval is known",
    "label": "number of the cell in this frame of the tracked label image",
    "parent_id": "track of the mother, or 0",
    "root_id": "first track of the family: the oldest known ancestor",
    "generation": "divisions since the first ancestor",
    "link_confidence": "how sure the link from the frame before is, 0 to 1; empty without one",
}
DOUBTFUL_COLUMNS = {
    "confidence": "how sure the link is, 0 to 1; the most doubtful link comes first",
    "reason": "what is linked: the same cell or a division, and over how many frames without it",
    "from_frame": "frame of the earlier cell",
    "from_track_id": "its track",
    "from_y_px": "its centroid",
    "from_x_px": "its centroid",
    "to_frame": "frame of the later cell",
    "to_track_id": "its track",
    "to_y_px": "its centroid",
    "to_x_px": "its centroid",
}
# More than this nobody looks at.
MOST_LINKS = 10_000
# What the table of instances has and the table of tracks says in its own words.
_REPLACED = ("t", "z", "label", "track_id")
_CONFIDENCE_DECIMALS = 4


class TracksCsv(TrackWriter):
    """One row per cell and frame, in the order of frames: track, family, then what was measured."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        interval_s = image.frame_interval_s
        own = [name for name in TRACK_COLUMNS if name != "time_s" or interval_s is not None]
        measured = [name for name in image.columns if name not in _REPLACED]
        self._file = RowFile(path, own + measured)

    def add_frame(self, frame: TrackedFrame) -> None:
        lineage, track = self.lineage, np.asarray(frame.table["track_id"], np.int64)
        rows = lineage.rows_of(track)
        confidence = lineage.confidence[frame.instances_in(lineage)].astype(np.float64)
        own = {
            "track_id": track,
            "frame": np.full(len(track), frame.t),
            "time_s": np.full(len(track), frame.t * (self.image.frame_interval_s or 0.0)),
            "label": track,
            "parent_id": lineage.parent_id[rows],
            "root_id": lineage.root_id[rows],
            "generation": lineage.generation[rows],
            "link_confidence": confidence.round(_CONFIDENCE_DECIMALS),
        }
        self._file.add({**frame.table, **own})

    def close(self) -> None:
        self._file.close()

    discard = close


class TrackSummaryCsv(TrackWriter):
    """One row per track."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        steps_um = _steps_um(image)
        self._motion = TrackMotion(lineage, _steps_px(steps_um, image.is_volume))
        self._motion_um = TrackMotion(lineage, steps_um) if steps_um else None

    def add_frame(self, frame: TrackedFrame) -> None:
        table = frame.table
        area = table["volume_px"] if "volume_px" in table else table["area_px"]
        columns = (table["track_id"], frame.positions(), area, table["touches_border"])
        for motion in (self._motion, self._motion_um):
            if motion is not None:
                motion.add_frame(*columns)

    def close(self) -> None:
        columns = summarise(
            self.lineage,
            self._motion,
            motion_um=self._motion_um,
            frames=self.image.sizes["t"],
            frame_interval_s=self.image.frame_interval_s,
        )
        for name in ("mean_confidence", "lowest_confidence"):
            columns[name] = columns[name].round(_CONFIDENCE_DECIMALS)
        file = RowFile(self.path, list(columns))
        file.add(columns)
        file.close()


class DoubtfulLinksCsv(TrackWriter):
    """One row per link with a low confidence, the most doubtful first; as many as one may read."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        self._links = doubtful_links(lineage, most=MOST_LINKS)
        # Positions are kept of those instances only that are at an end of such a link.
        self._ends = np.unique(np.concatenate([self._links.source, self._links.target]))
        self._places = np.full((len(self._ends), 2), np.nan)

    def add_frame(self, frame: TrackedFrame) -> None:
        instances = frame.instances_in(self.lineage)
        wanted = np.isin(instances, self._ends)
        rows = np.searchsorted(self._ends, instances[wanted])
        self._places[rows] = frame.positions()[wanted, -2:]

    def close(self) -> None:
        links, lineage = self._links, self.lineage
        columns: dict[str, np.ndarray] = {
            "confidence": links.confidence.astype(np.float64).round(_CONFIDENCE_DECIMALS),
            "reason": np.array(links.reasons(), object),
        }
        for end, instances in (("from", links.source), ("to", links.target)):
            places = self._places[np.searchsorted(self._ends, instances)]
            columns[f"{end}_frame"] = lineage.frame[instances]
            columns[f"{end}_track_id"] = lineage.track[instances]
            columns[f"{end}_y_px"], columns[f"{end}_x_px"] = places[:, 0], places[:, 1]
        file = RowFile(self.path, list(DOUBTFUL_COLUMNS))
        file.add(columns)
        file.close()


def _steps_um(image: ResultImage) -> tuple[float, ...] | None:
    """Micrometres per pixel along the axes of positions, where all are known."""
    if image.pixel_size_um is None:
        return None
    if not image.is_volume:
        return image.pixel_size_um
    return (image.z_step_um, *image.pixel_size_um) if image.z_step_um else None


def _steps_px(steps_um: tuple[float, ...] | None, is_volume: bool) -> tuple[float, ...]:
    """Pixels per pixel: along z a step is as many pixels of the plane as it is long."""
    if not is_volume:
        return (1.0, 1.0)
    return (steps_um[0] / steps_um[1], 1.0, 1.0) if steps_um else (1.0, 1.0, 1.0)

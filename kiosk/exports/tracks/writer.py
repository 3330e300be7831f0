"""What the result files of a tracked movie are made from, and the shape of their writers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kiosk.exports.writer import LabelPlane, ResultImage, Table
from kiosk.imaging.lineage import Lineage


@dataclass(frozen=True, kw_only=True)
class TrackedFrame:
    """One finished frame of a tracked movie.

    Attributes:
        t: counted from 0.
        planes: one for each z; their labels are numbers of tracks.
        table: the rows of the frame: the columns of `ResultImage.columns`, and `track_id`.
    """

    t: int
    planes: Sequence[LabelPlane]
    table: Table

    def instances_in(self, lineage: Lineage) -> np.ndarray:
        """(row,) int64: for each row of the table its position in the instances of the lineage.

        Raises:
            ValueError: a row's track is not in this frame of the lineage.
        """
        here = lineage.instances_of(self.t)
        tracks, wanted = lineage.track[here], np.asarray(self.table["track_id"], np.int64)
        order = np.argsort(tracks)
        places = np.minimum(np.searchsorted(tracks[order], wanted), max(0, len(tracks) - 1))
        if len(wanted) and (not len(tracks) or np.any(tracks[order[places]] != wanted)):
            raise ValueError(f"frame {self.t} has rows of tracks that are not in its lineage")
        return here.start + order[places] if len(wanted) else np.zeros(0, np.int64)

    def positions(self) -> np.ndarray:
        """(row, axis) float64 centroids in pixels: z, y, x for volumes, else y, x."""
        names = [name for name in ("z_px", "y_px", "x_px") if name in self.table]
        return np.stack([np.asarray(self.table[name], np.float64) for name in names], axis=1)


class TrackWriter:
    """One result file of a tracked movie being written; runs in a thread.

    Every frame comes once, in order, also those without instances. Memory must not grow with the
    frames beyond a few bytes per instance.
    """

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        """Raises InvalidRequest when the movie does not fit the format."""
        self.path, self.image, self.lineage = path, image, lineage

    def add_frame(self, frame: TrackedFrame) -> None:
        """The next frame."""

    def close(self) -> None:
        """Write what is left; the file is complete afterwards."""

    def discard(self) -> None:
        """Let go of open files after an error; what was written is thrown away."""

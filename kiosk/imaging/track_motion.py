"""How the cells of a movie move: path, displacement and speed of every track, frame by frame."""

from __future__ import annotations

import numpy as np

from kiosk.imaging.lineage import Lineage


class TrackMotion:
    """Sums over the frames seen so far, one value per track; frames come in order.

    Args:
        lineage: the tracks.
        step: (axis,) size of a pixel along each axis of the positions, in the unit that lengths
            are wanted in; all 1 for pixels.

    Attributes:
        path: (track,) float64 length of the way through all positions, over gaps straight.
        start, end: (track, axis) float64 first and last position, in pixels; NaN before it is seen.
        touches_border_first, touches_border_last: (track,) bool, of the first and last instance.
        area_sum: (track,) float64 sum of the areas (volumes) in pixels.
        instances: (track,) int64 frames that the track was seen in.
    """

    def __init__(self, lineage: Lineage, step: tuple[float, ...] = (1.0, 1.0)) -> None:
        count, axes = len(lineage.track_id), len(step)
        self._lineage, self._step = lineage, np.array(step)
        self.path = np.zeros(count)
        self.area_sum = np.zeros(count)
        self.start = np.full((count, axes), np.nan)
        self.end = np.full((count, axes), np.nan)
        self.instances = np.zeros(count, np.int64)
        self.touches_border_first = np.zeros(count, bool)
        self.touches_border_last = np.zeros(count, bool)

    def add_frame(
        self, track: np.ndarray, place: np.ndarray, area: np.ndarray, touches_border: np.ndarray
    ) -> None:
        """The instances of the next frame.

        Args:
            track: (instance,) numbers of tracks, each once.
            place: (instance, axis) centroids in pixels.
            area: (instance,) in pixels.
            touches_border: (instance,) whether it touches the border of the image.
        """
        rows = self._lineage.rows_of(track)
        is_new = self.instances[rows] == 0
        moved = np.linalg.norm((place - self.end[rows]) * self._step, axis=1)
        self.path[rows] += np.where(is_new, 0.0, moved)
        self.start[rows[is_new]] = place[is_new]
        self.touches_border_first[rows[is_new]] = touches_border[is_new] != 0
        self.end[rows] = place
        self.touches_border_last[rows] = touches_border != 0
        self.area_sum[rows] += area
        self.instances[rows] += 1

    @property
    def displacement(self) -> np.ndarray:
        """(track,) float64 straight distance from the first to the last position."""
        return np.linalg.norm((self.end - self.start) * self._step, axis=1)

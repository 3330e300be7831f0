"""A picture for people: the last frame, and the way that its cells have come."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from kiosk.exports.tracks.tracked_plane import replaced
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.doubtful_links import previous_instances
from kiosk.imaging.lineage import Lineage
from kiosk.imaging.rendering import display_plane, encode_jpeg
from kiosk.imaging.tails import draw_tails, enlarged

PICTURE_PX = 1600
# Pictures of small images are enlarged to about this side: a line needs room.
SMALLEST_PX = 800
TAIL_FRAMES = 20


class TailsPicture(TrackWriter):
    """The plane in the middle of the last frame as JPEG; tails reach back over some frames."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        self._recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=TAIL_FRAMES + 1)

    def add_frame(self, frame: TrackedFrame) -> None:
        instances = frame.instances_in(self.lineage)
        order = np.argsort(instances)
        places = frame.positions()[order, -2:] if len(order) else np.zeros((0, 2))
        self._recent.append((instances[order], places))
        if frame.t == self.image.sizes["t"] - 1:
            self.path.write_bytes(encode_jpeg(self._draw(frame)))

    def _draw(self, frame: TrackedFrame) -> np.ndarray:
        plane = frame.planes[len(frame.planes) // 2]
        picture = display_plane(plane.small_pixels(self.image.channels, PICTURE_PX), PICTURE_PX)
        factor = max(1, round(SMALLEST_PX / max(picture.shape[:2])))
        # Tracks may have any numbers; their places in the lineage make a short table.
        tracks = self.lineage.track_id
        places = replaced(plane.small_labels(PICTURE_PX), tracks, np.arange(1, len(tracks) + 1))
        labels = enlarged(places, factor)
        families = np.append(0, self.lineage.root_id)
        scale = labels.shape[0] / plane.shape[0]
        tails, tail_families = self._tails()
        points = (tails + 0.5) * scale - 0.5
        return draw_tails(enlarged(picture, factor), labels, families, points, tail_families)

    def _tails(self) -> tuple[np.ndarray, np.ndarray]:
        """((line, 2, 2) from and to in pixels of the plane, (line,) family), the oldest first."""
        instances = np.concatenate([found for found, _ in self._recent])
        places = np.concatenate([place for _, place in self._recent])
        before = previous_instances(self.lineage)[instances]
        # Instances are numbered in the order of frames, so they are ascending here.
        source = np.minimum(np.searchsorted(instances, before), max(0, len(instances) - 1))
        known = (before >= 0) & (instances[source] == before) if len(instances) else []
        to = np.flatnonzero(known)
        lines = np.stack([places[source[to]], places[to]], axis=1)
        tracks = self.lineage.track[instances[to]]
        return lines, self.lineage.root_id[self.lineage.rows_of(tracks)]

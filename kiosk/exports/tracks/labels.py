"""The tracked label image as OME-TIFF: a cell keeps its number through time."""

from __future__ import annotations

from pathlib import Path

from kiosk.exports.label_tiff import LabelTiff
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.lineage import Lineage


class TrackedLabels(TrackWriter):
    """All planes of all frames in one file."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        self._tiff = LabelTiff(path, image)

    def add_frame(self, frame: TrackedFrame) -> None:
        for plane in frame.planes:
            self._tiff.add_plane(plane)

    def close(self) -> None:
        self._tiff.close()

    discard = close

"""Masks and res_track.txt of the Cell Tracking Challenge, in one zip.

    mask000.tif, mask001.tif, ...   one file per frame, uint16; four digits from 1,000 frames on
    res_track.txt                   L B E P of each track

Unpacked into a folder `NAME_RES` this is what `ctc_validate`, TrackMate, Trackastra and others
read.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest
from kiosk.exports.label_tiff import ZLIB
from kiosk.exports.stored_zip import StoredZip
from kiosk.exports.tracks.tracked_plane import replaced
from kiosk.exports.tracks.writer import TrackedFrame, TrackWriter
from kiosk.exports.writer import ResultImage
from kiosk.imaging.ctc_tracks import MOST_TRACKS, ctc_tracks
from kiosk.imaging.lineage import Lineage


class CtcZip(TrackWriter):
    """Masks of 16 bit; a track with a gap is several tracks, each the only child of the last."""

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        self._tracks = ctc_tracks(lineage)
        if not self._tracks.fits:
            raise InvalidRequest(
                f"The format of the Cell Tracking Challenge holds at most {MOST_TRACKS:,} tracks,"
                f" this movie has {len(self._tracks.rows):,}; leave the format 'ctc' out and use"
                " 'geff' or 'tracks'.",
                reason="TOO_MANY_TRACKS",
                field="formats",
            )
        self._digits = max(3, len(str(image.sizes["t"] - 1)))
        self._zip = StoredZip(path)

    def add_frame(self, frame: TrackedFrame) -> None:
        here = self.lineage.instances_of(frame.t)
        tracks, numbers = self.lineage.track[here], self._tracks.number[here]
        order = np.argsort(tracks)
        file = io.BytesIO()
        with tifffile.TiffWriter(file) as tiff:
            for plane in frame.planes:
                mask = replaced(plane.labels(), tracks[order], numbers[order]).astype(np.uint16)
                tiff.write(mask, contiguous=False, metadata=None, photometric="minisblack", **ZLIB)
        self._zip.add(f"mask{frame.t:0{self._digits}}.tif", file.getvalue())

    def close(self) -> None:
        lines = "".join(f"{' '.join(map(str, row))}\n" for row in self._tracks.rows.tolist())
        self._zip.add("res_track.txt", lines.encode())
        self._zip.close()

    def discard(self) -> None:
        self._zip.discard()

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
from kiosk.imaging.gap_masks import fill_gaps
from kiosk.imaging.lineage import Lineage

# Longest gap that is filled: what the linker closes at most. A track with a longer one, made by
# hand, is several tracks, each the only child of the last.
FILL_FRAMES = 5


class CtcZip(TrackWriter):
    """Masks of 16 bit, one of every track in each of its frames.

    In frames in which a cell was not found its mask is made up from those around, see `gap_masks`;
    so some frames wait until the next are there.
    """

    def __init__(self, path: Path, image: ResultImage, lineage: Lineage) -> None:
        super().__init__(path, image, lineage)
        self._tracks = ctc_tracks(lineage, FILL_FRAMES)
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
        gaps = self._tracks.gaps
        # Frame -> its masks (z, y, x), as long as a gap may still end that begins after it.
        self._waiting: dict[int, np.ndarray] = {}
        self._wait_frames = int((gaps[:, 2] - gaps[:, 1]).max(initial=0))

    def add_frame(self, frame: TrackedFrame) -> None:
        here = self.lineage.instances_of(frame.t)
        tracks, numbers = self.lineage.track[here], self._tracks.number[here]
        order = np.argsort(tracks)
        planes = (plane.labels() for plane in frame.planes)
        masks = [replaced(labels, tracks[order], numbers[order]) for labels in planes]
        self._waiting[frame.t] = np.stack(masks).astype(np.uint16)
        gaps = self._tracks.gaps
        first, last = np.searchsorted(gaps[:, 2], [frame.t, frame.t + 1])
        fill_gaps(self._waiting, gaps[first:last].tolist())
        self._write(frame.t - self._wait_frames)

    def _write(self, until: int) -> None:
        """Write the frames up to this one."""
        for t in [t for t in self._waiting if t <= until]:
            file = io.BytesIO()
            with tifffile.TiffWriter(file) as tiff:
                for mask in self._waiting.pop(t):
                    options = {"metadata": None, "photometric": "minisblack", **ZLIB}
                    tiff.write(mask, contiguous=False, **options)
            self._zip.add(f"mask{t:0{self._digits}}.tif", file.getvalue())

    def close(self) -> None:
        self._write(self.image.sizes["t"])
        lines = "".join(f"{' '.join(map(str, row))}\n" for row in self._tracks.rows.tolist())
        self._zip.add("res_track.txt", lines.encode())
        self._zip.close()

    def discard(self) -> None:
        self._zip.discard()

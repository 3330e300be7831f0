"""A lineage in the form of the Cell Tracking Challenge: tracks without gaps, numbered in 16 bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.imaging.lineage import Lineage

MOST_TRACKS = 2**16 - 1


@dataclass(frozen=True, kw_only=True)
class CtcTracks:
    """Tracks as the Cell Tracking Challenge wants them.

    A track has a mask in each of its frames. Short gaps are to be filled; over a longer one a track
    becomes several that follow each other as mother and only child.

    Attributes:
        rows: (track, 4) int64: L B E P, the number of the track, its first and last frame, the
            track before it or 0; ascending by L.
        number: (instance,) int64: L of each instance of the lineage.
        gaps: (gap, 3) int64: L, the last frame before and the first frame after each gap that is
            to be filled; ascending by the frame after it.
    """

    rows: np.ndarray
    number: np.ndarray
    gaps: np.ndarray

    @property
    def fits(self) -> bool:
        """Whether the numbers fit the 16-bit masks."""
        return len(self.rows) <= MOST_TRACKS


def ctc_tracks(lineage: Lineage, fill_frames: int = 0) -> CtcTracks:
    """The tracks without their gaps. Numbers are those of the lineage, and new ones after gaps.

    Args:
        fill_frames: gaps of so many frames are filled, tracks with longer ones are cut.
    """
    order = np.lexsort((lineage.frame, lineage.track))
    track, frame = lineage.track[order], lineage.frame[order]
    begins = np.ones(len(order), bool)
    is_same, step = track[1:] == track[:-1], frame[1:] - frame[:-1]
    begins[1:] = ~is_same | (step > 1 + fill_frames)
    ends = np.roll(begins, -1)
    ends[-1:] = True
    is_first = np.ones(int(begins.sum()), bool)
    is_first[1:] = track[begins][1:] != track[begins][:-1]
    numbers = _numbers(track[begins], is_first)
    before = np.zeros(len(numbers), np.int64)
    before[1:] = numbers[:-1]
    rows = np.stack([numbers, frame[begins], frame[ends], before], axis=1)
    rows[is_first, 3] = _mothers(lineage, numbers, is_first)
    number = np.zeros(len(order), np.int64)
    number[order] = numbers[np.cumsum(begins) - 1]
    after = np.flatnonzero(is_same & (step > 1) & (step <= 1 + fill_frames)) + 1
    gaps = np.stack([numbers[np.cumsum(begins) - 1][after], frame[after - 1], frame[after]], axis=1)
    gaps = gaps[np.argsort(gaps[:, 2], kind="stable")]
    return CtcTracks(rows=rows[np.argsort(rows[:, 0])], number=number, gaps=gaps)


def _numbers(track: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """Numbers of the pieces, in the order of tracks; counted anew where they would not fit."""
    later = np.cumsum(~is_first)
    numbers = np.where(is_first, track, track.max(initial=0) + later)
    if numbers.max(initial=0) > MOST_TRACKS:
        return np.arange(1, len(track) + 1)
    return numbers


def _mothers(lineage: Lineage, numbers: np.ndarray, is_first: np.ndarray) -> np.ndarray:
    """(track,) the number of the last piece of each track's mother, or 0."""
    is_last = np.roll(is_first, -1)
    is_last[-1:] = True
    last_piece = numbers[is_last]  # one per track, ascending
    mothers = np.zeros(len(lineage.track_id), np.int64)
    known = lineage.has_mother
    mothers[known] = last_piece[lineage.rows_of(lineage.parent_id[known])]
    return mothers

"""The rules of the Cell Tracking Challenge for tracks and masks, as `ctc_validate` checks them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def broken_rule(
    tracks: np.ndarray, labels: Sequence[Sequence[int]], *, gaps_allowed: bool = False
) -> str:
    """What is wrong first with the tracks of a movie, in words; "" where all is well.

    Args:
        tracks: (track, 4) int64: L B E P.
        labels: for each frame the labels of its mask, 0 left out.
        gaps_allowed: a track may be without a mask between its first and last frame, as that of a
            cell that leaves the image and comes back.
    """
    return _wrong_rows(tracks, len(labels)) or _wrong_masks(tracks, labels, gaps_allowed)


def _wrong_rows(tracks: np.ndarray, frames: int) -> str:
    number, begin, end, mother = tracks.T
    rows = {track: row for row, track in enumerate(number.tolist())}
    if len(rows) < len(tracks):
        return "a track has two lines"
    for bad, sentence in (
        ((number < 1) | (begin < 0) | (mother < 0), "track {0} has a number that is too small"),
        (end < begin, "track {0} ends in frame {2}, before it begins in frame {1}"),
        (end >= frames, "track {0} ends in frame {2}, and the movie has fewer frames"),
        ((mother != 0) & ~np.isin(mother, number), "track {0} has the mother {3}, which is none"),
    ):
        if np.any(bad):
            return sentence.format(*tracks[np.argmax(bad)].tolist())
    for track, first, _, before in tracks[mother != 0].tolist():
        last = int(end[rows[before]])
        if last >= first:
            return (
                f"track {track} begins in frame {first}, when its mother {before} is still there"
                f" (to frame {last})"
            )
    return ""


def _wrong_masks(tracks: np.ndarray, labels: Sequence[Sequence[int]], gaps_allowed: bool) -> str:
    """Every track has a mask in each of its frames, and every mask a track."""
    lengths = tracks[:, 2] - tracks[:, 1] + 1
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    is_inner = (within > 0) & (within < np.repeat(lengths, lengths) - 1)
    frame = np.repeat(tracks[:, 1], lengths) + within
    order = np.argsort(frame, kind="stable")
    number, may_miss = np.repeat(tracks[:, 0], lengths)[order], (is_inner & gaps_allowed)[order]
    bounds = np.searchsorted(frame[order], np.arange(len(labels) + 1))
    for at, here in enumerate(labels):
        expected, free = (column[bounds[at] : bounds[at + 1]] for column in (number, may_miss))
        if len(missing := np.setdiff1d(expected[~free], here)):
            return f"track {missing[0]} has no mask in frame {at}"
        if len(unknown := np.setdiff1d(here, expected)):
            return f"label {unknown[0]} of frame {at} is in no track"
    return ""

"""The links of a lineage that a person should look at, the most doubtful first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.imaging.lineage import Lineage

# A link that is surer than this needs no second look.
DOUBTFUL_BELOW = 0.75


@dataclass(frozen=True, kw_only=True)
class DoubtfulLinks:
    """Columns of equal length (link,), ascending by confidence.

    Attributes:
        source, target: int64 positions in the columns of instances of the lineage.
        confidence: float32, 0..1.
        is_division: bool; the link of a mother to a daughter.
        missing_frames: int64; frames between both without the cell, 0 where there is no gap.
    """

    source: np.ndarray
    target: np.ndarray
    confidence: np.ndarray
    is_division: np.ndarray
    missing_frames: np.ndarray

    def __len__(self) -> int:
        return len(self.source)

    def reasons(self) -> list[str]:
        """For each link in plain words what is doubtful."""
        return [
            _reason(division, missing)
            for division, missing in zip(
                self.is_division.tolist(), self.missing_frames.tolist(), strict=True
            )
        ]


def doubtful_links(
    lineage: Lineage, below: float = DOUBTFUL_BELOW, most: int | None = None
) -> DoubtfulLinks:
    """The links with a confidence below `below`, at most `most`; those without one are left out."""
    previous = previous_instances(lineage)
    target = np.flatnonzero((lineage.confidence < below) & (previous >= 0))
    target = target[np.argsort(lineage.confidence[target], kind="stable")][:most]
    source = previous[target]
    return DoubtfulLinks(
        source=source,
        target=target,
        confidence=lineage.confidence[target],
        is_division=lineage.track[source] != lineage.track[target],
        missing_frames=lineage.frame[target] - lineage.frame[source] - 1,
    )


def previous_instances(lineage: Lineage) -> np.ndarray:
    """(instance,) int64: for each instance the one before it, in its track or its mother's; or -1.

    These are the links of the lineage.
    """
    count = len(lineage.track)
    order = np.lexsort((lineage.frame, lineage.track))
    tracks = lineage.track[order]
    is_first = np.ones(count, bool)
    is_first[1:] = tracks[1:] != tracks[:-1]
    previous = np.full(count, -1, np.int64)
    previous[order[1:]] = np.where(is_first[1:], -1, order[:-1])
    is_last = np.ones(count, bool)
    is_last[:-1] = is_first[1:]
    first, last = order[is_first], order[is_last]  # one per track, ascending by track
    born = lineage.has_mother
    previous[first[born]] = last[lineage.rows_of(lineage.parent_id[born])]
    return previous


def _reason(is_division: bool, missing_frames: int) -> str:
    what = "division" if is_division else "same cell"
    if missing_frames == 0:
        return what
    frames = "frame" if missing_frames == 1 else "frames"
    return f"{what}, after {missing_frames} {frames} without it"

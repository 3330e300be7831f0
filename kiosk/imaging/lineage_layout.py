"""Where the tracks of a lineage plot lie: one line per track, daughters around their mother."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.imaging.lineage import Lineage

# More lines than this cannot be told apart on a screen or a page.
MOST_LINES = 400


@dataclass(frozen=True, kw_only=True)
class LineageLayout:
    """The tracks that are drawn, and where.

    Attributes:
        row: (drawn,) int64 positions of the tracks in the columns of tracks of the lineage.
        height: (drawn,) float64; 0 is the line at the top, whole numbers are lines of tracks that
            do not divide, mothers lie between their daughters.
        parent: (drawn,) int64 position of the mother among those drawn, or -1.
        lines: how many lines there are in all.
        families_left_out, tracks_left_out: what had no room.
    """

    row: np.ndarray
    height: np.ndarray
    parent: np.ndarray
    lines: int
    families_left_out: int
    tracks_left_out: int


def lay_out(lineage: Lineage, most_lines: int = MOST_LINES) -> LineageLayout:
    """Families that divide come first, large ones before small ones, then long tracks.

    Of a family with more lines than there may be, the last generations are left out.

    Args:
        lineage: without violations.
    """
    all_daughters = {
        mother: lineage.rows_of(np.array(children)).tolist()
        for mother, children in lineage.daughters().items()
    }
    mothers = dict(zip(lineage.track_id.tolist(), range(len(lineage.track_id)), strict=True))
    chosen: list[int] = []
    heights: dict[int, float] = {}
    lines = left_out = 0
    for root in _families(lineage):
        family, daughters = _family(lineage, root, all_daughters, most_lines)
        if chosen and lines + len(family) - len(daughters) > most_lines:
            left_out += 1
            continue
        lines = _place(family, daughters, heights, lines)
        chosen += family
    place = {row: number for number, row in enumerate(chosen)}
    parents = (mothers.get(parent, -1) for parent in lineage.parent_id[chosen].tolist())
    return LineageLayout(
        row=np.array(chosen, np.int64),
        height=np.array([heights[row] for row in chosen], np.float64),
        parent=np.array([place.get(row, -1) for row in parents], np.int64),
        lines=lines,
        families_left_out=left_out,
        tracks_left_out=len(lineage.track_id) - len(chosen),
    )


def _families(lineage: Lineage) -> list[int]:
    """Positions of the first tracks of all families, the largest family first."""
    roots, sizes = np.unique(lineage.root_id, return_counts=True)
    rows = lineage.rows_of(roots)
    longest = lineage.last_frame[rows] - lineage.first_frame[rows]
    order = np.lexsort((roots, lineage.first_frame[rows], -longest, -sizes))
    return rows[order].tolist()


def _family(
    lineage: Lineage, root: int, all_daughters: dict[int, list[int]], most_lines: int
) -> tuple[list[int], dict[int, list[int]]]:
    """(positions of the tracks of a family, mothers before daughters; the daughters of mothers)."""
    family, daughters, lines = [root], {}, 1
    for row in family:  # grows while it is read
        children = all_daughters.get(int(lineage.track_id[row]), [])
        if children and lines + len(children) - 1 <= most_lines:
            daughters[row] = children
            family += children
            lines += len(children) - 1
    return family, daughters


def _place(
    family: list[int], daughters: dict[int, list[int]], heights: dict[int, float], line: int
) -> int:
    """Set the heights of a family from this line on; returns the next free line."""
    stack = [family[0]]
    while stack:
        row = stack.pop()
        stack += reversed(daughters.get(row, []))
        if row not in daughters:
            heights[row] = float(line)
            line += 1
    for row in reversed(family):
        if children := daughters.get(row):
            heights[row] = sum(heights[child] for child in children) / len(children)
    return line

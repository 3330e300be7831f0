"""Chains of pieces along z, mended: halves given back, and cells on top of each other parted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NOTHING = -1
# A cell that a plane or two have cut in pieces, against a cell of its own that is flat.
ADOPTED_PLANES = 2
# Where a cell spans so many planes, a single thin section is taken for a fault of that plane
# unless it is thinner by this factor than a neck must be.
FINE_PLANES = 8
LONE_FACTOR = 2


@dataclass
class Pieces:
    """The instances of all planes, plane after plane; one is named by its place in these arrays.

    Labels that are not there are pieces of no pixel.

    Attributes:
        plane, area_px: (piece,) int64.
        chain: (piece,) int64, the first piece of the chain that it belongs to.
        below, above: (piece,) int64, the piece that covers most of it in the plane before and
            in the plane after, if that is at least half of it, else NOTHING.
    """

    plane: np.ndarray
    area_px: np.ndarray
    chain: np.ndarray
    below: np.ndarray
    above: np.ndarray


@dataclass
class Sections:
    """What a chain has in one plane, one piece or several; by chain, then by plane.

    Attributes:
        of_piece: (piece,) int64, the section of each piece.
        plane, area_px: (section,) int64.
        begins: (section,) bool, where a volume begins.
    """

    of_piece: np.ndarray
    plane: np.ndarray
    area_px: np.ndarray
    begins: np.ndarray

    @property
    def volume(self) -> np.ndarray:
        """(section,) int64, 0, 1, 2 ..."""
        return np.asarray(np.cumsum(self.begins) - 1)


def adopt(pieces: Pieces) -> None:
    """Give pieces that lie between two planes of one chain to that chain; changes `chain`."""
    if not pieces.chain.size:
        return
    names, chain, planes = np.unique(pieces.chain, return_inverse=True, return_counts=True)
    last = np.zeros(len(names), np.int64)
    last[chain] = np.arange(len(chain))  # pieces are in the order of planes
    under = _chain_of(pieces.below[names], chain)
    over = _chain_of(pieces.above[last], chain)
    adopted = (planes <= ADOPTED_PLANES) & (under == over) & (under != NOTHING)
    adopted &= ~adopted[under]
    pieces.chain = np.where(adopted[chain], names[under[chain]], pieces.chain)


def _chain_of(piece: np.ndarray, chain: np.ndarray) -> np.ndarray:
    return np.where(piece == NOTHING, NOTHING, chain[piece])


def sections_of(pieces: Pieces) -> Sections:
    """The sections of the chains; every chain is one volume so far."""
    key = pieces.chain * (int(pieces.plane.max(initial=0)) + 1) + pieces.plane
    _, first, of_piece = np.unique(key, return_index=True, return_inverse=True)
    area = np.bincount(of_piece, pieces.area_px, len(first)).astype(np.int64)
    chain = pieces.chain[first]
    return Sections(of_piece, pieces.plane[first], area, np.diff(chain, prepend=NOTHING) != 0)


def split_at_necks(sections: Sections, neck_ratio: float, planes_per_px: float | None) -> None:
    """Part volumes at their thinnest section until none has a neck; changes `begins`.

    A neck is a section with at most `neck_ratio` of the largest area below and of that above.
    (The areas of the sections of a convex body rise to one maximum and fall, so it has none.)

    Args:
        planes_per_px: how many planes lie along the side of a pixel; None = not known.
    """
    area = sections.area_px
    while True:
        volume = sections.volume
        upwards, downwards = _running_most(area, volume), _running_most(area[::-1], volume[::-1])
        peaks = np.minimum(upwards, downwards[::-1])
        ratio = area / np.maximum(peaks, 1)
        if planes_per_px is not None:
            fine = 2 * np.sqrt(peaks / np.pi) * planes_per_px >= FINE_PLANES
            broad = _median_of_three(area, volume) / np.maximum(peaks, 1)
            ratio[fine] = np.minimum(np.maximum(ratio, broad), LONE_FACTOR * ratio)[fine]
        necks = np.flatnonzero((ratio <= neck_ratio) & (peaks > 0))
        if not necks.size:
            return
        order = necks[np.lexsort((ratio[necks], volume[necks]))]
        thinnest = order[np.diff(volume[order], prepend=NOTHING) != 0]
        # Between the two thin sections, where the cells end.
        after = area[thinnest + 1] <= area[thinnest - 1]
        sections.begins[thinnest + after] = True


def _running_most(values: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """The largest value so far in each volume; volumes lie in a row, numbered up or down."""
    step = np.abs(volume - volume[:1]) * (int(values.max(initial=0)) + 1)
    return np.asarray(np.maximum.accumulate(values + step) - step)


def _median_of_three(values: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Of each section and its neighbours; the ends of a volume stay as they are."""
    smooth = values.copy()
    middle = np.flatnonzero((volume[:-2] == volume[1:-1]) & (volume[1:-1] == volume[2:])) + 1
    triple = np.stack([values[middle - 1], values[middle], values[middle + 1]])
    smooth[middle] = np.sort(triple, axis=0)[1]
    return smooth

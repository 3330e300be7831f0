"""Volumes: instances in 3-D, joined from the labels of the planes of a z-stack.

Planes are labelled one by one. A piece (an instance of one plane) continues the piece below that
it overlaps best, one to one, or the one two planes below where the plane between has missed it.
The chains that result are mended when all planes are known: pieces of a cell that one plane has
cut in two are given back to it, and a chain whose area shrinks to a neck and grows again is two
cells on top of each other. What is seen in fewer planes than its diameter implies is dropped.

Nothing here needs pixels: areas and overlaps of the pieces are enough, and these can be summed
over the windows of large planes.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.matching import one_to_one
from kiosk.imaging.overlap_counts import OverlapCounts
from kiosk.imaging.volume_chains import (
    NOTHING,
    Pieces,
    adopt,
    sections_of,
    split_at_necks,
)
from kiosk.imaging.volume_numbers import (
    VolumeParameters,
    Volumes,
    number_volumes,
    planes_per_px,
)

# A piece that lies to this share in the other is linked too: tips of cells are small.
COVERED_SHARE = 0.75
# Two planes that agree so well (IoU) know better than the plane between them; not quite as much
# as two neighbours.
GAP_OVERLAP = 0.5
GAP_DISCOUNT = 0.9


class VolumeLinker:
    """Takes the planes of a stack from the first to the last; keeps numbers, no pixels."""

    def __init__(
        self,
        parameters: VolumeParameters | None = None,
        *,
        pixel_size_um: tuple[float, float] | None = None,
        z_step_um: float | None = None,
    ) -> None:
        """
        Args:
            parameters: None = the defaults.
            pixel_size_um: (y, x), or None where it is not known.
            z_step_um: distance of planes, or None where it is not known.
        """
        self._parameters = parameters or VolumeParameters()
        self._planes_per_px = planes_per_px(pixel_size_um, z_step_um)
        # Per plane, by label; pieces of other planes are named by `first[plane] + label`.
        self._first: list[int] = [0]
        self._areas: list[np.ndarray] = []
        self._previous: list[np.ndarray] = []
        self._below: list[np.ndarray] = []
        self._above: list[np.ndarray] = []

    def add(
        self,
        areas_px: np.ndarray,
        overlaps: OverlapCounts | None = None,
        gap_overlaps: OverlapCounts | None = None,
    ) -> None:
        """Add the next plane.

        Args:
            areas_px: (labels + 1,) int64 pixels of each label; that of 0 counts nothing.
            overlaps: of the labels of the plane before (first) and of this one (second).
            gap_overlaps: the same for the plane before that one, so that an instance which one
                plane has missed stays one; may be left out.
        """
        z, size = len(self._areas), len(areas_px)
        areas = np.asarray(areas_px, np.int64).copy()
        areas[:1] = 0
        self._areas.append(areas)
        self._first.append(self._first[-1] + size)
        for column in (self._previous, self._below, self._above):
            column.append(np.full(size, NOTHING))
        if z >= 1 and overlaps is not None:
            overlaps = overlaps.foreground
            self._cover(z, overlaps)
            self._link(z, overlaps, gap_overlaps and gap_overlaps.foreground)

    def _cover(self, z: int, overlaps: OverlapCounts) -> None:
        """Note the piece below that covers most of each, and for the plane before that above."""
        order = np.argsort(overlaps.count, kind="stable")  # the largest is written last and stays
        lower, upper, count = (
            column[order] for column in (overlaps.first, overlaps.second, overlaps.count)
        )
        half = 2 * count >= self._areas[z][upper]
        self._below[z][upper[half]] = self._first[z - 1] + lower[half]
        half = 2 * count >= self._areas[z - 1][lower]
        self._above[z - 1][lower[half]] = self._first[z] + upper[half]

    def _link(self, z: int, overlaps: OverlapCounts, gap_overlaps: OverlapCounts | None) -> None:
        iou, covered = self._agreement(z - 1, z, overlaps)
        may = (iou >= self._parameters.link_overlap) | (covered >= COVERED_SHARE)
        earlier, later = self._first[z - 1] + overlaps.first[may], overlaps.second[may]
        score = iou[may]
        if z >= 2 and gap_overlaps is not None:
            iou, _ = self._agreement(z - 2, z, gap_overlaps)
            may = iou >= GAP_OVERLAP
            newest = self._newest(z - 2)[gap_overlaps.first[may]]
            earlier, later = np.append(earlier, newest), np.append(later, gap_overlaps.second[may])
            score = np.append(score, GAP_DISCOUNT * iou[may])
        kept = one_to_one(earlier, later, score)
        self._previous[z][later[kept]] = earlier[kept]

    def _agreement(
        self, before: int, z: int, overlaps: OverlapCounts
    ) -> tuple[np.ndarray, np.ndarray]:
        """(IoU, share of the smaller piece that the other covers) of each pair."""
        lower, upper = self._areas[before][overlaps.first], self._areas[z][overlaps.second]
        count = overlaps.count
        return count / (lower + upper - count), count / np.minimum(lower, upper)

    def _newest(self, z: int) -> np.ndarray:
        """By label of plane z: the piece that continues it in the plane after, else itself."""
        newest = self._first[z] + np.arange(len(self._areas[z]))
        previous = self._previous[z + 1]
        linked = np.flatnonzero(previous >= self._first[z])
        newest[previous[linked] - self._first[z]] = self._first[z + 1] + linked
        return newest

    def result(self) -> Volumes:
        """The volumes of the planes added so far."""
        if not self._areas:
            nothing = np.zeros(1, np.int64)
            return Volumes(0, [], nothing, nothing, 0)
        pieces = self._pieces()
        adopt(pieces)
        sections = sections_of(pieces)
        split_at_necks(sections, self._parameters.neck_ratio, self._planes_per_px)
        return number_volumes(sections, self._first, self._parameters, self._planes_per_px)

    def _pieces(self) -> Pieces:
        chain = np.arange(self._first[-1])
        for z, previous in enumerate(self._previous):
            linked = np.flatnonzero(previous != NOTHING)
            chain[self._first[z] + linked] = chain[previous[linked]]
        return Pieces(
            plane=np.repeat(np.arange(len(self._areas)), np.diff(self._first)),
            area_px=np.concatenate(self._areas),
            chain=chain,
            below=np.concatenate(self._below),
            above=np.concatenate(self._above),
        )

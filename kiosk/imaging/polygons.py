"""Instances as polygons along the edges of their pixels, all instances of a window at once.

A corner of an outline is a point where four pixels meet and the outline turns. Corners of one
label on one row of points belong together in pairs, each pair being the ends of a horizontal
edge; likewise in columns. Going along edges from pair to pair gives the rings. Everything is done
with sorting and pointer jumping (the rank of each corner in its ring is found in as many rounds
as the longest ring's length has binary digits), so there is no loop over instances.

Polygons filled by the rule that a pixel belongs to them when its centre does are exactly the
instances. Pixels that touch only diagonally are separate pieces, and no ring touches itself, which
makes the polygons valid in the sense of OGC's Simple Features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np


@dataclass(frozen=True)
class Rings:
    """Closed rings, ascending by label.

    Attributes:
        points: (corner, 2) int64 x and y of the corners, ring after ring, the first point of a ring
            not repeated; pixel (y, x) covers x to x + 1 and y to y + 1. With y downwards, outer
            rings run clockwise and holes anticlockwise.
        first: (ring + 1,) int64, where each ring begins; the last entry is the number of corners.
        labels: (ring,) int64.
        area_px: (ring,) int64, pixels inside; negative for holes.
    """

    points: np.ndarray
    first: np.ndarray
    labels: np.ndarray
    area_px: np.ndarray

    def instances(self) -> Iterator[tuple[int, int, list[list[int]]]]:
        """(label, area in pixels, polygons) of each instance.

        A polygon is a list of numbers of rings: the outer one, then the holes in it.
        """
        begins = np.flatnonzero(np.diff(self.labels, prepend=-1)).tolist()
        labels, areas = self.labels.tolist(), self.area_px.tolist()
        for begin, end in pairwise([*begins, len(labels)]):
            if end - begin == 1:
                yield labels[begin], areas[begin], [[begin]]
            else:
                yield labels[begin], sum(areas[begin:end]), self._nested(range(begin, end))

    def _nested(self, rings: Sequence[int]) -> list[list[int]]:
        outer = [ring for ring in rings if self.area_px[ring] > 0]
        polygons = {ring: [ring] for ring in outer}
        boxes = np.array([self._box(ring) for ring in outer]) if len(outer) > 1 else None
        for hole in rings:
            if self.area_px[hole] < 0:
                parent = outer[0] if boxes is None else self._around(hole, outer, boxes)
                polygons[parent].append(hole)
        return list(polygons.values())

    def _around(self, hole: int, outer: Sequence[int], boxes: np.ndarray) -> int:
        """The smallest outer ring around the pixel above the first corner of a hole."""
        point = self.points[self.first[hole]] + (0.5, -0.5)
        inside = ((boxes[:, 0] < point) & (point < boxes[:, 1])).all(axis=1)
        found = []
        for number in np.flatnonzero(inside).tolist():
            ring = self.ring(outer[number]).astype(np.float32)
            if cv2.pointPolygonTest(ring, point.tolist(), False) > 0:
                found.append(outer[number])
        return min(found, key=lambda ring: int(self.area_px[ring]))

    def _box(self, ring: int) -> tuple[np.ndarray, np.ndarray]:
        points = self.ring(ring)
        return points.min(axis=0), points.max(axis=0)

    def ring(self, number: int) -> np.ndarray:
        """(corner, 2) points of one ring."""
        return self.points[self.first[number] : self.first[number + 1]]


@dataclass(frozen=True)
class _Corners:
    """Corners of outlines, ordered by label, y, x.

    Attributes:
        right, below: where their horizontal and their vertical edge lie.
        leaves_sideways: the outline comes along the vertical edge and leaves by the horizontal.
    """

    label: np.ndarray
    y: np.ndarray
    x: np.ndarray
    right: np.ndarray
    below: np.ndarray
    leaves_sideways: np.ndarray


def trace_rings(
    bands: Iterable[np.ndarray], labels: np.ndarray, origin: tuple[int, int] = (0, 0)
) -> Rings:
    """The outlines of some instances.

    Args:
        bands: the rows of a window, as one array or several, (y, x) of any integer dtype, one
            after the other. Instances in `labels` must lie inside the window completely.
        labels: (instance,) which labels are meant, ascending.
        origin: (y, x) of the first pixel of the window.
    """
    corners = _sorted(_found(bands), labels)
    if not corners.label.size:
        empty = np.zeros(0, np.int64)
        return Rings(np.zeros((0, 2), np.int64), np.zeros(1, np.int64), empty, empty)
    following = _following(corners)
    ring = _ring_of(following)
    touching = _touching_themselves(corners, ring)
    if touching.size:
        # Exchanging where the two visits of one point go on makes two rings of one.
        following[touching], following[touching + 1] = (
            following[touching + 1],
            following[touching],
        )
        ring = _ring_of(following)
    begins, number = np.unique(ring, return_inverse=True)
    first = np.concatenate([[0], np.cumsum(np.bincount(number))])
    order = np.empty_like(number)
    order[first[number] + _rank(following, ring)] = np.arange(len(number))
    y, x = corners.y, corners.x
    doubled = x * y[following] - x[following] * y
    area = np.rint(np.bincount(number, doubled) / 2).astype(np.int64)
    points = np.stack([x[order] + origin[1], y[order] + origin[0]], axis=1)
    return Rings(points, first, labels[corners.label[begins]], area)


def _found(bands: Iterable[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
    """(label, y, x, right, below, leaves_sideways) of all corners in each band."""
    found, top = [], 0
    above: np.ndarray | None = None
    for band in bands:
        if above is None:
            above = np.zeros((1, band.shape[1]), band.dtype)
        found.append(_band_corners(np.concatenate([above, band]), top))
        above, top = band[-1:], top + len(band)
    if above is not None:
        found.append(_band_corners(np.concatenate([above, np.zeros_like(above)]), top))
    return found


def _band_corners(rows: np.ndarray, top: int) -> tuple[np.ndarray, ...]:
    """Corners at the points between each row and the next; the first points have y = `top`."""
    rows = np.pad(rows, ((0, 0), (1, 1)))
    pixels = rows[:-1, :-1], rows[:-1, 1:], rows[1:, :-1], rows[1:, 1:]  # around each point
    level = (pixels[0] != pixels[1]) | (pixels[2] != pixels[3])
    upright = (pixels[0] != pixels[2]) | (pixels[1] != pixels[3])
    width = rows.shape[1] - 1
    at = np.flatnonzero((level & upright).ravel())
    y, x = np.divmod(at, width)
    around = [pixel[y, x] for pixel in pixels]
    parts = []
    for number in range(4):
        below, right = divmod(number, 2)
        # The neighbours of this pixel across its two edges at the point, and the one opposite.
        own, beside = around[number], around[number ^ 1]
        over, opposite = around[number ^ 2], around[number ^ 3]
        convex = (own != beside) & (own != over) & (own > 0)
        parts.append((own, convex, right, below, right == below))
        concave = (own != beside) & (beside == opposite) & (over == opposite) & (opposite > 0)
        parts.append((opposite, concave, right, below, right != below))
    columns: list[list[np.ndarray]] = [[] for _ in range(6)]
    for label, chosen, *flags in parts:
        place = np.flatnonzero(chosen)
        values = [label[place].astype(np.int64), y[place] + top, x[place]]
        values += [np.full(place.size, flag, bool) for flag in flags]
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return tuple(np.concatenate(column) for column in columns)


def _sorted(found: list[tuple[np.ndarray, ...]], labels: np.ndarray) -> _Corners:
    """The corners of the wanted labels; `label` is from now on the place in `labels`."""
    if not found or not len(labels):
        none, no = np.zeros(0, np.int64), np.zeros(0, bool)
        return _Corners(none, none, none, no, no, no)
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    place = np.searchsorted(labels, columns[0])
    wanted = labels[np.minimum(place, len(labels) - 1)] == columns[0]
    columns = [place[wanted], *(column[wanted] for column in columns[1:])]
    label, y, x, right = columns[:4]
    order = np.argsort(_key(label, y, x, right))
    return _Corners(*(column[order] for column in columns))


def _key(label: np.ndarray, outer: np.ndarray, inner: np.ndarray, side: np.ndarray) -> np.ndarray:
    """One number to sort by label, then outer, then inner coordinate, then side."""
    outer_size, inner_size = (int(axis.max(initial=0)) + 1 for axis in (outer, inner))
    return ((label * outer_size + outer) * inner_size + inner) * 2 + side


def _following(corners: _Corners) -> np.ndarray:
    """The next corner along the outline, for each corner."""
    # In the order of rows the ends of a horizontal edge are neighbours: 0 and 1, 2 and 3.
    sideways = np.arange(len(corners.y)) ^ 1
    order = np.argsort(_key(corners.label, corners.x, corners.y, corners.below))
    updown = np.empty_like(order)
    updown[order[0::2]], updown[order[1::2]] = order[1::2], order[0::2]
    return np.where(corners.leaves_sideways, sideways, updown)


def _ring_of(following: np.ndarray) -> np.ndarray:
    """The smallest corner on the ring of each corner."""
    ring, jump = np.arange(len(following)), following
    while True:
        smaller = np.minimum(ring, ring[jump])
        if np.array_equal(smaller, ring):
            return ring
        ring, jump = smaller, jump[jump]


def _touching_themselves(corners: _Corners, ring: np.ndarray) -> np.ndarray:
    """Corners whose ring comes to the same point again; the other visit is the next corner."""
    same = ring[1:] == ring[:-1]
    for axis in (corners.x, corners.y):
        same &= axis[1:] == axis[:-1]
    return np.flatnonzero(same)


def _rank(following: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """How many steps each corner comes after the first of its ring."""
    places = np.arange(len(following))
    before = np.empty_like(following)
    before[following] = places
    jump = np.where(ring == places, places, before)
    steps = (jump != places).astype(np.int64)
    while True:
        further = steps[jump]
        if not further.any():
            return steps
        steps += further
        jump = jump[jump]

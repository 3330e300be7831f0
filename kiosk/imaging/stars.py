"""Head `stars`: star-convex polygons, chosen greedily by probability, then drawn.

Every pixel with enough foreground proposes a polygon: the ends of rays of given lengths at equal
angles around it. The best polygon stays and all others that share too much area with it go; so
on with the best that is left. See U. Schmidt, M. Weigert, C. Broaddus and G. Myers, "Cell
detection with star-convex polygons", MICCAI 2018.

The area that two polygons share is sampled: equal shares of one polygon's area are looked up in
the drawing of the other, few first, and many where it is a near thing.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from kiosk.heads import StarParameters
from kiosk.imaging.finishing import drop_small, finish, number_in_raster_order
from kiosk.imaging.maps import as_fraction, as_pixels

# A polygon this close to the rim of the plane is not proposed, as its half is not seen.
RIM_PX = 2
SHORTEST_RAY_PX = 1e-3
# Rings of sample points: per ray of every polygon, and per ray where it is a near thing.
_COARSE_RINGS, _FINE_RINGS = 2, 8
# A coarse estimate further than this from the threshold is believed.
_DOUBT = 0.15


@dataclass(frozen=True)
class Stars:
    """Star-convex polygons, best first.

    Attributes:
        centre: (polygon, 2) float32 y, x.
        rays: (polygon, ray) float32 lengths in pixels; ray k points to angle 2 pi k / rays,
            from the x axis towards the y axis.
        score: (polygon,) float32.
    """

    centre: np.ndarray
    rays: np.ndarray
    score: np.ndarray

    def take(self, chosen: np.ndarray) -> Stars:
        return Stars(self.centre[chosen], self.rays[chosen], self.score[chosen])


def draw_stars(foreground: np.ndarray, rays: np.ndarray, parameters: StarParameters) -> np.ndarray:
    """Label image from a foreground map and radial distances.

    Args:
        foreground: (y, x) uint8 or float, how likely a pixel is well inside an instance.
        rays: (ray, y, x) distance to the border of the instance in pixels, first along x, then
            turning towards y.
        parameters: thresholds; foreground as a fraction of full scale.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    stars = propose(
        as_fraction(foreground), rays, parameters.foreground_threshold, int(parameters.grid_px)
    )
    kept = stars.take(suppress(stars, parameters.overlap_threshold))
    labels = draw(kept, foreground.shape)
    labels = number_in_raster_order(drop_small(labels, parameters.min_area_px))
    return finish(labels, parameters, parameters.min_area_px)


def propose(foreground: np.ndarray, rays: np.ndarray, threshold: float, grid_px: int) -> Stars:
    """The polygons of all grid points with more than a threshold of foreground, best first."""
    points = foreground[::grid_px, ::grid_px]
    inside = points > threshold
    inside[:RIM_PX] = inside[-RIM_PX:] = False
    inside[:, :RIM_PX] = inside[:, -RIM_PX:] = False
    y, x = np.nonzero(inside)
    score = points[y, x]
    order = np.argsort(-score, kind="stable")
    y, x = y[order] * grid_px, x[order] * grid_px
    lengths = np.ascontiguousarray(as_pixels(rays[:, y, x]).T)
    centre = np.stack([y, x], axis=1).astype(np.float32)
    return Stars(centre, np.maximum(lengths, np.float32(SHORTEST_RAY_PX)), score[order])


def suppress(stars: Stars, overlap_threshold: float) -> np.ndarray:
    """Positions of the polygons that stay, best first.

    A polygon goes when it shares more than `overlap_threshold` of the smaller of both areas with
    a better one that stays.
    """
    area_px = areas(stars.rays)
    reach_px = stars.rays.max(axis=1, initial=0)
    buckets = _Buckets(stars.centre, float(reach_px.max(initial=1)))
    alive = np.ones(area_px.size, np.bool_)
    kept = []
    for best in range(area_px.size):
        if not alive[best]:
            continue
        kept.append(best)
        near = buckets.around(best)
        near = near[alive[near] & (near > best)]
        away = np.abs(stars.centre[near] - stars.centre[best]).max(axis=1, initial=0)
        near = near[away < reach_px[near] + reach_px[best]]
        if near.size:
            alive[near[_overlapping(stars, area_px, best, near, overlap_threshold)]] = False
        alive[best] = False
    return np.array(kept, np.int64)


def _overlapping(
    stars: Stars, area_px: np.ndarray, best: int, near: np.ndarray, threshold: float
) -> np.ndarray:
    """Which of the polygons `near` share more than the threshold with `best`, as bool."""
    drawing, corner = _drawing(stars, best)
    smaller = np.minimum(area_px[near], area_px[best])
    share = _shared(stars, near, drawing, corner, _COARSE_RINGS) * area_px[near] / smaller
    doubtful = np.flatnonzero(np.abs(share - threshold) < _DOUBT)
    if doubtful.size:
        some = near[doubtful]
        fine = _shared(stars, some, drawing, corner, _FINE_RINGS)
        share[doubtful] = fine * area_px[some] / smaller[doubtful]
    return np.asarray(share > threshold)


def _drawing(stars: Stars, best: int) -> tuple[np.ndarray, np.ndarray]:
    """One polygon as a bool picture with an empty border, and the (y, x) of its first pixel."""
    reach = int(stars.rays[best].max()) + 2
    corner = stars.centre[best].astype(np.int64) - reach
    offset = np.arange(-reach, reach + 1, dtype=np.float32)
    y, x = np.meshgrid(offset, offset, indexing="ij")
    lengths = stars.rays[best]
    inside = _inside(y.ravel(), x.ravel(), lengths, np.zeros(y.size, np.intp), lengths.size)
    return inside.reshape(y.shape), corner


def _shared(
    stars: Stars, near: np.ndarray, drawing: np.ndarray, corner: np.ndarray, rings: int
) -> np.ndarray:
    """The part of each polygon's area that lies inside a drawing, by samples: (polygon,)."""
    count = stars.rays.shape[1]
    # Points at these radii, in the middle of each ray's share, stand for equal areas of it.
    radius = np.sqrt((np.arange(rings, dtype=np.float32) + 0.5) / rings)
    unit = _unit_vectors(count)
    lengths = stars.rays[near]
    weight = lengths * (np.roll(lengths, 1, axis=1) + np.roll(lengths, -1, axis=1))
    spokes = lengths[:, :, None] * radius
    local = stars.centre[near] - corner.astype(np.float32) + np.float32(0.5)
    y = (local[:, 0, None, None] + spokes * unit[0][:, None]).astype(np.int32)
    x = (local[:, 1, None, None] + spokes * unit[1][:, None]).astype(np.int32)
    side = drawing.shape[0] - 1
    # What is outside of the picture is moved onto its border, which is empty.
    hits = drawing[np.clip(y, 0, side), np.clip(x, 0, side)].sum(axis=2, dtype=np.float32)
    return np.asarray((hits * weight).sum(axis=1) / (weight.sum(axis=1) * rings))


def areas(rays: np.ndarray) -> np.ndarray:
    """Areas in pixels of polygons given by (polygon, ray) lengths."""
    turn = np.sin(2 * np.pi / rays.shape[1])
    return np.asarray(0.5 * turn * (rays * np.roll(rays, -1, axis=1)).sum(axis=1))


def draw(stars: Stars, shape: tuple[int, ...]) -> np.ndarray:
    """Label image (y, x) uint32: label i + 1 for polygon i, better polygons in front.

    A pixel belongs to a polygon when its centre is inside.
    """
    labels = np.zeros(shape, np.uint32)
    count = stars.rays.shape[1]
    # The worst first, so that the best are painted over them; some at a time bounds memory.
    for stop in range(stars.score.size, 0, -256):
        some = np.arange(max(0, stop - 256), stop)[::-1]
        star, y, x = _windows(stars, some, shape)
        dy, dx = y - stars.centre[star, 0], x - stars.centre[star, 1]
        inside = _inside(dy, dx, stars.rays.ravel(), star * count, count)
        labels[y[inside], x[inside]] = star[inside] + 1
    return labels


def _windows(
    stars: Stars, some: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(star, y, x) of all pixels in the bounding boxes of some polygons, one box after another."""
    unit = _unit_vectors(stars.rays.shape[1])
    low, high = [], []
    for axis in (0, 1):
        along = stars.centre[some, axis, None] + stars.rays[some] * unit[axis]
        low.append(np.clip(np.ceil(along.min(axis=1)), 0, shape[axis]).astype(np.int64))
        high.append(np.clip(np.floor(along.max(axis=1)) + 1, 0, shape[axis]).astype(np.int64))
    width = np.maximum(high[1] - low[1], 0)
    size = np.maximum(high[0] - low[0], 0) * width
    box = np.repeat(np.arange(some.size), size)
    place = np.arange(box.size) - np.repeat(np.cumsum(size) - size, size)
    y, x = np.divmod(place, width[box])
    return some[box], y + low[0][box], x + low[1][box]


def _inside(
    dy: np.ndarray, dx: np.ndarray, lengths: np.ndarray, first: np.ndarray, count: int
) -> np.ndarray:
    """Whether offsets from a centre lie inside its polygon.

    Args:
        dy, dx: (point,) offsets in pixels.
        lengths: all rays, flat.
        first: (point,) where the rays of the point's polygon begin in `lengths`.
        count: rays per polygon.

    Returns:
        (point,) bool. The point is compared with the one edge in whose sector it lies.
    """
    sector = np.floor(np.arctan2(dy, dx) * (count / (2 * np.pi))).astype(np.int64) % count
    following = (sector + 1) % count
    sine, cosine = _unit_vectors(count)
    here, there = lengths[first + sector], lengths[first + following]
    y0, x0 = here * sine[sector], here * cosine[sector]
    y1, x1 = there * sine[following], there * cosine[following]
    return np.asarray((x1 - x0) * (dy - y0) - (y1 - y0) * (dx - x0) >= 0)


def _unit_vectors(count: int) -> np.ndarray:
    """(2, ray) float32: y and x of each ray's direction."""
    angle = np.arange(count) * (2 * np.pi / count)
    return np.stack([np.sin(angle), np.cos(angle)]).astype(np.float32)


class _Buckets:
    """Points by square of the plane, so that neighbours are found without looking at all."""

    def __init__(self, centre: np.ndarray, largest_reach_px: float) -> None:
        # Squares of the largest diameter: whatever touches a polygon is at most one square away.
        self._square = np.floor(centre / max(1.0, 2 * largest_reach_px)).astype(np.int64)
        found: dict[tuple[int, int], list[np.ndarray]] = defaultdict(list)
        if len(centre):
            key = self._square[:, 0] * (int(self._square[:, 1].max()) + 1) + self._square[:, 1]
            order = np.argsort(key, kind="stable")
            for members in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
                row, column = self._square[members[0]].tolist()
                found[row, column].append(members)
        self._members = {place: np.concatenate(members) for place, members in found.items()}

    def around(self, point: int) -> np.ndarray:
        """Positions of all points in the square of a point and the eight around it."""
        row, column = self._square[point].tolist()
        return np.concatenate(
            [
                self._members[row + dy, column + dx]
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if (row + dy, column + dx) in self._members
            ]
        )

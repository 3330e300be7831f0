"""Candidates: which instance could be which in a later frame, and what speaks for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from kiosk.imaging.detections import Detections

# Of each instance so many nearest ones are looked at, in both directions: over one frame, and
# over a gap, where few links are and each costs as much.
NEAREST = 4
NEAREST_OVER_GAP = 2
# Within so many typical diameters, or so many typical distances to the next neighbour.
REACH_DIAMETERS = 4.0
REACH_SPACINGS = 1.5


@dataclass(frozen=True)
class Frame:
    """Detections with the place where they would be had nothing drifted.

    Attributes:
        number: of the frame.
        positions_px: (n, 3) float32, (z, y, x) less the drift since the first frame.
        spacing_px: (n,) float32, distance to the nearest other instance of the frame.
        tree: of the positions; None without instances.
    """

    number: int
    detections: Detections
    positions_px: np.ndarray
    spacing_px: np.ndarray
    tree: cKDTree | None

    @classmethod
    def of(cls, number: int, detections: Detections, drift_px: np.ndarray) -> Frame:
        """Take the drift (2,) of (y, x) off the positions."""
        positions = detections.positions_px.copy()
        positions[:, 1:] -= drift_px.astype(np.float32)
        tree = cKDTree(positions) if len(positions) else None
        return cls(number, detections, positions, _spacing(positions, tree), tree)

    def __len__(self) -> int:
        return len(self.detections)


@dataclass(frozen=True)
class Candidates:
    """Pairs of instances that may be one cell, within a window of frames.

    Instances are counted through all frames of the window.

    Attributes:
        frame: (n,) int64, the number of each instance's frame; label: (n,) int64.
        source, target: (e,) int64, instances of an earlier and a later frame; ascending by
            source, then gap, then distance.
        gap: (e,) int64, frames between them, 1 = neighbouring frames.
        distance_px: (e,) float32.
        diameter_px: typical in the window.
        motion_px: typical displacement from one frame to the next.
    """

    frame: np.ndarray
    label: np.ndarray
    source: np.ndarray
    target: np.ndarray
    gap: np.ndarray
    distance_px: np.ndarray
    diameter_px: float
    motion_px: float

    def __len__(self) -> int:
        return len(self.source)


def find_candidates(
    frames: Sequence[Frame], longest_gap: int, reach_px: float | None = None
) -> Candidates:
    """All pairs that linking considers in a window.

    Args:
        frames: of the window, ascending by number; numbers may be missing.
        longest_gap: most frames between source and target; 1 = neighbouring frames only.
        reach_px: longest distance of a link from one frame to the next; None = from the size and
            the spacing of the instances. Over a gap it grows with its square root.
    """
    counts = [len(frame) for frame in frames]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    diameter = _median([frame.detections.diameters_px for frame in frames], 1.0)
    spacing = _median([frame.spacing_px for frame in frames], diameter)
    reach = reach_px or max(REACH_DIAMETERS * diameter, REACH_SPACINGS * spacing)
    # The empty piece gives the types where there are no pairs.
    pieces = [(np.zeros(0, np.int64),) * 3 + (np.zeros(0, np.float32),)]
    nearest = []
    for j, later in enumerate(frames):
        for i, earlier in enumerate(frames[:j]):
            gap = later.number - earlier.number
            if gap > longest_gap or not len(earlier) or not len(later):
                continue
            count = NEAREST if gap == 1 else NEAREST_OVER_GAP
            a, b, distance = _pairs(earlier, later, count, reach * gap**0.5)
            pieces.append((a + starts[i], b + starts[j], np.full(len(a), gap), distance))
            if gap == 1:
                nearest.append(_mutual_px(a, b, distance))
    source, target, gaps, distance = (np.concatenate(p) for p in zip(*pieces, strict=True))
    order = np.lexsort((distance, gaps, source))
    return Candidates(
        frame=np.repeat([frame.number for frame in frames], counts).astype(np.int64),
        label=np.concatenate([np.zeros(0), *(f.detections.labels for f in frames)]).astype(int),
        source=source[order],
        target=target[order],
        gap=gaps[order].astype(np.int64),
        distance_px=distance[order].astype(np.float32),
        diameter_px=diameter,
        motion_px=max(_median(nearest, 0.0), 0.05 * diameter),
    )


def _pairs(
    earlier: Frame, later: Frame, count: int, reach_px: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Earlier, later, distance: the nearest of each, as seen from either frame, each pair once."""
    forward = _nearest(earlier, later, count, reach_px)
    back = _nearest(later, earlier, count, reach_px)
    keys = np.concatenate([forward[0] * len(later) + forward[1], back[1] * len(later) + back[0]])
    a, b = np.divmod(np.unique(keys), len(later))
    return a, b, np.linalg.norm(later.positions_px[b] - earlier.positions_px[a], axis=1)


def _nearest(
    points: Frame, others: Frame, count: int, reach_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Places of points, and of the others that are nearest to them within reach."""
    assert others.tree is not None
    # One more than there are: a query for a single neighbour has another shape.
    _, found = others.tree.query(
        points.positions_px, k=max(2, count), distance_upper_bound=reach_px
    )
    point = np.repeat(np.arange(len(points)), found.shape[1])
    inside = found.ravel() < len(others)
    return point[inside], found.ravel()[inside]


def _mutual_px(a: np.ndarray, b: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Distances of the pairs in which each is the nearest of the other."""
    order = np.argsort(distance, kind="stable")
    first_a, first_b = np.zeros(len(a), bool), np.zeros(len(a), bool)
    first_a[order[np.unique(a[order], return_index=True)[1]]] = True
    first_b[order[np.unique(b[order], return_index=True)[1]]] = True
    return distance[first_a & first_b]


def _spacing(positions: np.ndarray, tree: cKDTree | None) -> np.ndarray:
    if tree is None or len(positions) < 2:
        return np.full(len(positions), np.inf, np.float32)
    distance, _ = tree.query(positions, k=2)
    return np.asarray(distance[:, 1], np.float32)


def _median(pieces: Sequence[np.ndarray], otherwise: float) -> float:
    values = np.concatenate([np.zeros(0), *pieces])
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else otherwise

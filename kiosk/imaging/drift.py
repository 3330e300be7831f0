"""Drift: by how much a whole frame has moved since the one before."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from kiosk.imaging.detections import Detections

# Fewer instances than this in common say nothing about a frame as a whole.
FEWEST = 4
# What a shift must take off the typical distance to be believed, as a share of it, and in
# diameters: cells of a still frame move too.
GAIN = 0.15
GAIN_DIAMETERS = 0.02
REFINEMENTS = 2
# More instances than this do not make the median better.
MOST = 300
# Beyond this many diameters (or a quarter of the frame) phase correlation is chance.
FARTHEST_DIAMETERS = 8.0


def frame_shift_px(earlier: Detections, later: Detections) -> np.ndarray:
    """(2,) float64: how far (y, x) the instances of `later` lie from where they were.

    Phase correlation of the overviews proposes a shift, no shift is the other proposal; each is
    refined by the median displacement of mutual nearest neighbours (one step of iterative closest
    points, Besl and McKay 1992, for translations). The shift counts only if it brings the
    instances markedly closer together, so where nothing is certain nothing is shifted.
    """
    nothing = np.zeros(2)
    if min(len(earlier), len(later)) < FEWEST:
        return nothing
    diameter = float(np.median(earlier.diameters_px))
    matcher = _Matcher(earlier.positions_px[:, 1:], later.positions_px[:, 1:])
    still = matcher.typical_distance_px(nothing)
    best, distance = nothing, still
    for proposal in (nothing, _correlated_px(earlier, later)):
        if np.abs(proposal).max() > _farthest_px(earlier, diameter):
            continue
        refined = matcher.refined(proposal)
        remaining = matcher.typical_distance_px(refined)
        if remaining < distance:
            best, distance = refined, remaining
    certain = distance < (1 - GAIN) * still - GAIN_DIAMETERS * diameter
    return best if certain else nothing


class _Matcher:
    """Nearest neighbours between two frames, of as many instances as are needed."""

    def __init__(self, before: np.ndarray, after: np.ndarray) -> None:
        self._before = before
        self._tree_before, self._tree_after = cKDTree(before), cKDTree(after)
        self._place = np.arange(0, len(after), -(-len(after) // MOST))
        self._after = after[self._place]

    def refined(self, shift: np.ndarray) -> np.ndarray:
        """The median displacement of those that are mutually nearest after this shift."""
        for _ in range(REFINEMENTS):
            _, nearest = self._tree_before.query(self._after - shift)
            _, back = self._tree_after.query(self._before[nearest] + shift)
            mutual = back == self._place
            if mutual.sum() < FEWEST:
                return shift
            moved = self._after[mutual] - self._before[nearest[mutual]]
            shift = np.median(moved, axis=0).astype(np.float64)
        return shift

    def typical_distance_px(self, shift: np.ndarray) -> float:
        distance, _ = self._tree_before.query(self._after - shift)
        return float(np.median(distance))


def _farthest_px(detections: Detections, diameter_px: float) -> float:
    side = max(detections.overview.shape) * float(detections.overview_scale)
    return max(side / 4, FARTHEST_DIAMETERS * diameter_px)


def _correlated_px(earlier: Detections, later: Detections) -> np.ndarray:
    """Shift by phase correlation of the overviews; none where they cannot be compared."""
    shape = earlier.overview.shape
    if shape != later.overview.shape or min(shape) < 8:
        return np.zeros(2)
    window = cv2.createHanningWindow(shape[::-1], cv2.CV_32F)
    before, after = (d.overview.astype(np.float32) for d in (earlier, later))
    (x, y), _ = cv2.phaseCorrelate(before, after, window)
    shift = np.array([y, x]) * float(earlier.overview_scale)
    return shift if np.isfinite(shift).all() else np.zeros(2)

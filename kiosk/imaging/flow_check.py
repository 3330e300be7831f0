"""Whether instances made from flows would have such flows: the flow error of Cellpose.

Heat spreads from the middle of an instance within its own pixels; its gradient, scaled to
length 1, is the flow that a perfect network would have given. See Stringer et al., Nat. Methods
18:100 (2021). All instances spread at once, side by side on one sheet with gaps between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from kiosk.imaging.finishing import boxes

_LEAST_SHEET_PX = 1024


@dataclass(frozen=True)
class _Sheet:
    """Instances moved apart: for each of their pixels the label, its place here and there."""

    shape: tuple[int, int]
    label: np.ndarray
    plane: tuple[np.ndarray, np.ndarray]
    place: tuple[np.ndarray, np.ndarray]


def drop_inconsistent(labels: np.ndarray, flows: np.ndarray, threshold: float) -> np.ndarray:
    """Without the instances whose flows differ too much from the map.

    Args:
        labels: (y, x) uint32, instances 1..n.
        flows: (2, y, x) float32, of about length 1.
        threshold: highest mean square difference.
    """
    if not labels.any():
        return labels
    errors = flow_errors(labels, flows)
    number = np.arange(errors.size, dtype=np.uint32)
    number[errors > threshold] = 0
    return number[labels]


def flow_errors(labels: np.ndarray, flows: np.ndarray) -> np.ndarray:
    """Mean square difference of flows, (n + 1,) float64 by label; 0 for the background."""
    found = boxes(labels)
    sheet = _lay_out(labels, found)
    extent = int((found[:, 1] - found[:, 0] + found[:, 3] - found[:, 2]).max()) + 2
    # Back on the plane, where the slope at a border is that to the neighbour, as in Cellpose.
    heat = np.zeros((labels.shape[0] + 2, labels.shape[1] + 2))
    y, x = sheet.plane[0] + 1, sheet.plane[1] + 1
    heat[y, x] = _spread(sheet, 2 * extent)[sheet.place]
    own = np.stack([heat[y + 1, x] - heat[y - 1, x], heat[y, x + 1] - heat[y, x - 1]])
    own /= np.maximum(np.hypot(*own), 1e-60)
    error = ((own - flows[:, *sheet.plane]) ** 2).sum(axis=0)
    pixels = np.bincount(sheet.label)
    return np.bincount(sheet.label, weights=error) / np.maximum(pixels, 1)


def _spread(sheet: _Sheet, steps: int) -> np.ndarray:
    """Heat after so many steps, (y, x) float64 on the sheet; each middle gives 1 per step."""
    inside = np.zeros(sheet.shape)
    inside[sheet.place] = 1
    middle = _middles(sheet)
    heat = np.zeros(sheet.shape)
    for _ in range(steps):
        heat[middle] += 1
        heat = cv2.blur(heat, (3, 3), borderType=cv2.BORDER_CONSTANT)
        heat *= inside
    return heat


def _middles(sheet: _Sheet) -> tuple[np.ndarray, np.ndarray]:
    """Of each instance the pixel nearest to its centroid, as (y, x) on the sheet."""
    y, x = sheet.place
    pixels = np.maximum(np.bincount(sheet.label), 1)
    mean_y = np.rint(np.bincount(sheet.label, weights=y) / pixels)[sheet.label]
    mean_x = np.rint(np.bincount(sheet.label, weights=x) / pixels)[sheet.label]
    order = np.lexsort(((y - mean_y) ** 2 + (x - mean_x) ** 2, sheet.label))
    first = order[np.flatnonzero(np.diff(sheet.label[order], prepend=0))]
    return y[first], x[first]


def _lay_out(labels: np.ndarray, found: np.ndarray) -> _Sheet:
    """Instances on shelves, tall ones first, one empty pixel around each."""
    height, width = found[:, 1] - found[:, 0] + 2, found[:, 3] - found[:, 2] + 2
    side = max(_LEAST_SHEET_PX, int(width.max()))
    corner = np.zeros((len(found) + 1, 2), np.int64)
    top = left = shelf = 0
    for i in np.argsort(-height, kind="stable").tolist():
        if left + width[i] > side:
            top, left = top + shelf, 0
        if left == 0:
            shelf = int(height[i])
        corner[i + 1] = top + 1 - found[i, 0], left + 1 - found[i, 2]
        left += int(width[i])
    y, x = np.nonzero(labels)
    label = labels[y, x].astype(np.int64)
    place = (y + corner[label, 0], x + corner[label, 1])
    return _Sheet((top + shelf, side), label, (y, x), place)

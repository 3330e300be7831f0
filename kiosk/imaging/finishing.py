"""The last step of every head: holes, outlines, smallest size, growth, numbers."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.heads import OutlineParameters


def finish(labels: np.ndarray, parameters: OutlineParameters, min_area_px: float) -> np.ndarray:
    """Apply what the user asks for to finished instances.

    Args:
        labels: (y, x) uint32, instances numbered 1..n in raster order, none too small.
        parameters: which holes are filled, how outlines are smoothed, how far instances grow.
        min_area_px: instances that smoothing has made smaller are dropped.

    Returns:
        (y, x) uint32 label image, instances 1..n in raster order; `labels` itself when nothing
        is asked for.
    """
    changed = labels
    if parameters.fill_holes_px > 0:
        changed = fill_holes(changed, parameters.fill_holes_px)
    if parameters.smooth_outline_px > 0:
        changed = smooth_outlines(changed, parameters.smooth_outline_px)
        changed = drop_small(changed, min_area_px)
    if parameters.expand_px > 0:
        changed = expand(changed, parameters.expand_px)
    return labels if changed is labels else number_in_raster_order(changed)


def fill_holes(labels: np.ndarray, max_area_px: float) -> np.ndarray:
    """Give holes that touch exactly one instance to it.

    A hole is background that is enclosed (sideways, not across corners). Background that
    reaches the rim of the plane is no hole, nor is a gap between several instances.

    Args:
        labels: (y, x) uint32.
        max_area_px: larger holes stay.
    """
    count, holes, stats, _ = cv2.connectedComponentsWithStats(
        (labels == 0).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    is_hole = stats[:, cv2.CC_STAT_AREA] <= max_area_px
    is_hole[0] = False  # the instances
    for rim in (holes[0], holes[-1], holes[:, 0], holes[:, -1]):
        is_hole[rim] = False
    lowest = np.full(count, np.iinfo(np.uint32).max, np.uint32)
    highest = np.zeros(count, np.uint32)
    y, x = np.nonzero(is_hole[holes])
    hole = holes[y, x]
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = labels[y + dy, x + dx]
        inside = beside > 0
        np.minimum.at(lowest, hole[inside], beside[inside])
        np.maximum.at(highest, hole[inside], beside[inside])
    owner = np.where(is_hole & (lowest == highest), highest, 0).astype(np.uint32)
    return np.where(labels > 0, labels, owner[holes])


def smooth_outlines(labels: np.ndarray, sigma_px: float) -> np.ndarray:
    """Keep the pixels around which an instance holds the majority, weighted by a Gaussian.

    Two instances cannot both hold a majority, so none merge; where three meet a few pixels
    may be lost.

    Args:
        labels: (y, x) uint32.
        sigma_px: standard deviation of the Gaussian.
    """
    smooth = np.zeros_like(labels)
    margin = int(np.ceil(3 * sigma_px))
    for label, (top, bottom, left, right) in enumerate(boxes(labels), start=1):
        if bottom <= top:
            continue
        window = np.s_[
            max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin
        ]
        mine = (labels[window] == label).astype(np.float32)
        # A replicated rim keeps instances that the plane cuts off.
        share = cv2.GaussianBlur(mine, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE)
        smooth[window][share > 0.5] = label
    return smooth


def boxes(labels: np.ndarray) -> np.ndarray:
    """Bounding boxes (label, 4) int64: top, bottom, left, right (ends not included)."""
    count = int(labels.max(initial=0))
    far = max(labels.shape) + 1
    found = np.tile(np.array([far, 0, far, 0], np.int64), (count + 1, 1))
    y, x = np.nonzero(labels)
    label = labels[y, x]
    np.minimum.at(found[:, 0], label, y)
    np.maximum.at(found[:, 1], label, y + 1)
    np.minimum.at(found[:, 2], label, x)
    np.maximum.at(found[:, 3], label, x + 1)
    return found[1:]


def drop_small(labels: np.ndarray, min_area_px: float) -> np.ndarray:
    """Without the instances of fewer pixels; numbers stay."""
    area_px = np.bincount(labels.ravel())
    number = np.arange(area_px.size, dtype=np.uint32)
    number[area_px < min_area_px] = 0
    return number[labels]


def expand(labels: np.ndarray, distance_px: float) -> np.ndarray:
    """Give background within a distance to the nearest instance.

    Distances are those of a 5 x 5 chamfer mask, within 2 % of Euclid's.

    Args:
        labels: (y, x) uint32.
        distance_px: how far instances grow.
    """
    if not labels.any():
        return labels
    away_px, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label_of_place = np.zeros(int(nearest.max()) + 1, np.uint32)
    inside = labels > 0
    label_of_place[nearest[inside]] = labels[inside]
    return np.where(away_px <= distance_px, label_of_place[nearest], 0).astype(np.uint32)


def number_in_raster_order(labels: np.ndarray) -> np.ndarray:
    """The same instances as 1..n by their first pixel, (y, x) uint32."""
    flat = labels.ravel()
    begins = np.flatnonzero(np.diff(flat, prepend=np.zeros(1, flat.dtype)))[::-1]
    first = np.full(int(flat.max(initial=0)) + 1, -1, np.int64)
    first[flat[begins]] = begins
    first[0] = -1
    used = np.flatnonzero(first >= 0)
    used = used[np.argsort(first[used])]
    number = np.zeros(first.size, np.uint32)
    number[used] = np.arange(1, used.size + 1, dtype=np.uint32)
    return number[labels]

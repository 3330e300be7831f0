"""Patches: how every instance of a frame looks, as the linking network sees it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

# Sides of a patch, and how many of them a typical diameter takes: the neighbours can be seen, and
# a nucleus has enough pixels to tell chromosomes from a resting one.
PATCH_PX = 32
DIAMETER_PX = 13.0
# Byte of a grey value at the upper end of its range; a dividing nucleus is brighter than that.
FULL = 160
OWN, OTHERS = 255, 96
# Every how many-th pixel counts for the grey range follows from this.
SAMPLE_PX = 60_000


@dataclass(frozen=True)
class GreyRange:
    """Grey values that count as 0 (background) and 1 (a bright part of an ordinary instance)."""

    low: float
    high: float

    @classmethod
    def of(cls, labels: np.ndarray, pixels: np.ndarray | None) -> GreyRange:
        """The range of a frame, taken where its instances are, so that bleaching cancels out.

        Args:
            labels: (z, y, x) or (y, x).
            pixels: as many, or None.
        """
        if pixels is None:
            return cls(0.0, 1.0)
        step = max(1, labels.size // SAMPLE_PX)
        # An odd step does not run along the columns of an image with an even width.
        step += 1 - step % 2
        label, value = labels.ravel()[::step], pixels.ravel()[::step].astype(np.float64)
        finite = np.isfinite(value)
        inside, outside = value[finite & (label > 0)], value[finite & (label == 0)]
        if not inside.size:
            inside = value[finite] if finite.any() else np.zeros(1)
        low, high = np.percentile(inside, (2, 98))
        if outside.size:
            low = min(low, float(np.median(outside)))
        return cls(float(low), float(high if high > low else low + 1))

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """float32, 0..1 between the two, not cut off; NaN becomes 0."""
        factor = 1 / (self.high - self.low)
        values = (pixels.astype(np.float32) - np.float32(self.low)) * np.float32(factor)
        return np.nan_to_num(values, copy=False) if pixels.dtype.kind == "f" else values


def cut_patches(
    labels: np.ndarray,
    wanted: np.ndarray,
    centres_px: np.ndarray,
    diameter_px: float,
    grey: np.ndarray | None,
    grey_range: GreyRange,
) -> np.ndarray:
    """Square cut-outs around instances, at the scale at which `diameter_px` is DIAMETER_PX.

    Args:
        labels: (y, x).
        wanted: (n,) labels of the instances.
        centres_px: (n, 2) centroids (y, x).
        diameter_px: typical diameter in the frame.
        grey: (y, x) finite grey values, or None.
        grey_range: of the frame.

    Returns:
        (n, 2, PATCH_PX, PATCH_PX) uint8: grey values (FULL = upper end of the range), and masks
        (OWN = this instance, OTHERS = another one). Beyond the frame both are 0.
    """
    patches = np.zeros((len(wanted), 2, PATCH_PX, PATCH_PX), np.uint8)
    if not len(wanted):
        return patches
    factor = DIAMETER_PX / max(diameter_px, 1.0)
    corners = np.rint((centres_px + 0.5) * factor).astype(np.int64) - PATCH_PX // 2
    # Signed integers are what OpenCV can resize; labels keep their bits.
    marks = np.ascontiguousarray(labels, np.uint32).view(np.int32)
    own = wanted.astype(np.uint32).view(np.int32)[:, None, None]
    cut = _enlarged if factor > 1 else _reduced
    crops = cut(marks, corners, factor, cv2.INTER_NEAREST)
    patches[:, 1] = np.where(crops == own, OWN, np.where(crops != 0, OTHERS, 0))
    if grey is not None:
        shown = np.clip(grey_range.scaled(grey) * FULL, 0, 255).astype(np.uint8)
        way = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
        patches[:, 0] = cut(shown, corners, factor, way)
    return patches


def _reduced(plane: np.ndarray, corners: np.ndarray, factor: float, way: int) -> np.ndarray:
    """(n, PATCH_PX, PATCH_PX) windows of a reduced plane that begin at (n, 2) corners."""
    height, width = plane.shape
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.pad(cv2.resize(plane, size, interpolation=way), PATCH_PX)
    windows = np.lib.stride_tricks.sliding_window_view(small, (PATCH_PX, PATCH_PX))
    begin = np.clip(corners + PATCH_PX, 0, np.array(small.shape) - PATCH_PX)
    return np.asarray(windows[begin[:, 0], begin[:, 1]])


def _enlarged(plane: np.ndarray, corners: np.ndarray, factor: float, way: int) -> np.ndarray:
    """The same of an enlarged plane, which is never made: small cells lie in large planes."""
    steps = (corners[:, :, None] + np.arange(PATCH_PX) + 0.5) / factor
    if way == cv2.INTER_NEAREST:
        y, x = np.floor(steps).astype(np.int64).transpose(1, 0, 2)
        inside_y, inside_x = (y >= 0) & (y < plane.shape[0]), (x >= 0) & (x < plane.shape[1])
        y, x = np.where(inside_y, y, 0), np.where(inside_x, x, 0)
        found = plane[y[:, :, None], x[:, None, :]]
        return np.where(inside_y[:, :, None] & inside_x[:, None, :], found, 0)
    y, x = (steps - 0.5).astype(np.float32).transpose(1, 0, 2)
    shape = (PATCH_PX, PATCH_PX)
    crops = [
        cv2.remap(plane, np.broadcast_to(b, shape).copy(), np.repeat(a[:, None], PATCH_PX, 1), way)
        for a, b in zip(y, x, strict=True)
    ]
    return np.stack(crops)

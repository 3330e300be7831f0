"""Detections: what linking knows of the instances of one frame, without the frame itself."""

from __future__ import annotations

from dataclasses import dataclass, fields

import cv2
import numpy as np

from kiosk.imaging.patches import PATCH_PX, GreyRange, cut_patches
from kiosk.imaging.runs import Runs, label_runs
from kiosk.imaging.shapes import moments

# A cell that moves by a tenth of its diameter must be seen to move: a larger overview gains
# nothing, the detections themselves refine the shift.
OVERVIEW_PX = 256


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The instances of one frame, ascending by label.

    Lengths are pixels of the y and x axes; z is scaled to them.

    Attributes:
        labels: (n,) uint32.
        positions_px: (n, 3) float32, centroid (z, y, x); z = 0 in a plane.
        area_px: (n,) float32; of a volume that of its largest ellipse, so that its root is a
            length in both.
        moments_px2: (n, 3) float32, variance of y, variance of x, covariance of the pixels.
        border_px: (n,) float32, from the bounding box to the nearest border in y or x.
        brightness: (n,) float32, mean grey value, where 0 is the background of the frame and 1 its
            bright instances; 0 without pixels.
        texture: (n,) float32, standard deviation of the grey values on the same scale.
        patches: (n, 2, PATCH_PX, PATCH_PX) uint8, grey values and masks around each instance
            (`patches.cut_patches`), or (n, 0, 0, 0) where nobody wanted them.
        overview: (y, x) uint8, the frame reduced to OVERVIEW_PX at most.
        overview_scale: float32 scalar array, pixels of the frame per pixel of the overview.
    """

    labels: np.ndarray
    positions_px: np.ndarray
    area_px: np.ndarray
    moments_px2: np.ndarray
    border_px: np.ndarray
    brightness: np.ndarray
    texture: np.ndarray
    patches: np.ndarray
    overview: np.ndarray
    overview_scale: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def diameters_px(self) -> np.ndarray:
        """(n,) of the circles of the same area."""
        return np.asarray(2 * np.sqrt(self.area_px / np.pi))

    def columns(self) -> dict[str, np.ndarray]:
        """Everything as arrays by name, for `numpy.savez`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_columns(cls, columns: dict[str, np.ndarray]) -> Detections:
        return cls(**{field.name: columns[field.name] for field in fields(cls)})


def detect(
    labels: np.ndarray,
    pixels: np.ndarray | None = None,
    *,
    patches: bool = True,
    z_step: float = 1.0,
) -> Detections:
    """What linking needs of one frame.

    Args:
        labels: (y, x) or (z, y, x) unsigned labels, 0 = background.
        pixels: of the same shape and any real dtype; None = there is no image, and all that
            is known are the shapes.
        patches: also cut out how every instance looks, which only a network wants.
        z_step: distance of planes in pixels of y and x.

    Raises:
        ValueError: labels are neither a plane nor a stack, or the pixels have another shape.
    """
    if labels.ndim not in (2, 3):
        raise ValueError(f"labels must be (y, x) or (z, y, x), not of shape {labels.shape}")
    if pixels is not None and pixels.shape != labels.shape:
        raise ValueError(f"pixels have shape {pixels.shape}, labels {labels.shape}")
    stack = labels if labels.ndim == 3 else labels[None]
    depth, height, width = stack.shape
    runs = label_runs(stack.reshape(depth * height, width))
    z = runs.y // height
    runs = Runs(runs.y % height, runs.x, runs.length, runs.labels, runs.first, (height, width))
    voxels = runs.total(runs.length)
    y, x, var_y, var_x, covariance = moments(runs, voxels)
    middle_z = runs.total(runs.length * z) / np.maximum(voxels, 1)
    area = voxels.astype(np.float64)
    if depth > 1:
        # The great circle of the ball of the same volume.
        area = np.pi * (3 * voxels * z_step / (4 * np.pi)) ** (2 / 3)
    grey = _grey_plane(stack, pixels)
    scale = GreyRange.of(stack, pixels)
    brightness, texture = _grey_values(runs, z, pixels, scale, (depth, height, width))
    flat = _flat_labels(stack)
    size = float(np.median(2 * np.sqrt(area / np.pi))) if len(area) else 1.0
    cut = np.zeros((len(area), 0, 0, 0), np.uint8)
    if patches:
        centres = np.stack([y, x], axis=1)
        cut = cut_patches(flat, runs.labels, centres, size, grey, scale)
    overview, reduced = _overview(flat, grey, scale)
    return Detections(
        labels=runs.labels.astype(np.uint32),
        positions_px=np.stack([middle_z * z_step, y, x], axis=1).astype(np.float32),
        area_px=area.astype(np.float32),
        moments_px2=np.stack([var_y, var_x, covariance], axis=1).astype(np.float32),
        border_px=_border_px(runs).astype(np.float32),
        brightness=brightness,
        texture=texture,
        patches=cut,
        overview=overview,
        overview_scale=np.array(reduced, np.float32),
    )


def _border_px(runs: Runs) -> np.ndarray:
    height, width = runs.shape
    low = np.minimum(runs.least(runs.y), runs.least(runs.x))
    high = np.minimum(height - 1 - runs.most(runs.y), width - runs.most(runs.x + runs.length))
    return np.minimum(low, high)


def _flat_labels(stack: np.ndarray) -> np.ndarray:
    """(y, x) labels seen from above; what has the higher label hides the other."""
    return stack[0] if len(stack) == 1 else stack.max(axis=0)


def _grey_plane(stack: np.ndarray, pixels: np.ndarray | None) -> np.ndarray | None:
    """(y, x) grey values, of a stack the brightest along z."""
    if pixels is None:
        return None
    plane = pixels if pixels.ndim == 2 else pixels.max(axis=0)
    return np.nan_to_num(plane) if plane.dtype.kind == "f" else plane


def _grey_values(
    runs: Runs,
    z: np.ndarray,
    pixels: np.ndarray | None,
    scale: GreyRange,
    shape: tuple[int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) brightness and texture, by sums along the runs."""
    if pixels is None or not len(runs.labels):
        nothing = np.zeros(len(runs.labels), np.float32)
        return nothing, nothing
    # Sums of float64 over float32 would be converted piece by piece, at several times the cost.
    values = scale.scaled(pixels).ravel().astype(np.float64)
    begin = (z * shape[1] + runs.y) * shape[2] + runs.x
    count = runs.total(runs.length)
    through = np.zeros(values.size + 1)
    np.cumsum(values, out=through[1:])
    mean = runs.total(through[begin + runs.length] - through[begin]) / count
    np.cumsum(np.square(values, out=values), out=through[1:])
    square = runs.total(through[begin + runs.length] - through[begin]) / count
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return mean.astype(np.float32), deviation.astype(np.float32)


def _overview(
    labels: np.ndarray, grey: np.ndarray | None, scale: GreyRange
) -> tuple[np.ndarray, float]:
    """(y, x) uint8 picture of the frame, and how many pixels one of its pixels covers.

    Without grey values it shows where instances are.
    """
    height, width = labels.shape
    reduced = max(1.0, max(height, width) / OVERVIEW_PX)
    size = max(1, round(width / reduced)), max(1, round(height / reduced))
    if grey is None:
        shown = np.where(labels > 0, np.float32(1), np.float32(0))
    else:
        shown = scale.scaled(grey)
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small * 160, 0, 255).astype(np.uint8)), reduced


__all__ = ["PATCH_PX", "Detections", "detect"]

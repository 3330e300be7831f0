"""The right scale: a network finds what has about the size of what it was trained on.

An image whose instances are much smaller or larger is resized for the network, and the maps are
resized back before instances are made of them.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

# A network copes with this ratio of sizes by itself; within it the pixel grid is left alone. On the
# validation images 1.2 to 1.4 give the same F1; more is faster, less finds more in tissue.
TOLERANCE = 1.25
# Scales are rounded to quarters of an octave, from 0.35 to 2.4 times: near enough for a network,
# and images of one experiment keep one shape, for which an engine has its kernels ready.
STEPS_PER_OCTAVE = 4
SMALLEST_STEP, LARGEST_STEP = -6, 5
# Scales are whole 32nds, so that 32 pixels become a whole number of pixels: windows that begin at
# such multiples are resized to the same pixels as the whole plane.
PARTS = 32


def scale_for(diameter_px: float, network_diameter_px: float) -> float:
    """How much larger an image has to become for a network.

    Args:
        diameter_px: typical diameter of the instances in the image; 0 = unknown.
        network_diameter_px: the diameter that the network was trained for; 0 = any.

    Returns:
        1 where nothing is known or the sizes are near enough, else about a power of two to a
        multiple of a quarter, in whole 32nds.
    """
    if diameter_px <= 0 or network_diameter_px <= 0:
        return 1.0
    scale = network_diameter_px / diameter_px
    if abs(math.log(scale)) <= math.log(TOLERANCE):
        return 1.0
    step = round(math.log2(scale) * STEPS_PER_OCTAVE)
    scale = 2 ** (min(LARGEST_STEP, max(SMALLEST_STEP, step)) / STEPS_PER_OCTAVE)
    return round(scale * PARTS) / PARTS


def alignment_px(scale: float, divisor_px: int) -> int:
    """Windows that begin at multiples of this look the same to a network, wherever they are.

    Args:
        scale: of `scale_for`.
        divisor_px: the network's, at its own scale.
    """
    if scale == 1.0:
        return divisor_px
    return PARTS * divisor_px // math.gcd(round(scale * PARTS), divisor_px)


def whole_parts(shape: tuple[int, int]) -> tuple[int, int]:
    """The least (y, x) sizes, not smaller than these, that every scale resizes without rest."""
    height, width = (-(-length // PARTS) * PARTS for length in shape)
    return height, width


def diameters_px(labels: np.ndarray) -> np.ndarray:
    """Diameters of the circles with the instances' areas, (instance,) float64.

    Args:
        labels: (y, x) of any integer dtype, 0 = background.
    """
    areas_px = np.bincount(labels.ravel())[1:]
    return 2 * np.sqrt(areas_px[areas_px > 0] / np.pi)


def typical_diameter_px(labels: np.ndarray) -> float:
    """Median of `diameters_px`; 0 without an instance."""
    diameters = diameters_px(labels)
    return float(np.median(diameters)) if diameters.size else 0.0


def scaled_shape(shape: tuple[int, int], scale: float) -> tuple[int, int]:
    """(y, x) of a plane at another scale, at least one pixel each."""
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def resized(channels: np.ndarray, height_px: int, width_px: int) -> np.ndarray:
    """Channels at another size: mean over areas downwards, linear upwards.

    Args:
        channels: (channel, y, x) of uint8, uint16, float16 or float32.

    Returns:
        (channel, height_px, width_px) of the same dtype.
    """
    if channels.shape[1:] == (height_px, width_px):
        return channels
    smaller = height_px * width_px < channels.shape[1] * channels.shape[2]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    size = (width_px, height_px)
    # OpenCV resizes everything but halves.
    values = channels.astype(np.float32) if channels.dtype == np.float16 else channels
    sized = np.stack([cv2.resize(channel, size, interpolation=method) for channel in values])
    return sized.astype(channels.dtype, copy=False)

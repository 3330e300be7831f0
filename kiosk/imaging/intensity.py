"""Intensity limits of a plane, and the integer form in which tiles travel to the model.

The limits are taken once per plane and sent along with every tile, so that all tiles
of one plane are normalised alike and no seam appears where two tiles meet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kiosk.imaging.tiling import iter_bands

# Percentiles are read from at most this many pixels of a plane: enough for a stable
# estimate, and the cost no longer grows with the plane.
SAMPLE_LIMIT_PX = 2_000_000

UINT16_MAX = 65_535
FLOAT16_MAX = 65_504
# Pixels that are stretched at a time: what fits a processor's cache.
STRETCH_PX = 100_000


@dataclass(frozen=True)
class Limits:
    """Grey values that the model maps to 0 (`low`) and 1 (`high`); `high` > `low`."""

    low: float
    high: float


def plane_limits(
    plane: np.ndarray, low_percentile: float = 1.0, high_percentile: float = 99.8
) -> Limits:
    """Percentile limits of one plane.

    Args:
        plane: (y, x) or (channel, y, x), any real dtype; NaN and infinities are ignored.
            Channels share one pair of limits, so that colours keep their balance.
        low_percentile: percentile mapped to 0.
        high_percentile: percentile mapped to 1.

    Returns:
        Limits with `high` > `low`. A constant plane gives (value, value + 1), which the
        model sees as black.
    """
    step = sample_step(plane.size)
    return sample_limits(plane[..., ::step, ::step], low_percentile, high_percentile)


def sample_step(pixels: int) -> int:
    """Every how many-th row and column of a plane is looked at; for all of its channels."""
    return max(1, int(np.ceil(np.sqrt(pixels / SAMPLE_LIMIT_PX))))


def sample_limits(sample: np.ndarray, low_percentile: float, high_percentile: float) -> Limits:
    """Percentile limits of pixels that stand for a plane, see `plane_limits`."""
    sample = sample.ravel()
    if sample.dtype.kind == "f":
        sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return Limits(0.0, 1.0)
    low, high = _percentiles(sample, low_percentile, high_percentile)
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        # One is nothing beside a very large value; the next number is then the least that counts.
        high = max(low + 1.0, float(np.nextafter(low, np.inf)))
    return Limits(low, high)


def as_uint16(plane: np.ndarray, limits: Limits) -> tuple[np.ndarray, Limits]:
    """The plane as uint16, the dtype in which pixels travel to the model, and its limits there.

    8-bit and 16-bit unsigned values are kept as they are; only where the limits are further apart
    than float16 reaches, in which a GPU may compute, are they halved. Anything else (floats,
    signed or 32-bit integers) is stretched linearly, so that half a span below `low` becomes 0 and
    a whole span above `high` becomes 65535; values beyond are clipped, NaN becomes 0. The model
    cuts off nearer to the limits than that, so nothing that it could see is lost, and a few
    wild values do not squeeze all others together.

    Args:
        plane: (..., y, x) of any real dtype.
        limits: of this plane, see `plane_limits`.

    Returns:
        uint16 array of the same shape, and the limits in its values.
    """
    if plane.dtype == np.uint16 and limits.high - limits.low > FLOAT16_MAX:
        return plane >> 1, Limits(limits.low // 2, limits.high // 2)
    if plane.dtype in (np.uint8, np.uint16):
        return plane.astype(np.uint16), limits
    pixels = np.empty(plane.shape, np.uint16)
    # Bands: float64 of a whole plane would be many times its size.
    shape = math.prod(plane.shape[:-1]), plane.shape[-1]
    rows, out = plane.reshape(shape), pixels.reshape(shape)
    for band in iter_bands(*rows.shape, STRETCH_PX):
        out[band] = _stretched(rows[band], limits)
    return pixels, Limits(0.2 * UINT16_MAX, 0.6 * UINT16_MAX)


def _stretched(values: np.ndarray, limits: Limits) -> np.ndarray:
    scale = UINT16_MAX / (2.5 * (limits.high - limits.low))
    # The offset goes first and in float64: a small signal on a large pedestal keeps its detail.
    with np.errstate(over="ignore", invalid="ignore"):
        stretched = (values.astype(np.float64) - limits.low) * scale + 0.2 * UINT16_MAX
    stretched = np.nan_to_num(stretched, nan=0.0, posinf=UINT16_MAX, neginf=0.0)
    return np.clip(np.rint(stretched), 0, UINT16_MAX).astype(np.uint16)


def _percentiles(sample: np.ndarray, low: float, high: float) -> tuple[float, float]:
    if sample.dtype in (np.uint8, np.uint16):
        # Counting grey values is several times faster than sorting the sample.
        reached = np.cumsum(np.bincount(sample))
        ranks = np.array([low, high]) / 100 * (sample.size - 1)
        values = np.searchsorted(reached, ranks, side="right")
        return float(values[0]), float(values[1])
    found = np.percentile(sample.astype(np.float64), [low, high])
    return float(found[0]), float(found[1])

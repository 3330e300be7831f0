"""Intensity limits of a plane, and the integer form in which tiles travel to the model.

The limits are taken once per plane and sent along with every tile, so that all tiles
of one plane are normalised alike and no seam appears where two tiles meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Percentiles are read from at most this many pixels of a plane: enough for a stable
# estimate, and the cost no longer grows with the plane.
SAMPLE_LIMIT_PX = 2_000_000

UINT16_MAX = 65_535


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
    sample = _sample(plane)
    if sample.size == 0:
        return Limits(0.0, 1.0)
    low, high = np.percentile(sample, [low_percentile, high_percentile])
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    if high <= low:
        high = low + 1.0
    return Limits(float(low), float(high))


def as_uint16(plane: np.ndarray) -> np.ndarray:
    """The plane as uint16, the dtype in which pixels travel to the model.

    8-bit and 16-bit unsigned values are kept as they are. Anything else (floats, signed
    or 32-bit integers) is stretched linearly from its finite minimum and maximum to
    0..65535; NaN and -inf become 0, +inf becomes 65535. The model only sees values
    relative to the limits of the plane, so a linear stretch changes nothing for it.

    Args:
        plane: (..., y, x) of any real dtype.

    Returns:
        uint16 array of the same shape.
    """
    if plane.dtype in (np.uint8, np.uint16):
        return plane.astype(np.uint16)
    if plane.dtype == np.bool_:
        return plane.astype(np.uint16) * UINT16_MAX
    values = plane.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(plane.shape, np.uint16)
    low, high = float(values[finite].min()), float(values[finite].max())
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    # Halving first keeps the span finite for values near the limits of float64.
    span = (high / 2 - low / 2) or 1.0
    stretched = (values / 2 - low / 2) / span * UINT16_MAX
    return np.rint(stretched).astype(np.uint16)


def _sample(plane: np.ndarray) -> np.ndarray:
    """Finite values of an evenly spaced subset of the plane, as float64."""
    step = max(1, int(np.ceil(np.sqrt(plane.size / SAMPLE_LIMIT_PX))))
    values = plane[..., ::step, ::step].astype(np.float64).ravel()
    return values[np.isfinite(values)]

"""Grey values as 16 bits, in which viewers get them: real value = offset + scale * stored.

What has 8 or 16 bits is stored as it is, signed values moved up by half of their range. Wider
numbers are mapped by what was seen in small pictures of some planes, alike for all planes of a
channel, so that brightness can be compared through time; what lies far outside is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kiosk.imaging.intensity import UINT16_MAX, Limits, sample_limits

# Percentiles between which a viewer shows black to white.
LOW_PERCENTILE, HIGH_PERCENTILE = 0.5, 99.8
# What wild values may be away from the others before they are clipped, in spans of those.
_BELOW_SPANS, _ABOVE_SPANS = 1.0, 4.0
# Single pixels go beyond the averages of small pictures; this share of the range is left for them.
_MARGIN = 0.25
# So that differences are numbers, too.
_LARGEST = 1e300
_OFFSETS = {"b1": 0.0, "u1": 0.0, "u2": 0.0, "i1": -128.0, "i2": -32768.0}


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """How the values of a channel are stored, and which are shown as black and white.

    Attributes:
        low, high: good limits of contrast, in stored values.
    """

    offset: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = float(UINT16_MAX)

    def stored(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels of any real dtype as uint16; NaN is 0."""
        if pixels.dtype.kind in "bu" and pixels.dtype.itemsize <= 2:
            return pixels.astype(np.uint16)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (pixels.astype(np.float64) - self.offset) / self.scale
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=UINT16_MAX, neginf=0.0)
        return np.clip(np.rint(scaled), 0, UINT16_MAX).astype(np.uint16)


def plain_values(dtype: np.dtype[Any]) -> StoredValues | None:
    """How values of this type are stored whatever they are; None where they have to be seen."""
    offset = _OFFSETS.get(f"{dtype.kind}{dtype.itemsize}")
    return None if offset is None else StoredValues(offset=offset)


def measured_values(middle: np.ndarray, others: Sequence[np.ndarray] = ()) -> StoredValues:
    """How values are stored, by small pictures of one channel, or of colours that belong together.

    Args:
        middle: pixels of a plane in the middle, which limits of contrast are taken from.
        others: pixels of other planes, all of one dtype.
    """
    values = plain_values(middle.dtype) or _mapped(
        np.concatenate([pixels.ravel() for pixels in (middle, *others)])
    )
    limits = sample_limits(middle, LOW_PERCENTILE, HIGH_PERCENTILE)
    low, high = values.stored(np.array([limits.low, limits.high], np.float64)).tolist()
    low = min(low, UINT16_MAX - 1)
    return replace(values, low=float(low), high=float(max(low + 1, high)))


def _mapped(seen: np.ndarray) -> StoredValues:
    known = np.clip(seen[np.isfinite(seen)].astype(np.float64), -_LARGEST, _LARGEST)
    if not known.size:
        return StoredValues()
    low, high = _range(known, sample_limits(known, LOW_PERCENTILE, HIGH_PERCENTILE))
    if seen.dtype.kind != "f" and high - low <= UINT16_MAX - 1:
        # Whole numbers stay what they are, moved where needed.
        return StoredValues(offset=0.0 if low >= 0 and high <= UINT16_MAX else float(np.floor(low)))
    return StoredValues(offset=low, scale=max((high - low) / UINT16_MAX, np.finfo(float).tiny))


def _range(known: np.ndarray, limits: Limits) -> tuple[float, float]:
    """Lowest and highest value that is told from others."""
    span = limits.high - limits.low
    lowest, highest = float(known.min()), float(known.max())
    low = max(lowest, limits.low - _BELOW_SPANS * span)
    high = min(highest, limits.high + _ABOVE_SPANS * span)
    margin = _MARGIN * max(high - low, span)
    return (max(0.0, low - margin) if lowest >= 0 else low - margin), high + margin

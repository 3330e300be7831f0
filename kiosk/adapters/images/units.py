"""Lengths and times with the units that image formats name, in micrometres and seconds."""

from __future__ import annotations

import math
from typing import Any

_UM = {
    "angstrom": 1e-4,
    "picometer": 1e-6,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "micron": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "decimeter": 1e5,
    "meter": 1e6,
    "inch": 25400.0,
    "Å": 1e-4,
    "pm": 1e-6,
    "nm": 1e-3,
    "µm": 1.0,
    "um": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}
_S = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
    "day": 86400.0,
    "ns": 1e-9,
    "µs": 1e-6,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
}
# Anything but nonsense, up to dissecting microscopes.
_POSSIBLE_UM = (1e-4, 1e4)


def length_um(value: Any, unit: Any) -> float | None:
    """A length in µm, or None when it is no sensible length or the unit is not known."""
    number, factor = positive(value), _factor(unit, _UM)
    if number is None or factor is None:
        return None
    return number * factor if _POSSIBLE_UM[0] <= number * factor <= _POSSIBLE_UM[1] else None


def time_s(value: Any, unit: Any) -> float | None:
    """A time in seconds, or None when it is no sensible time or the unit is not known."""
    number, factor = positive(value), _factor(unit, _S)
    return None if number is None or factor is None else number * factor


def positive(value: Any) -> float | None:
    """A positive, finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _factor(unit: Any, factors: dict[str, float]) -> float | None:
    """British spelling, plurals, capitals and the Greek mu are understood."""
    if not isinstance(unit, str):
        return None
    text = unit.strip().replace("μ", "µ")
    if text in factors:
        return factors[text]
    return factors.get(text.lower().replace("metre", "meter").removesuffix("s"))

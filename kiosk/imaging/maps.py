"""Values of network maps: uint8 is full scale / 255, float16 and float32 are the value itself."""

from __future__ import annotations

import math

import cv2
import numpy as np

UINT8_MAX = 255.0
_FRACTIONS = np.arange(256, dtype=np.float32) / np.float32(UINT8_MAX)


def as_fraction(values: np.ndarray) -> np.ndarray:
    """A map as float32, 1.0 = full scale. uint8, float16 or float32, of any shape."""
    if values.dtype == np.uint8:
        if values.size == 0:
            return values.astype(np.float32)
        rows = values.reshape(values.shape[0], -1)
        return np.asarray(cv2.LUT(rows, _FRACTIONS), np.float32).reshape(values.shape)
    return values.astype(np.float32, copy=False)


def at_least(values: np.ndarray, threshold: float) -> np.ndarray:
    """Where a map reaches a fraction of full scale, as bool of the same shape."""
    if values.dtype == np.uint8:
        # Whole numbers are compared as bytes, many times faster than as floats.
        return np.asarray(values >= math.ceil(threshold * UINT8_MAX))
    return np.asarray(values >= threshold)


def as_pixels(values: np.ndarray) -> np.ndarray:
    """Lengths as float32 pixels: every type holds pixels as they are."""
    return values.astype(np.float32, copy=False)


def as_signed(values: np.ndarray, scale: float) -> np.ndarray:
    """A signed map as float32: (uint8 - 128) / 127, or float / `scale`."""
    if values.dtype == np.uint8:
        return (values.astype(np.float32) - 128) / np.float32(127)
    return values.astype(np.float32) / np.float32(scale)

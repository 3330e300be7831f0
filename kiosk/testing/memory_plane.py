"""`exports.writer.LabelPlane` in memory."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from kiosk.imaging.rendering import display_labels, display_size
from kiosk.ports import Window


class MemoryPlane:
    """A finished plane made of two arrays.

    Args:
        label_image: (y, x) labels of any unsigned type.
        pixel_image: (channel, y, x) pixels of the same size; zeros where there are none.
    """

    def __init__(
        self,
        label_image: np.ndarray,
        pixel_image: np.ndarray | None = None,
        *,
        t: int = 0,
        z: int = 0,
    ) -> None:
        self.t, self.z = t, z
        self.shape = (label_image.shape[0], label_image.shape[1])
        found = np.unique(label_image)
        self.instances = int(np.count_nonzero(found))
        self.rows_read = 0
        self._labels = label_image
        self._pixels = np.zeros((1, *self.shape), np.uint8) if pixel_image is None else pixel_image

    def labels(self, window: Window | None = None) -> np.ndarray:
        part = self._labels[window or (slice(None), slice(None))]
        self.rows_read += len(part)
        return part.astype(np.uint32)

    def pixels(self, channels: Sequence[int], window: Window | None = None) -> np.ndarray:
        rows, columns = window or (slice(None), slice(None))
        return self._pixels[list(channels), rows, columns]

    def small_labels(self, longest_px: int) -> np.ndarray:
        return display_labels(self._labels, longest_px)

    def small_pixels(self, channels: Sequence[int], longest_px: int) -> np.ndarray:
        height, width = display_size(*self.shape, longest_px)
        whole = self.pixels(channels)
        if (height, width) == self.shape:
            return whole
        return np.stack(
            [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in whole]
        )

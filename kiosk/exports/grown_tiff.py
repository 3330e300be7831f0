"""A second label image, of instances grown into their surroundings: whole cells around nuclei."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from kiosk.exports.label_tiff import LabelTiff
from kiosk.exports.writer import LabelPlane, ResultImage
from kiosk.imaging.finishing import expand
from kiosk.ports import Window

# In the middle of what is usual for cells of tissue. Images of tissue have about half a micrometre
# per pixel where nothing else is said.
GROWTH_UM, GROWTH_PX = 4.0, 8.0
# As the parameter expand_px has it.
LARGEST_GROWTH_PX = 200.0
# Columns that grow at a time: growing takes several times the memory of the labels.
PIECE_PX = 1024


class GrownTiff(LabelTiff):
    """As the label image, each instance with its number and with what is near it.

    Background goes to the nearest instance within the growth, so instances that meet do not merge.
    """

    name = "grown labels"

    def __init__(self, path: Path, image: ResultImage) -> None:
        self._growth_px = growth_px(image.pixel_size_um)
        self._margin_px = math.ceil(self._growth_px)
        if image.touched is not None:
            shape = image.sizes["y"], image.sizes["x"]
            image = replace(image, touched=_wider(image.touched, shape, self._margin_px))
        super().__init__(path, image)

    def labels_of(self, plane: LabelPlane, window: Window | None = None) -> np.ndarray:
        rows, columns = window or (slice(0, plane.shape[0]), slice(0, plane.shape[1]))
        pieces = []
        for left in range(columns.start, columns.stop, PIECE_PX):
            piece = rows, slice(left, min(left + PIECE_PX, columns.stop))
            seen = _wider(piece, plane.shape, self._margin_px)
            pieces.append(expand(plane.labels(seen), self._growth_px)[_within(piece, seen)])
        return np.concatenate(pieces, axis=1)


def growth_px(pixel_size_um: tuple[float, float] | None) -> float:
    """How far instances grow in an image of this (y, x) pixel size."""
    if pixel_size_um is None:
        return GROWTH_PX
    return min(GROWTH_UM / math.sqrt(math.prod(pixel_size_um)), LARGEST_GROWTH_PX)


def _wider(window: Window, shape: tuple[int, int], margin_px: int) -> Window:
    """With a margin, as far as the plane reaches."""
    rows, columns = (
        slice(max(0, side.start - margin_px), min(length, side.stop + margin_px))
        for side, length in zip(window, shape, strict=True)
    )
    return rows, columns


def _within(window: Window, outer: Window) -> Window:
    """A window of the plane, as one of a larger window."""
    rows, columns = (
        slice(inner.start - whole.start, inner.stop - whole.start)
        for inner, whole in zip(window, outer, strict=True)
    )
    return rows, columns

"""Perimeter of every instance, all instances at once.

The estimator is scikit-image's `perimeter` with four neighbours: border pixels weigh 1, the square
root of 2 or the mean of both, by which of their neighbours are border pixels too (Benkrid et al.,
"Design and FPGA implementation of a perimeter estimator", Proc. Irish Machine Vision and Image
Processing Conf., 2000).
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.runs import Places
from kiosk.imaging.tiling import iter_bands

SIDE, CORNER = np.uint8(2), np.uint8(10)
_WEIGHTS = np.zeros(1 + 4 * SIDE + 4 * CORNER + 1)
_WEIGHTS[[5, 7, 15, 17, 25, 27]] = 1
_WEIGHTS[[21, 33]] = np.sqrt(2)
_WEIGHTS[[13, 23]] = (1 + np.sqrt(2)) / 2
# A pixel's weight depends on its neighbours being border pixels, which depends on theirs.
MARGIN_PX = 2
# Rows at a time: what fits a processor's cache is done in half the time.
BAND_PX = 200_000


def perimeters_px(labels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(instance,) float64: perimeter of each of the wanted labels, holes included.

    Args:
        labels: (y, x) of any integer dtype, 0 = background.
        wanted: (instance,) labels, ascending.
    """
    height, width = labels.shape
    total = np.zeros(len(wanted))
    places = Places(wanted)
    for band in iter_bands(height, width, BAND_PX):
        top, bottom = max(0, band.start - MARGIN_PX), min(height, band.stop + MARGIN_PX)
        rows = slice(band.start - top + MARGIN_PX, band.stop - top + MARGIN_PX)
        label, weight = _border_weights(np.pad(labels[top:bottom], MARGIN_PX), rows)
        total += np.bincount(places.of(label), weight, len(wanted))
    return total


def perimeter_of_rows_px(inside: np.ndarray) -> float:
    """What some rows of one instance add to its perimeter.

    Args:
        inside: (y, x) bool, the instance in these rows, and in MARGIN_PX more above and below.
    """
    padded = np.pad(inside.view(np.uint8), ((0, 0), (MARGIN_PX, MARGIN_PX)))
    _, weight = _border_weights(padded, slice(MARGIN_PX, len(padded) - MARGIN_PX))
    return float(weight.sum())


def _border_weights(padded: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """(label, weight) of the border pixels in some rows of labels with a margin of zeros."""
    centre = padded[1:-1, 1:-1]
    is_border = np.zeros(padded.shape, bool)
    inner = is_border[1:-1, 1:-1]
    for neighbour in (
        padded[:-2, 1:-1],
        padded[2:, 1:-1],
        padded[1:-1, :-2],
        padded[1:-1, 2:],
    ):
        inner |= neighbour != centre
    inner &= centre > 0
    width = padded.shape[1]
    flat = (padded * is_border).ravel()
    of_rows = is_border.ravel()[rows.start * width : rows.stop * width]
    place = np.flatnonzero(of_rows) + rows.start * width
    label = flat[place]
    code = np.ones(len(place), np.uint8)
    for step, points in (
        (1, SIDE),
        (width, SIDE),
        (width - 1, CORNER),
        (width + 1, CORNER),
    ):
        code += points * (flat[place - step] == label)
        code += points * (flat[place + step] == label)
    return label, _WEIGHTS[code]

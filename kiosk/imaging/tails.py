"""Where cells have come from, drawn over a picture of where they are."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.imaging.rendering import colours, outlines

# Fixed-point places of OpenCV: sixteenths of a pixel.
_SHIFT = 4


def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Every pixel `factor` times in both directions: (y, x, ...) of any dtype."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def draw_tails(
    picture: np.ndarray,
    labels: np.ndarray,
    families: np.ndarray,
    tails: np.ndarray,
    tail_families: np.ndarray,
) -> np.ndarray:
    """Outlines and tails, each family in a colour of its own.

    Args:
        picture: (y, x, 3) uint8.
        labels: (y, x) instances in the picture, 0 = background.
        families: (label + 1,) number of the family of each label.
        tails: (line, 2, 2) y, x in pixels of the picture, from and to; the oldest first.
        tail_families: (line,) number of the family of each line.

    Returns:
        (y, x, 3) uint8.
    """
    drawn = picture.copy()
    edge = outlines(labels)
    drawn[edge] = colours(families[labels[edge]])
    # A place is the centre of its pixel in both; OpenCV wants x first.
    points = np.rint(tails[:, :, ::-1] * 2**_SHIFT).astype(np.int64)
    for (start, end), colour in zip(points.tolist(), colours(tail_families).tolist(), strict=True):
        cv2.line(drawn, start, end, colour, 1, cv2.LINE_AA, _SHIFT)
    return drawn

"""One plane as a small picture: outlines of truth and prediction, mistakes filled."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.imaging.matching import intersection_over_union, match_pairs
from kiosk.imaging.rendering import display_plane, outlines

# Orange and sky blue differ for every kind of colour vision, on dark and on dimmed bright ground.
TRUTH_COLOUR = (86, 200, 255)
PREDICTED_COLOUR = (255, 150, 0)
BOTH_COLOUR = (255, 255, 255)
# The image is dimmed, so that outlines stand out on stained tissue as well.
BRIGHTNESS = 0.65
FILL = 0.35
MATCHED_IOU = 0.5
# Outlines of cells are hardly seen in a plane that is shrunk more: then a part of it is shown.
LARGEST_SHRINK = 2


def mistake_tile(
    truth: np.ndarray, predicted: np.ndarray, image: np.ndarray | None, size_px: int
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """The plane, or the part of a large one that has most mistakes.

    Args:
        truth, predicted: (y, x) label images.
        image: (1 or 3, y, x) pixels to show below the outlines; None = black.
        size_px: sides of the tile.

    Returns:
        (size_px, size_px, 3) uint8 picture with the plane in its middle, and the part shown as
        (first row, first column, height, width).
    """
    missed, invented = unmatched(truth, predicted)
    part = _worst_part(missed | invented, size_px * LARGEST_SHRINK)
    top, left, height, width = part
    inside = np.s_[top : top + height, left : left + width]
    scale = size_px / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale)))
    picture = _background(image, truth.shape, inside, shape)
    for mistakes, colour in ((missed, TRUTH_COLOUR), (invented, PREDICTED_COLOUR)):
        filled = _nearest(mistakes[inside], shape)
        picture[filled] = (1 - FILL) * picture[filled] + FILL * np.array(colour)
    edge_of_truth = outlines(_nearest(truth[inside], shape))
    edge_of_predicted = outlines(_nearest(predicted[inside], shape))
    picture[edge_of_truth] = TRUTH_COLOUR
    picture[edge_of_predicted] = PREDICTED_COLOUR
    picture[edge_of_truth & edge_of_predicted] = BOTH_COLOUR
    tile = np.zeros((size_px, size_px, 3), np.uint8)
    y, x = (size_px - shape[0]) // 2, (size_px - shape[1]) // 2
    tile[y : y + shape[0], x : x + shape[1]] = picture
    return tile, part


def unmatched(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(y, x) bool each: pixels of true instances and of predicted ones without a match."""
    overlaps = intersection_over_union(truth, predicted)
    pairs = match_pairs(overlaps, MATCHED_IOU)
    return (
        _others(truth, overlaps.truth[pairs]),
        _others(predicted, overlaps.predicted[pairs]),
    )


def _others(labels: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Pixels of all instances but those at these positions in ascending label order."""
    ids = np.unique(labels)
    return np.isin(labels, np.delete(ids[ids != 0], matched))


def _worst_part(mistakes: np.ndarray, side_px: int) -> tuple[int, int, int, int]:
    """The window of at most this side with most pixels of mistakes: (y, x, height, width)."""
    height, width = min(side_px, mistakes.shape[0]), min(side_px, mistakes.shape[1])
    total = cv2.integral(mistakes.astype(np.uint8))
    sums = total[height:, width:] - total[:-height, width:]
    sums = sums - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(top), int(left), height, width


def _background(
    image: np.ndarray | None,
    plane: tuple[int, ...],
    inside: tuple[slice, slice],
    shape: tuple[int, int],
) -> np.ndarray:
    """(y, x, 3) uint8 of the tile's shape, dimmed; black without an image."""
    if image is None:
        return np.zeros((*shape, 3), np.uint8)
    # Contrast is that of the whole plane, so that an empty corner does not become all noise.
    part = np.ascontiguousarray(display_plane(image, max(plane))[inside])
    smaller = shape[0] < part.shape[0]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resized = cv2.resize(part, shape[::-1], interpolation=method)
    return np.asarray(resized * BRIGHTNESS, np.uint8)


def _nearest(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels at another size, each the nearest of the old ones."""
    rows = ((np.arange(shape[0]) + 0.5) / shape[0] * pixels.shape[0]).astype(np.int64)
    columns = ((np.arange(shape[1]) + 0.5) / shape[1] * pixels.shape[1]).astype(np.int64)
    return pixels[rows[:, None], columns[None, :]]

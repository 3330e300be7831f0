"""What a perfect network of each head would answer for a known label image.

For tests and benchmarks of post-processing: label image in, `{map name: array}` out, with the
names, axes and values of `kiosk.heads`.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from kiosk.imaging.finishing import boxes


def distance_maps(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Foreground and distance to the border over its highest value in the instance, (y, x) uint8.

    `labels`, here and below: (y, x) integers, 0 = background, instances 1..n.
    """
    return {
        "foreground": _foreground(labels),
        "distance": np.rint(border_distance(labels) * 255).astype(np.uint8),
    }


def boundary_maps(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Foreground, and the pixels on either side of every border, (y, x) uint8."""
    padded = np.pad(labels, 1, mode="edge").astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    differs = cv2.dilate(padded, kernel) != cv2.erode(padded, kernel)
    boundary = differs[1:-1, 1:-1] & (labels > 0)
    return {"foreground": _foreground(labels), "boundary": boundary.astype(np.uint8) * 255}


def star_maps(labels: np.ndarray, rays: int = 32) -> dict[str, np.ndarray]:
    """Foreground that falls towards the border (y, x), and (ray, y, x) float32 lengths in px."""
    height, width = labels.shape
    y, x = np.nonzero(labels)
    own = labels[y, x]
    lengths = np.zeros((rays, height, width), np.float32)
    for ray in range(rays):
        dy, dx = np.sin(2 * np.pi * ray / rays), np.cos(2 * np.pi * ray / rays)
        length = np.zeros(own.size, np.float32)
        walking = np.arange(own.size)
        while walking.size:
            length[walking] += 1
            here_y = np.rint(y[walking] + dy * length[walking]).astype(np.int64)
            here_x = np.rint(x[walking] + dx * length[walking]).astype(np.int64)
            inside = (here_y >= 0) & (here_y < height) & (here_x >= 0) & (here_x < width)
            walking, here_y, here_x = walking[inside], here_y[inside], here_x[inside]
            walking = walking[labels[here_y, here_x] == own[walking]]
        lengths[ray, y, x] = length - 0.5
    return {"foreground": border_distance(labels).astype(np.float32), "rays": lengths}


def flow_maps(labels: np.ndarray) -> dict[str, np.ndarray]:
    """Foreground (y, x), and (2, y, x) float32 unit vectors to the middle of each instance."""
    flows = np.zeros((2, *labels.shape), np.float32)
    for label, (top, bottom, left, right) in enumerate(boxes(labels.astype(np.uint32)), start=1):
        y, x = np.nonzero(labels[top:bottom, left:right] == label)
        if y.size == 0:
            continue
        middle = np.argmin((y - y.mean()) ** 2 + (x - x.mean()) ** 2)
        toward = np.stack([y[middle] - y, x[middle] - x]).astype(np.float32)
        length = np.maximum(np.hypot(*toward), 1)
        flows[:, y + top, x + left] = toward / length
    return {"foreground": (labels > 0).astype(np.float32), "flows": flows}


def class_maps(labels: np.ndarray) -> dict[str, np.ndarray]:
    """(3, y, x) uint8: background, inside, border between and around the instances."""
    maps = boundary_maps(labels)
    border, inside = maps["boundary"], maps["foreground"] & ~maps["boundary"]
    return {"classes": np.stack([255 - inside - border, inside, border])}


MAP_MAKERS: dict[str, Callable[[np.ndarray], dict[str, np.ndarray]]] = {
    "distance": distance_maps,
    "boundary": boundary_maps,
    "stars": star_maps,
    "flows": flow_maps,
    "classes": class_maps,
}


def border_distance(labels: np.ndarray) -> np.ndarray:
    """Distance to the border over its highest value in the same instance: (y, x) float64, 0..1."""
    shape = (labels.shape[0] + 2, labels.shape[1] + 2)
    scaled = np.zeros(shape)
    for label, (top, bottom, left, right) in enumerate(boxes(labels.astype(np.uint32)), start=1):
        if bottom <= top:
            continue
        window = np.s_[top : bottom + 2, left : right + 2]
        mine = np.pad(labels[top:bottom, left:right] == label, 1)
        distance = cv2.distanceTransform(mine.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        scaled[window] = np.maximum(scaled[window], distance / distance.max())
    return scaled[1:-1, 1:-1]


def _foreground(labels: np.ndarray) -> np.ndarray:
    return (labels > 0).astype(np.uint8) * 255

"""Pictures for people: planes as 8-bit images, outlines of instances drawn over them."""

from __future__ import annotations

import cv2
import numpy as np

from kiosk.imaging.intensity import Limits, plane_limits


def display_size(height_px: int, width_px: int, longest_px: int) -> tuple[int, int]:
    """(y, x) size of the picture of a plane: the plane's own, shrunk where it is too large."""
    shrink = min(1.0, longest_px / max(height_px, width_px))
    return max(1, round(height_px * shrink)), max(1, round(width_px * shrink))


def display_plane(plane: np.ndarray, longest_px: int) -> np.ndarray:
    """A plane as an 8-bit picture, contrast stretched, shrunk where it is too large.

    Args:
        plane: (1, y, x) grey or (3, y, x) red, green, blue; any real dtype.
        longest_px: longest side of the picture.

    Returns:
        (y, x, 3) uint8, red first.
    """
    limits = plane_limits(plane, 0.5, 99.8)
    pixels = _stretched(plane, limits).transpose(1, 2, 0)
    height, width = display_size(pixels.shape[0], pixels.shape[1], longest_px)
    if (height, width) != pixels.shape[:2]:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def display_labels(labels: np.ndarray, longest_px: int) -> np.ndarray:
    """A label image shrunk like `display_plane`, by nearest pixel: (y, x) uint32."""
    return shrunk_labels(labels, display_size(labels.shape[0], labels.shape[1], longest_px))


def shrunk_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A label image at another size, by nearest pixel: (y, x) uint32."""
    height, width = shape
    if shape == labels.shape:
        return labels.astype(np.uint32)
    rows = ((np.arange(height) + 0.5) / height * labels.shape[0]).astype(np.int64)
    columns = ((np.arange(width) + 0.5) / width * labels.shape[1]).astype(np.int64)
    return labels[rows[:, None], columns[None, :]].astype(np.uint32)


def outlines(labels: np.ndarray) -> np.ndarray:
    """(y, x) bool: pixels of an instance that have a neighbour of another label."""
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (labels > 0)


def draw_outlines(picture: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The (y, x, 3) uint8 picture with each instance outlined in a colour of its own."""
    drawn = picture.copy()
    edge = outlines(labels)
    drawn[edge] = colours(labels[edge])
    return drawn


def colours(labels: np.ndarray) -> np.ndarray:
    """Bright, well-spread colours, the same for the same label: (..., 3) uint8."""
    # Steps of the golden ratio spread hues evenly for consecutive labels.
    hue = (labels.astype(np.float64) * 0.61803398875) % 1.0
    channels = [(hue + shift) % 1.0 for shift in (0.0, 2 / 3, 1 / 3)]
    ramps = [np.clip(np.abs(channel * 6 - 3) - 1, 0, 1) for channel in channels]
    return (np.stack(ramps, axis=-1) * 200 + 55).astype(np.uint8)


def encode_png(picture: np.ndarray) -> bytes:
    """A (y, x, 3) uint8 picture, red first, as the bytes of a PNG file."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError("the picture could not be written as PNG")
    return bytes(data)


def encode_jpeg(picture: np.ndarray, quality: int = 90) -> bytes:
    """The same as the bytes of a JPEG file: a tenth of the time and of the size of a PNG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError("the picture could not be written as JPEG")
    return bytes(data)


def _stretched(plane: np.ndarray, limits: Limits) -> np.ndarray:
    if plane.dtype in (np.uint8, np.uint16):
        # A table of all grey values: several times faster than arithmetic on every pixel.
        values = np.arange(np.iinfo(plane.dtype).max + 1, dtype=np.float32)
        table = np.clip((values - limits.low) / (limits.high - limits.low), 0, 1) * 255
        return np.take(table.astype(np.uint8), plane)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (plane.astype(np.float32) - limits.low) / (limits.high - limits.low)
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=1.0, neginf=0.0)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)

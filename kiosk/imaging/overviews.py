"""A plane of any size as a small one, read band by band."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from kiosk.imaging.intensity import sample_step

Window = tuple[slice, slice]
# Reads a window of a plane: (channel, y, x), or (y, x) for labels.
Read = Callable[[Window], np.ndarray]
# Pixels that are read at a time.
BAND_PX = 16_000_000


def small_plane(
    read: Read, shape: tuple[int, int], size: tuple[int, int], band_px: int | None = None
) -> np.ndarray:
    """(channel, y, x) pixels of a plane of this shape, shrunk to `size` by averaging.

    Args:
        band_px: pixels that are read at a time; None = BAND_PX.
    """
    height, width = size
    if (height, width) == shape:
        return read((slice(0, height), slice(0, width)))
    bands = []
    for start, stop in _output_bands(shape, height, band_px or BAND_PX):
        rows = slice(_edge(start, height, shape[0]), _edge(stop, height, shape[0]))
        pixels = read((rows, slice(0, shape[1])))
        bands.append(np.stack([_shrunk(channel, stop - start, width) for channel in pixels]))
    return np.concatenate(bands, axis=1)


def small_labels(read: Read, shape: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """(y, x) labels of a plane of this shape, shrunk alike, by nearest pixel."""
    height, width = size
    if (height, width) == shape:
        return read((slice(0, height), slice(0, width)))
    wanted = ((np.arange(height) + 0.5) / height * shape[0]).astype(np.int64)
    columns = ((np.arange(width) + 0.5) / width * shape[1]).astype(np.int64)
    small = np.empty((height, width), np.uint32)
    for start, stop in _output_bands(shape, height, BAND_PX):
        first, last = int(wanted[start]), int(wanted[stop - 1])
        band = read((slice(first, last + 1), slice(0, shape[1])))
        small[start:stop] = band[(wanted[start:stop] - first)[:, None], columns[None, :]]
    return small


def sampled(read: Read, shape: tuple[int, int], channels: int) -> np.ndarray:
    """Every nth pixel of a plane along both axes, as `intensity.plane_limits` samples it.

    Args:
        channels: how many channels `read` gives.
    """
    step = sample_step(channels * shape[0] * shape[1])
    count = max(1, BAND_PX // (shape[1] * channels * step)) * step
    bands = []
    for top in range(0, shape[0], count):
        rows = slice(top, min(top + count, shape[0]))
        bands.append(read((rows, slice(0, shape[1])))[:, ::step, ::step].copy())
    return np.concatenate(bands, axis=1)


def _output_bands(shape: tuple[int, int], height: int, band_px: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of the small plane whose pixels in the large one fit into memory."""
    rows = max(1, height * band_px // (shape[0] * shape[1]))
    for start in range(0, height, rows):
        yield start, min(height, start + rows)


def _edge(row: int, height: int, full_height: int) -> int:
    return round(row * full_height / height)


def _shrunk(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    if channel.dtype not in (np.uint8, np.uint16, np.float32):
        channel = channel.astype(np.float32)
    return np.asarray(cv2.resize(channel, (width, height), interpolation=cv2.INTER_AREA))

"""Instances of an altitude map: steepest ascent, then merging at saddles.

Every foreground pixel climbs to a peak; pixels that reach the same peak form a basin. Two
neighbouring basins are one instance when the lower of their peaks rises less than `merge_height`
above the highest pass (the saddle) between them. This is the h-maxima transform followed by a
watershed, in one sweep over the pixels and without floods: see L. Vincent, "Morphological
grayscale reconstruction in image analysis", IEEE Trans. Image Process. 2:176 (1993) for h-maxima;
L. Najman and M. Schmitt, "Geodesic saliency of watershed contours", IEEE PAMI 18:1163 (1996) for
merging basins by their dynamics.

Planes have a border of one background pixel here, so a neighbour is a fixed offset in the flat
array and needs no bounds check. Work goes chunk by chunk: a chunk fits the cache, and no large
array is made only to be thrown away, which would cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_CHUNK_PX = 1 << 15


@dataclass(frozen=True)
class _Basins:
    """The hills of a padded plane.

    Attributes:
        at: (y, x) int32 with the border, basin of each pixel counted from 1; 0 = background.
        peaks: (basin,) float32 altitude of each peak; basins are in raster order of their peaks.
        area_px: (basin,) pixels of each.
        first_pixel: (basin,) position of its first pixel among all foreground pixels.
    """

    at: np.ndarray
    peaks: np.ndarray
    area_px: np.ndarray
    first_pixel: np.ndarray


def ascend(
    altitude: np.ndarray,
    mask: np.ndarray,
    *,
    merge_height: float,
    peak_threshold: float,
    min_area_px: float,
) -> np.ndarray:
    """Label image of the hills of an altitude map.

    Args:
        altitude: (y, x) float32.
        mask: (y, x) bool, the foreground; nothing outside it is looked at.
        merge_height: peaks that rise less than this above their pass are one instance.
        peak_threshold: an instance whose peak stays below this is dropped.
        min_area_px: smaller instances are dropped.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    height, width = mask.shape
    padded_mask = np.zeros((height + 2, width + 2), np.bool_)
    padded_mask[1:-1, 1:-1] = mask
    pixels = np.flatnonzero(padded_mask)
    labels = np.zeros((height, width), np.uint32)
    if pixels.size == 0:
        return labels
    padded = np.full(padded_mask.shape, -np.inf, np.float32)
    np.copyto(padded[1:-1, 1:-1], altitude, where=mask)

    basins = _climb(padded, pixels)
    root = _merge(padded, padded_mask, basins, merge_height)
    area_px = np.bincount(root, weights=basins.area_px, minlength=root.size)
    keep = (area_px >= min_area_px) & (basins.peaks >= np.float32(peak_threshold))
    numbers = _raster_numbers(basins.first_pixel, root, keep)
    for top, bottom in _bands(padded.shape):
        np.take(numbers, basins.at[top + 1 : bottom + 1, 1:-1], out=labels[top:bottom], mode="clip")
    return labels


def _climb(padded: np.ndarray, pixels: np.ndarray) -> _Basins:
    """The peak that each foreground pixel (flat indices, ascending) reaches."""
    stride = padded.shape[1]
    offsets = np.array([row * stride + column for row in (-1, 0, 1) for column in (-1, 0, 1)])
    steps = _uphill(padded)
    # Holds the position of each pixel in `pixels` first, its basin in the end.
    at = np.zeros(padded.shape, np.int32)
    position = at.ravel()
    for part in _chunks(pixels.size):
        position[pixels[part]] = np.arange(part.start, part.stop, dtype=np.int32)
    target = np.empty(pixels.size, np.intp)
    peaks = []
    for part in _chunks(pixels.size):
        here = pixels[part].copy()
        step = steps[here]
        here += offsets[step]
        target[part] = position[here]
        peaks.append(np.flatnonzero(step == _HERE) + part.start)
    _follow(target)
    return _basins(at, padded, pixels, target, np.concatenate(peaks))


def _follow(target: np.ndarray) -> None:
    """Replace each pixel's next pixel by the peak at the end of its way, in place.

    Pointer doubling: as many rounds as log2 of the longest ascent, or fewer, since a chunk
    already profits from those before it.
    """
    changed = True
    while changed:
        changed = False
        for part in _chunks(target.size):
            further = target[target[part]]
            if not np.array_equal(further, target[part]):
                target[part] = further
                changed = True


def _basins(
    at: np.ndarray, padded: np.ndarray, pixels: np.ndarray, target: np.ndarray, peaks: np.ndarray
) -> _Basins:
    """Number the basins by their peaks' positions, in `at`, and gather what is needed of each."""
    basin_of_peak = np.empty(pixels.size, np.int32)
    basin_of_peak[peaks] = np.arange(1, peaks.size + 1)
    begins, runs = [], []
    before = 0
    for part in _chunks(pixels.size):
        of_pixel = basin_of_peak[target[part]]
        at.ravel()[pixels[part]] = of_pixel
        changes = np.flatnonzero(np.diff(of_pixel, prepend=before))
        begins.append(changes + part.start)
        runs.append(of_pixel[changes] - 1)
        before = int(of_pixel[-1])
    # A run is a stretch of foreground pixels of one basin, in raster order.
    begin, run = np.concatenate(begins), np.concatenate(runs)
    length_px = np.diff(begin, append=pixels.size)
    area_px = np.bincount(run, weights=length_px, minlength=peaks.size)
    first_pixel = np.zeros(peaks.size, np.int64)
    first_pixel[run[::-1]] = begin[::-1]
    return _Basins(at, padded.ravel()[pixels[peaks]], area_px, first_pixel)


_HERE = 4


def _uphill(padded: np.ndarray) -> np.ndarray:
    """Which of the 3 x 3 pixels around each is highest: flat uint8, 3 * row + column, 4 = itself.

    Of equal ones the first in raster order wins, which makes the ascent free of cycles on
    plateaus. A row of three is settled first, then a column of three such rows.
    """
    flat, stride = padded.ravel(), padded.shape[1]
    steps = np.zeros(padded.size, np.uint8)
    # The border comes along as if rows went on in the next: its steps are never looked at.
    for part in _chunks(padded.size - 2 * (stride + 1), 16 * stride):
        start, stop = part.start + 1, part.stop + 1 + 2 * stride
        column, highest = _highest_of_three(
            flat[start - 1 : stop - 1], flat[start:stop], flat[start + 1 : stop + 1]
        )
        size = part.stop - part.start
        middle, low = slice(stride, stride + size), slice(2 * stride, 2 * stride + size)
        row, _ = _highest_of_three(highest[:size], highest[middle], highest[low])
        # Choose the column of the row that won, by masks of all or no bits.
        is_middle, is_low = -(row == 1).view(np.uint8), -(row == 2).view(np.uint8)
        step = column[:size]
        step = step ^ ((step ^ (column[middle] + 3)) & is_middle)
        step ^= (step ^ (column[low] + 6)) & is_low
        steps[part.start + stride + 1 : part.stop + stride + 1] = step
    return steps


def _highest_of_three(
    first: np.ndarray, second: np.ndarray, third: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(0, 1 or 2: the first that is highest, as uint8; its altitude), pixel by pixel."""
    place = (second > first).view(np.uint8)
    highest = np.maximum(first, second)
    last = (third > highest).view(np.uint8)
    return np.maximum(place, last << 1), np.maximum(highest, third)


def _bands(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Ranges of rows, counted without the border."""
    rows = max(1, _CHUNK_PX // shape[1])
    for top in range(0, shape[0] - 2, rows):
        yield top, min(top + rows, shape[0] - 2)


def _chunks(size: int, least: int = 0) -> Iterator[slice]:
    """Slices that cover 0..size, of a chunk each or of `least` where that is more."""
    step = max(_CHUNK_PX, least)
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def _merge(
    padded: np.ndarray, mask: np.ndarray, basins: _Basins, merge_height: float
) -> np.ndarray:
    """Join basins over shallow passes: for each basin the one with the highest peak it joined."""
    a, b, height = _saddles(padded, mask, basins, np.float32(merge_height))
    parent = list(range(basins.peaks.size))
    peak = basins.peaks.tolist()

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    def join(basin: int, other: int, altitude: float) -> None:
        first, second = root(basin), root(other)
        rise = min(peak[first], peak[second]) - altitude
        # Without any rise the two are one plateau, also for a merge height of zero.
        if first == second or (rise > 0 and rise >= merge_height):
            return
        if peak[first] < peak[second]:
            first, second = second, first
        parent[second] = first

    order = np.argsort(-height, kind="stable")
    for part in _chunks(order.size):
        some = order[part]
        for pair in zip(a[some].tolist(), b[some].tolist(), height[some].tolist(), strict=True):
            join(*pair)
    roots = np.array(parent)
    while not np.array_equal(further := roots[roots], roots):
        roots = further
    return roots


def _saddles(
    padded: np.ndarray, mask: np.ndarray, basins: _Basins, merge_height: np.float32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Highest pass between each pair of touching basins: (basin a, basin b, altitude).

    Only pairs that may be joined. Merging makes peaks higher, never lower, so a pair that rises
    too far above its pass at the beginning does so for ever.
    """
    altitude, basin, foreground = padded.ravel(), basins.at.ravel(), mask.ravel()
    peaks, count = basins.peaks, basins.peaks.size
    stride = padded.shape[1]
    keys, passes = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for part in _chunks(basin.size - stride - 1):
        found_keys, found_passes = [], []
        for offset in (1, stride - 1, stride, stride + 1):
            at = _border(basin, foreground, offset, part)
            here, there = basin[at] - 1, basin[at + offset] - 1
            height = np.minimum(altitude[at], altitude[at + offset])
            rise = np.minimum(peaks[here], peaks[there]) - height
            shallow = (rise <= 0) | (rise < merge_height)
            here, there = here[shallow].astype(np.int64), there[shallow].astype(np.int64)
            found_keys.append(np.minimum(here, there) * count + np.maximum(here, there))
            found_passes.append(height[shallow])
        # Pairs are made few here: noise has a hill every few pixels, all of them with borders.
        key, height = _highest(np.concatenate(found_keys), np.concatenate(found_passes))
        keys.append(key)
        passes.append(height)
    pair, height = _highest(np.concatenate(keys), np.concatenate(passes))
    return pair // max(count, 1), pair % max(count, 1), height


def _highest(key: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, ascending, with the greatest of its heights."""
    order = np.argsort(key)
    key, height = key[order], height[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    return key[starts], np.maximum.reduceat(height, starts) if starts.size else height


def _border(basin: np.ndarray, mask: np.ndarray, offset: int, part: slice) -> np.ndarray:
    """Flat indices, within a part, whose neighbour at `offset` is foreground of another basin."""
    beyond = slice(part.start + offset, part.stop + offset)
    differs = basin[part] != basin[beyond]
    differs &= mask[part]
    differs &= mask[beyond]
    return np.flatnonzero(differs) + part.start


def _raster_numbers(first_pixel: np.ndarray, root: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Label of each basin from 1: kept instances are 1..n by their first pixel, the others 0."""
    first_of_root = np.full(root.size, np.iinfo(np.int64).max)
    np.minimum.at(first_of_root, root, first_pixel)
    kept = np.flatnonzero(keep & (root == np.arange(root.size)))
    kept = kept[np.argsort(first_of_root[kept])]
    number = np.zeros(root.size, np.uint32)
    number[kept] = np.arange(1, kept.size + 1, dtype=np.uint32)
    return np.concatenate([np.zeros(1, np.uint32), number[root]])

"""From network maps to instances: steepest ascent on the distance map, then merging at saddles.

Every foreground pixel climbs the smoothed distance map to a peak; pixels that reach the same
peak form a basin. Two neighbouring basins are one instance when the lower of their peaks rises
less than `merge_height` above the highest pass (the saddle) between them. This is the h-maxima
transform followed by a watershed, in one sweep over the pixels and without floods: see
L. Vincent, "Morphological grayscale reconstruction in image analysis", IEEE Trans. Image
Process. 2:176 (1993) for h-maxima; L. Najman and M. Schmitt, "Geodesic saliency of watershed
contours", IEEE PAMI 18:1163 (1996) for merging basins by their dynamics.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

MAP_MAX = 255.0


@dataclass(frozen=True)
class InstanceParameters:
    """How maps become instances. Map values are fractions of full scale (0..1).

    Attributes:
        foreground_threshold: a pixel belongs to some instance from this value on.
        smoothing_px: standard deviation of the Gaussian that smooths the distance map.
        merge_height: peaks that rise less than this above their pass are one instance.
        peak_threshold: an instance whose distance peak stays below this is dropped.
        min_area_px: smaller instances are dropped.
    """

    foreground_threshold: float = 0.5
    smoothing_px: float = 1.0
    merge_height: float = 0.1
    peak_threshold: float = 0.15
    min_area_px: int = 12


def find_instances(
    foreground: np.ndarray, distance: np.ndarray, parameters: InstanceParameters
) -> np.ndarray:
    """Label image from a foreground map and a normalised distance map.

    Args:
        foreground: (y, x) uint8, 255 = certainly inside an instance.
        distance: (y, x) uint8, 255 = centre of an instance, 0 = its border.
        parameters: thresholds, as fractions of 255.

    Returns:
        (y, x) uint32 label image, 0 = background, instances 1..n in raster order.
    """
    height, width = foreground.shape
    if height == 0 or width == 0:
        return np.zeros((height, width), np.uint32)
    mask = foreground >= parameters.foreground_threshold * MAP_MAX
    altitude = _smooth(distance, parameters.smoothing_px)
    # A border of background spares every neighbour look-up a bounds check.
    padded_mask = np.pad(mask, 1)
    padded = np.where(padded_mask, np.pad(altitude, 1), -np.inf).astype(np.float32)
    pixels = np.flatnonzero(padded_mask)
    if pixels.size == 0:
        return np.zeros((height, width), np.uint32)

    basin_of_pixel, peaks = _climb(padded.ravel(), pixels, width + 2)
    instance_of_basin, peak_of_instance = _merge(
        padded.ravel(), pixels, width + 2, basin_of_pixel, peaks, parameters.merge_height
    )
    labels = np.zeros(padded.size, np.uint32)
    instance_of_pixel = instance_of_basin[basin_of_pixel]
    area_px = np.bincount(instance_of_pixel, minlength=peak_of_instance.size)
    keep = (area_px >= parameters.min_area_px) & (peak_of_instance >= parameters.peak_threshold)
    labels[pixels] = _raster_numbers(instance_of_pixel, keep)
    return np.ascontiguousarray(labels.reshape(padded.shape)[1:-1, 1:-1])


def _smooth(distance: np.ndarray, sigma_px: float) -> np.ndarray:
    altitude = distance.astype(np.float32) / np.float32(MAP_MAX)
    if sigma_px <= 0:
        return altitude
    return np.asarray(cv2.GaussianBlur(altitude, (0, 0), sigma_px), np.float32)


def _climb(altitude: np.ndarray, pixels: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Peak reached from every pixel: (basin index per pixel, altitude per basin)."""
    # From the highest flat index to the lowest, taking ties: of equal neighbours the first in
    # raster order wins, which makes the ascent free of cycles on plateaus.
    offsets = [stride + 1, stride, stride - 1, 1, 0, -1, -stride + 1, -stride, -stride - 1]
    best = pixels + offsets[0]
    best_altitude = altitude[best]
    for offset in offsets[1:]:
        neighbour = pixels + offset
        neighbour_altitude = altitude[neighbour]
        higher = neighbour_altitude >= best_altitude
        best = np.where(higher, neighbour, best)
        best_altitude = np.where(higher, neighbour_altitude, best_altitude)

    position = np.zeros(altitude.size, np.int32)
    position[pixels] = np.arange(pixels.size, dtype=np.int32)
    target = position[best]
    while True:  # pointer doubling: as many rounds as log2 of the longest ascent
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    is_peak = target == np.arange(pixels.size)
    basin_of_peak = np.cumsum(is_peak, dtype=np.int64) - 1
    return basin_of_peak[target], altitude[pixels[is_peak]]


def _saddles(
    altitude: np.ndarray, pixels: np.ndarray, stride: int, basin_of_pixel: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Highest pass between each pair of touching basins: (basin a, basin b, altitude)."""
    basin = np.full(altitude.size, -1, np.int32)
    basin[pixels] = basin_of_pixel
    keys, passes = [], []
    for offset in (1, stride - 1, stride, stride + 1):
        other = basin[pixels + offset]
        touching = (other >= 0) & (other != basin_of_pixel)
        here, there = basin_of_pixel[touching], other[touching]
        keys.append(np.minimum(here, there) * count + np.maximum(here, there))
        at = pixels[touching]
        passes.append(np.minimum(altitude[at], altitude[at + offset]))
    key, height = np.concatenate(keys), np.concatenate(passes)
    order = np.argsort(key, kind="stable")
    key, height = key[order], height[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    if starts.size == 0:
        empty = np.zeros(0, np.int64)
        return empty, empty, np.zeros(0, np.float32)
    pair = key[starts]
    return pair // count, pair % count, np.maximum.reduceat(height, starts)


def _merge(
    altitude: np.ndarray,
    pixels: np.ndarray,
    stride: int,
    basin_of_pixel: np.ndarray,
    peaks: np.ndarray,
    merge_height: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Join basins over shallow passes: (instance per basin, peak altitude per instance)."""
    a, b, height = _saddles(altitude, pixels, stride, basin_of_pixel, peaks.size)
    parent = list(range(peaks.size))
    peak = peaks.tolist()

    def root(basin: int) -> int:
        while parent[basin] != basin:
            parent[basin] = parent[parent[basin]]
            basin = parent[basin]
        return basin

    for i in np.argsort(-height, kind="stable").tolist():
        first, second = root(int(a[i])), root(int(b[i]))
        rise = min(peak[first], peak[second]) - height[i]
        # Without any rise the two are one plateau, also for a merge height of zero.
        if first == second or (rise > 0 and rise >= merge_height):
            continue
        if peak[first] < peak[second]:
            first, second = second, first
        parent[second] = first
    roots = np.array([root(basin) for basin in range(peaks.size)], np.int64)
    return roots, np.asarray(peak, np.float32)


def _raster_numbers(instance_of_pixel: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Number the kept instances 1..n by their first pixel; the others become 0."""
    first_pixel = np.full(keep.size, instance_of_pixel.size, np.int64)
    reversed_order = np.arange(instance_of_pixel.size - 1, -1, -1)
    first_pixel[instance_of_pixel[reversed_order]] = reversed_order
    kept = np.flatnonzero(keep)
    kept = kept[np.argsort(first_pixel[kept], kind="stable")]
    number = np.zeros(keep.size, np.uint32)
    number[kept] = np.arange(1, kept.size + 1, dtype=np.uint32)
    return number[instance_of_pixel]

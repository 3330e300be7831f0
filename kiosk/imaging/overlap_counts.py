"""How many pixels the labels of two images share, in a form that can be summed over windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.imaging.tiling import iter_bands

# Rows at a time: what fits a processor's cache, and little beside the images themselves.
BAND_PX = 200_000


@dataclass(frozen=True)
class OverlapCounts:
    """Pairs of labels that have pixels in common; each pair once, ascending.

    Attributes:
        first, second: (pair,) int64 labels in the one and in the other image.
        count: (pair,) int64 pixels that have both.
    """

    first: np.ndarray
    second: np.ndarray
    count: np.ndarray

    def __add__(self, other: OverlapCounts) -> OverlapCounts:
        """The counts of two windows that have no pixel in common."""
        return _summed(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.count, other.count]),
        )

    @classmethod
    def none(cls) -> OverlapCounts:
        """What a sum begins with."""
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing)

    @property
    def foreground(self) -> OverlapCounts:
        """Without the pairs in which the second label is background."""
        there = self.second > 0
        return OverlapCounts(self.first[there], self.second[there], self.count[there])


def count_overlaps(first: np.ndarray, second: np.ndarray) -> OverlapCounts:
    """Pixels of each pair of an instance of `first` and a label of `second`, its background too.

    Args:
        first, second: (y, x) labels below 2^32 of any integer dtype or bool, 0 = background; whole
            planes or the same window of both.

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"the images differ in shape: {first.shape} and {second.shape}")
    bands = iter_bands(first.shape[0], first.shape[1], BAND_PX)
    found = [_band_counts(first[band], second[band]) for band in bands]
    if not found:
        return OverlapCounts.none()
    return _summed(*(np.concatenate(part) for part in zip(*found, strict=True)))


def label_areas(labels: np.ndarray, size: int) -> np.ndarray:
    """(size,) int64 pixels of each label of a (y, x) image; that of the background is 0.

    Args:
        size: the highest label of the whole plane + 1, so that windows can be summed.
    """
    areas = np.zeros(size, np.int64)
    for band in iter_bands(labels.shape[0], labels.shape[1], BAND_PX):
        label, _, length = _band_counts(labels[band], labels[band])
        areas += np.bincount(label, length, size).astype(np.int64)
    return areas


def _band_counts(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
    """(first, second, pixels) of stretches in which neither label changes."""
    first, second = (np.ascontiguousarray(rows).ravel() for rows in (first, second))
    begins = np.empty(first.size, bool)
    begins[:1] = True
    np.not_equal(first[1:], first[:-1], out=begins[1:])
    begins[1:] |= second[1:] != second[:-1]
    start = np.flatnonzero(begins)
    inside = np.flatnonzero(first[start])
    length = np.diff(start, append=first.size)[inside]
    start = start[inside]
    return first[start].astype(np.int64), second[start].astype(np.int64), length


def _summed(first: np.ndarray, second: np.ndarray, count: np.ndarray) -> OverlapCounts:
    if not first.size:
        return OverlapCounts.none()
    key = (first.astype(np.uint64) << 32) | second.astype(np.uint64)
    order = np.argsort(key)
    key = key[order]
    begin = np.flatnonzero(np.diff(key, prepend=~key[:1]))
    key, count = key[begin], np.add.reduceat(count[order], begin)
    return OverlapCounts((key >> 32).astype(np.int64), (key & 0xFFFFFFFF).astype(np.int64), count)

"""Which region of a mask each instance lies in, and whether it lies in any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.imaging.overlap_counts import OverlapCounts, count_overlaps

# An instance is inside when at least this share of its pixels lies in the mask.
INSIDE_SHARE = 0.5
HIGHEST_LABEL = 2**32 - 1


@dataclass(frozen=True)
class Regions:
    """Where the instances lie.

    Attributes:
        label: (instance,) int64, ascending.
        mask_label: (instance,) int64, the label of the mask that covers most of the instance, of
            equal ones the lowest; 0 where none does.
        share: (instance,) float64, share of the instance's pixels in the mask, whatever its label.
    """

    label: np.ndarray
    mask_label: np.ndarray
    share: np.ndarray

    @property
    def is_inside(self) -> np.ndarray:
        """(instance,) bool."""
        return np.asarray(self.share >= INSIDE_SHARE)

    @property
    def outside(self) -> np.ndarray:
        """(n,) int64 labels of the instances that are not inside."""
        return np.asarray(self.label[~self.is_inside])


def mask_labels(mask: np.ndarray) -> np.ndarray:
    """The labels of a mask image: whole numbers from 0; what is not 0 is inside.

    Args:
        mask: (y, x) bool, integers, or floats that are whole numbers.

    Raises:
        InvalidRequest: there are other values.
    """
    if mask.dtype.kind == "b":
        return mask.astype(np.uint8)
    if mask.dtype.kind == "u" and mask.dtype.itemsize <= 4:
        return mask
    whole = mask if mask.dtype.kind in "iu" else np.nan_to_num(mask, nan=-1)
    if mask.dtype.kind not in "iuf" or (
        whole.size
        and (whole.min() < 0 or whole.max() > HIGHEST_LABEL or np.any(whole != np.floor(whole)))
    ):
        raise InvalidRequest(
            "The mask has values that are no labels; use whole numbers from 0 (outside) to"
            f" {HIGHEST_LABEL}.",
            reason="BAD_MASK",
            field="within",
        )
    return whole.astype(np.uint32)


def count_regions(labels: np.ndarray, mask: np.ndarray) -> OverlapCounts:
    """Pixels of each instance in each label of the mask; sums over windows and planes.

    Args:
        labels: (y, x) labels of instances, 0 = background.
        mask: (y, x) labels of the same pixels, see `mask_labels`.

    Raises:
        InvalidRequest: the sizes differ, or the mask has values that are no labels.
    """
    if labels.shape != mask.shape:
        raise InvalidRequest(
            f"The mask has {mask.shape[0]} rows and {mask.shape[-1]} columns, and the image"
            f" {labels.shape[0]} and {labels.shape[1]}; give a mask of the same size.",
            reason="BAD_MASK",
            field="within",
        )
    return count_overlaps(labels, mask_labels(mask))


def regions_of(counts: OverlapCounts) -> Regions:
    """The regions of all instances, from the counts of all windows and planes together."""
    if not counts.first.size:
        nothing = np.zeros(0, np.int64)
        return Regions(nothing, nothing, np.zeros(0))
    first = np.flatnonzero(np.diff(counts.first, prepend=-1))
    inside = np.where(counts.second > 0, counts.count, 0)
    share = np.add.reduceat(inside, first) / np.add.reduceat(counts.count, first)
    # Ascending by instance, then by pixels in the region, then by label downwards: the last counts.
    order = np.lexsort((-counts.second, inside, counts.first))
    best = order[np.append(first[1:], len(order)) - 1]
    mask_label = np.where(inside[best] > 0, counts.second[best], 0)
    return Regions(counts.first[first], mask_label, share)


def without(labels: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """A copy of (y, x) labels in which the removed ones are background; others keep theirs.

    Args:
        removed: (n,) labels, such as `Regions.outside`.
    """
    highest = int(labels.max(initial=0))
    table = np.arange(highest + 1).astype(labels.dtype)
    table[removed[removed <= highest]] = 0
    return np.asarray(table[labels])

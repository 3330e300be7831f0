"""Agreement of two label images: instances matched one to one by intersection over union."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MatchCounts:
    """Instances found (true positives), invented (false positives) and missed (false negatives)."""

    true_positives: int
    false_positives: int
    false_negatives: int

    def __add__(self, other: MatchCounts) -> MatchCounts:
        return MatchCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        errors = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + errors)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), the AP of the 2018 Data Science Bowl and of StarDist."""
        errors = self.false_positives + self.false_negatives
        return _ratio(self.true_positives, self.true_positives + errors)


@dataclass(frozen=True)
class Overlaps:
    """Pairs of instances that overlap; memory grows with the pairs, not with their product.

    `truth` and `predicted` are positions (int64) in ascending label order, `iou` (float64) is
    the intersection over union of each pair.
    """

    truth_count: int
    predicted_count: int
    truth: np.ndarray
    predicted: np.ndarray
    iou: np.ndarray


def intersection_over_union(truth: np.ndarray, predicted: np.ndarray) -> Overlaps:
    """IoU of every pair of instances that overlap.

    Args:
        truth, predicted: label images of equal shape, 0 = background; labels need not be
            consecutive.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"the images differ in shape: {truth.shape} and {predicted.shape}")
    truth_ids, truth_index, truth_area = _instances(truth)
    found_ids, found_index, found_area = _instances(predicted)
    keys, shared = np.unique(truth_index * found_ids.size + found_index, return_counts=True)
    rows, columns = np.divmod(keys, max(1, found_ids.size))
    inside = (truth_ids[rows] != 0) & (found_ids[columns] != 0)
    rows, columns, shared = rows[inside], columns[inside], shared[inside]
    iou = shared / (truth_area[rows] + found_area[columns] - shared)
    # Positions among the instances: the background, if there is one, comes first and goes out.
    truth_first, found_first = int((truth_ids == 0).any()), int((found_ids == 0).any())
    return Overlaps(
        truth_count=truth_ids.size - truth_first,
        predicted_count=found_ids.size - found_first,
        truth=rows - truth_first,
        predicted=columns - found_first,
        iou=iou,
    )


def count_matches(overlaps: Overlaps, threshold: float) -> MatchCounts:
    """Match instances one to one where IoU >= threshold.

    From a threshold above 0.5 on a pair is unique by itself. At or below 0.5 pairs are taken
    greedily from the highest IoU down, so no instance is counted twice.
    """
    enough = overlaps.iou >= threshold
    order = np.argsort(-overlaps.iou[enough], kind="stable")
    rows, columns = overlaps.truth[enough][order], overlaps.predicted[enough][order]
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
    matched = len(used_rows)
    return MatchCounts(matched, overlaps.predicted_count - matched, overlaps.truth_count - matched)


def _instances(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels ascending, position of each pixel's label, pixels of each label)."""
    ids, index, area = np.unique(labels, return_inverse=True, return_counts=True)
    return ids, index.ravel().astype(np.int64), area


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0

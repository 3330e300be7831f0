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


def intersection_over_union(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """IoU of every pair of instances that overlap.

    Args:
        truth, predicted: label images of equal shape, 0 = background; labels need not be
            consecutive.

    Returns:
        (n_truth, n_predicted) float64 matrix, rows and columns in ascending label order.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"the images differ in shape: {truth.shape} and {predicted.shape}")
    truth_ids, truth_index = np.unique(truth, return_inverse=True)
    found_ids, found_index = np.unique(predicted, return_inverse=True)
    table = np.zeros((truth_ids.size, found_ids.size))
    np.add.at(table, (truth_index.ravel(), found_index.ravel()), 1)
    union = table.sum(1, keepdims=True) + table.sum(0, keepdims=True) - table
    iou = table / np.maximum(union, 1)
    return iou[truth_ids != 0][:, found_ids != 0]


def count_matches(iou: np.ndarray, threshold: float) -> MatchCounts:
    """Match instances one to one where IoU >= threshold.

    From a threshold above 0.5 on a pair is unique by itself. At or below 0.5 pairs are taken
    greedily from the highest IoU down, so no instance is counted twice.
    """
    n_truth, n_found = iou.shape
    rows, columns = np.nonzero(iou >= threshold)
    order = np.argsort(-iou[rows, columns], kind="stable")
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
    matched = len(used_rows)
    return MatchCounts(matched, n_found - matched, n_truth - matched)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0

"""Agreement of two label images: instances matched one to one by intersection over union.

The overlaps of two label images are found once; matches at any threshold, panoptic quality and SEG
are all small sums over them.
"""

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
        """TP / (TP + (FP + FN) / 2), written here without the fraction."""
        errors = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + errors)

    @property
    def average_precision(self) -> float:
        """TP / (TP + FP + FN), the AP of the 2018 Data Science Bowl and of StarDist."""
        errors = self.false_positives + self.false_negatives
        return _ratio(self.true_positives, self.true_positives + errors)


@dataclass(frozen=True)
class PanopticQuality:
    """Panoptic quality (PQ) and its factors, from the pairs with IoU > 0.5.

    Kirillov et al., "Panoptic Segmentation", CVPR 2019, equations 1 and 2, for one class.
    """

    iou_sum: float
    counts: MatchCounts

    def __add__(self, other: PanopticQuality) -> PanopticQuality:
        return PanopticQuality(self.iou_sum + other.iou_sum, self.counts + other.counts)

    @property
    def quality(self) -> float:
        """PQ: sum of the IoU of the matches / (TP + FP / 2 + FN / 2)."""
        counts = self.counts
        errors = counts.false_positives + counts.false_negatives
        return _ratio(self.iou_sum, counts.true_positives + errors / 2)

    @property
    def segmentation_quality(self) -> float:
        """SQ: mean IoU of the matches; 0 where nothing matches, 1 where there is nothing."""
        counts = self.counts
        if counts.true_positives == 0 and counts.false_positives + counts.false_negatives:
            return 0.0
        return _ratio(self.iou_sum, counts.true_positives)

    @property
    def recognition_quality(self) -> float:
        """RQ: the F1 of the matches, so that PQ = SQ * RQ."""
        return self.counts.f1


@dataclass(frozen=True)
class SegMeasure:
    """SEG of the Cell Tracking Challenge: Jaccard index averaged over the true instances.

    A true instance R belongs to the predicted S that covers more than half of it,
    |R and S| > |R| / 2, and counts |R and S| / |R or S|; one that nothing covers counts 0.
    Predicted instances that cover nothing are not punished. Matula et al., PLOS ONE 2015,
    doi:10.1371/journal.pone.0144959; Ulman et al., Nature Methods 2017, doi:10.1038/nmeth.4473.
    """

    jaccard_sum: float
    truth_count: int

    def __add__(self, other: SegMeasure) -> SegMeasure:
        return SegMeasure(
            self.jaccard_sum + other.jaccard_sum, self.truth_count + other.truth_count
        )

    @property
    def mean(self) -> float:
        return _ratio(self.jaccard_sum, self.truth_count)


@dataclass(frozen=True)
class Overlaps:
    """Pairs of instances that overlap; memory grows with the pairs, not with their product.

    `truth` and `predicted` are positions (int64) in ascending label order, `iou` (float64) is
    the intersection over union of each pair, `truth_covered` (float64) the share of the true
    instance that the predicted one covers.
    """

    truth_count: int
    predicted_count: int
    truth: np.ndarray
    predicted: np.ndarray
    iou: np.ndarray
    truth_covered: np.ndarray


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
    truth_count, truth_index, truth_area = _instances(truth)
    found_count, found_index, found_area = _instances(predicted)
    both = (truth_index >= 0) & (found_index >= 0)
    keys, shared = _count(truth_index[both] * max(1, found_count) + found_index[both])
    rows, columns = np.divmod(keys, max(1, found_count))
    iou = shared / (truth_area[rows] + found_area[columns] - shared)
    return Overlaps(truth_count, found_count, rows, columns, iou, shared / truth_area[rows])


def match_pairs(overlaps: Overlaps, threshold: float) -> np.ndarray:
    """Positions of the pairs that are matched one to one where IoU >= threshold, best first.

    From a threshold above 0.5 on a pair is unique by itself. At or below 0.5 pairs are taken
    greedily from the highest IoU down, so no instance is counted twice; what is matched at a
    higher threshold is therefore the beginning of what is matched at a lower one.
    """
    enough = np.flatnonzero(overlaps.iou >= threshold)
    truth, predicted = overlaps.truth[enough], overlaps.predicted[enough]
    return enough[one_to_one(truth, predicted, overlaps.iou[enough])]


def one_to_one(rows: np.ndarray, columns: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Positions of the pairs that are kept when each row and each column may be in one only.

    Pairs are taken greedily from the highest score down; of equal ones the first.

    Args:
        rows, columns: (pair,) integers.
        score: (pair,) float.
    """
    order = np.argsort(-score, kind="stable")
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    kept = []
    in_order = zip(order.tolist(), rows[order].tolist(), columns[order].tolist(), strict=True)
    for pair, row, column in in_order:
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            kept.append(pair)
    return np.array(kept, np.int64)


def count_matches(overlaps: Overlaps, threshold: float) -> MatchCounts:
    """Matches where IoU >= threshold; see `match_pairs`."""
    return counts_of(overlaps, match_pairs(overlaps, threshold).size)


def counts_of(overlaps: Overlaps, matched: int) -> MatchCounts:
    """The counts when this many pairs are matched."""
    return MatchCounts(matched, overlaps.predicted_count - matched, overlaps.truth_count - matched)


def panoptic_quality(overlaps: Overlaps) -> PanopticQuality:
    """Panoptic quality of one plane."""
    # Above 0.5 no instance can be in two pairs, so there is nothing to choose.
    iou = overlaps.iou[overlaps.iou > 0.5]
    return PanopticQuality(float(iou.sum()), counts_of(overlaps, iou.size))


def seg_measure(overlaps: Overlaps) -> SegMeasure:
    """SEG of one plane."""
    covered = overlaps.truth_covered > 0.5
    return SegMeasure(float(overlaps.iou[covered].sum()), overlaps.truth_count)


def _instances(labels: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """(number of instances, position of each pixel's instance or -1, pixels of each instance).

    Positions count the labels other than 0 in ascending order.
    """
    flat = labels.ravel()
    # Labels are usually small: counting them in a table is ten times faster than sorting.
    if _fits_a_table(flat):
        flat = flat.astype(np.int64)
        area = np.bincount(flat)
        area[:1] = 0
        position = np.cumsum(area > 0) - 1
        index = np.where(flat == 0, -1, position[flat])
        return int((area > 0).sum()), index, area[area > 0]
    ids, index, area = np.unique(flat, return_inverse=True, return_counts=True)
    kept = ids != 0
    position = np.where(kept, np.cumsum(kept) - 1, -1)
    return int(kept.sum()), position[index], area[kept]


def _count(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(different values ascending, how often each is there) of values from 0 up."""
    if not _fits_a_table(keys):
        return np.unique(keys, return_counts=True)
    count = np.bincount(keys)
    values = np.flatnonzero(count)
    return values, count[values]


def _fits_a_table(values: np.ndarray) -> bool:
    """Whether values index a table that is not much larger than their own array."""
    if values.size == 0 or values.dtype.kind not in "ui":
        return False
    return bool(values.min() >= 0 and values.max() <= 4 * values.size)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 1.0

"""Figures of agreement that add up: of one plane, or pooled over many."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

import numpy as np

from kiosk.imaging.matching import (
    MatchCounts,
    PanopticQuality,
    SegMeasure,
    counts_of,
    intersection_over_union,
    match_pairs,
    panoptic_quality,
    seg_measure,
)

THRESHOLDS = tuple(percent / 100 for percent in range(50, 100, 5))
# `mean_ap` is the mean over these, as it was before there were steps of 0.05.
COARSE_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# What no plane at all sums up to.
_COUNTS = (MatchCounts(0, 0, 0),) * len(THRESHOLDS)
_PANOPTIC = PanopticQuality(0.0, MatchCounts(0, 0, 0))
_SEG = SegMeasure(0.0, 0)


@dataclass(frozen=True)
class Scores:
    """Sums over planes; the sum of two is the pooled figure of both.

    `counts` and `plane_ap_sum` have one value per threshold of THRESHOLDS,
    `absolute_count_error` is the sum over planes of |predicted - true instances|.
    """

    planes: int = 0
    counts: tuple[MatchCounts, ...] = _COUNTS
    plane_ap_sum: tuple[float, ...] = (0.0,) * len(THRESHOLDS)
    panoptic: PanopticQuality = _PANOPTIC
    seg: SegMeasure = _SEG
    absolute_count_error: int = 0

    def __add__(self, other: Scores) -> Scores:
        return Scores(
            planes=self.planes + other.planes,
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            plane_ap_sum=tuple(
                a + b for a, b in zip(self.plane_ap_sum, other.plane_ap_sum, strict=True)
            ),
            panoptic=self.panoptic + other.panoptic,
            seg=self.seg + other.seg,
            absolute_count_error=self.absolute_count_error + other.absolute_count_error,
        )

    def at(self, threshold: float) -> MatchCounts:
        """Matches at one of THRESHOLDS."""
        return self.counts[THRESHOLDS.index(threshold)]

    @property
    def truth_count(self) -> int:
        return self.counts[0].true_positives + self.counts[0].false_negatives

    @property
    def predicted_count(self) -> int:
        return self.counts[0].true_positives + self.counts[0].false_positives

    @property
    def count_error(self) -> int:
        """Predicted - true instances: positive where too many were found."""
        return self.predicted_count - self.truth_count

    @property
    def mean_absolute_count_error(self) -> float:
        """Mean over planes of |predicted - true instances|."""
        return self.absolute_count_error / self.planes if self.planes else 0.0

    @property
    def relative_count_error(self) -> float | None:
        """Count error / true instances; None where something was found and nothing is there."""
        if self.truth_count == 0:
            return None if self.predicted_count else 0.0
        return self.count_error / self.truth_count

    @property
    def mean_ap(self) -> float:
        """Mean of the pooled AP over IoU .5, .6, .7, .8, .9."""
        return fmean(self.at(threshold).average_precision for threshold in COARSE_THRESHOLDS)

    @property
    def mean_ap_50_95(self) -> float:
        """Mean of the pooled AP over IoU .5, .55, ..., .95."""
        return fmean(counts.average_precision for counts in self.counts)

    @property
    def mean_plane_ap(self) -> tuple[float, ...]:
        """Per threshold the mean of the AP of the planes, each with the same weight."""
        return tuple(total / max(1, self.planes) for total in self.plane_ap_sum)


def score_plane(truth: np.ndarray, predicted: np.ndarray) -> Scores:
    """Figures of one plane: two (y, x) label images. Raises ValueError if the shapes differ."""
    overlaps = intersection_over_union(truth, predicted)
    # Matches at a higher threshold are the first ones of the matches at a lower one.
    iou = overlaps.iou[match_pairs(overlaps, THRESHOLDS[0])]
    counts = tuple(counts_of(overlaps, int((iou >= threshold).sum())) for threshold in THRESHOLDS)
    return Scores(
        planes=1,
        counts=counts,
        plane_ap_sum=tuple(at.average_precision for at in counts),
        panoptic=panoptic_quality(overlaps),
        seg=seg_measure(overlaps),
        absolute_count_error=abs(overlaps.predicted_count - overlaps.truth_count),
    )

"""Matching of label images, on pictures small enough to count by eye."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.matching import (
    MatchCounts,
    Overlaps,
    PanopticQuality,
    SegMeasure,
    count_matches,
    intersection_over_union,
    match_pairs,
    panoptic_quality,
    seg_measure,
)


def dense(overlaps: Overlaps) -> np.ndarray:
    """The pairs as a matrix: a row per true instance, a column per predicted one."""
    table = np.zeros((overlaps.truth_count, overlaps.predicted_count))
    table[overlaps.truth, overlaps.predicted] = overlaps.iou
    return table


def labelled(picture: str) -> np.ndarray:
    return np.array([[0 if c == "." else int(c) for c in row] for row in picture.split()])


TRUTH = labelled("""
    11..22
    11..22
    ......
    3333..
""")
FOUND = labelled("""
    77..55
    7...55
    ....55
    ...888
""")


def test_iou_of_every_pair() -> None:
    """Columns ascend by label: 5, 7, 8."""
    expected = [[0, 3 / 4, 0], [4 / 6, 0, 0], [0, 0, 1 / 6]]
    np.testing.assert_allclose(dense(intersection_over_union(TRUTH, FOUND)), expected)


def test_a_perfect_answer_with_other_numbers() -> None:
    iou = intersection_over_union(TRUTH, TRUTH * 1000)
    np.testing.assert_array_equal(np.eye(3), dense(iou))
    assert MatchCounts(3, 0, 0) == count_matches(iou, 1.0)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.1, MatchCounts(3, 0, 0)),
        (0.5, MatchCounts(2, 1, 1)),
        (0.7, MatchCounts(1, 2, 2)),
        (0.75, MatchCounts(1, 2, 2)),
        (0.9, MatchCounts(0, 3, 3)),
    ],
)
def test_matches_at_thresholds(threshold: float, expected: MatchCounts) -> None:
    assert expected == count_matches(intersection_over_union(TRUTH, FOUND), threshold)


def test_no_instance_is_matched_twice() -> None:
    """Both halves reach 0.5 of the truth; only one of them may count."""
    iou = intersection_over_union(labelled("1111"), labelled("1122"))
    np.testing.assert_allclose(dense(iou), [[0.5, 0.5]])
    assert MatchCounts(1, 1, 0) == count_matches(iou, 0.5)


def test_the_better_pair_is_taken_first() -> None:
    rows, columns = np.array([0, 0, 1]), np.array([0, 1, 1])
    iou = Overlaps(2, 2, rows, columns, np.array([0.4, 0.45, 0.49]), np.ones(3))
    assert MatchCounts(2, 0, 0) == count_matches(iou, 0.4)
    assert MatchCounts(1, 1, 1) == count_matches(iou, 0.46)


@pytest.mark.parametrize(
    ("truth", "found", "expected"),
    [
        ("...", "...", MatchCounts(0, 0, 0)),
        ("11.", "...", MatchCounts(0, 0, 1)),
        ("...", "1.2", MatchCounts(0, 2, 0)),
    ],
)
def test_planes_without_instances(truth: str, found: str, expected: MatchCounts) -> None:
    iou = intersection_over_union(labelled(truth), labelled(found))
    assert expected == count_matches(iou, 0.5)


def test_planes_without_background() -> None:
    iou = intersection_over_union(labelled("1122"), labelled("3344"))
    np.testing.assert_array_equal(np.eye(2), dense(iou))


def test_figures() -> None:
    counts = MatchCounts(true_positives=6, false_positives=2, false_negatives=4)
    assert counts.precision == 6 / 8
    assert counts.recall == 6 / 10
    assert counts.f1 == 12 / 18
    assert counts.average_precision == 6 / 12


def test_figures_of_nothing_are_one() -> None:
    """No instance and none found: there is no mistake."""
    nothing = MatchCounts(0, 0, 0)
    assert (
        nothing.precision,
        nothing.recall,
        nothing.f1,
        nothing.average_precision,
    ) == (1.0, 1.0, 1.0, 1.0)


def test_f1_is_the_formula_of_hitif() -> None:
    """F1 = TP / (TP + (FP + FN) / 2)."""
    assert MatchCounts(6, 2, 4).f1 == 6 / (6 + (2 + 4) / 2)
    assert MatchCounts(0, 2, 4).f1 == 0.0


def test_matches_of_a_higher_threshold_come_first() -> None:
    overlaps = intersection_over_union(TRUTH, FOUND)
    pairs = match_pairs(overlaps, 0.1)
    np.testing.assert_allclose(overlaps.iou[pairs], [3 / 4, 4 / 6, 1 / 6])
    np.testing.assert_array_equal(match_pairs(overlaps, 0.7), pairs[:1])


def test_panoptic_quality() -> None:
    """Two matches above 0.5, one pair below it: one FP and one FN."""
    found = panoptic_quality(intersection_over_union(TRUTH, FOUND))
    assert MatchCounts(2, 1, 1) == found.counts
    assert found.quality == pytest.approx((3 / 4 + 4 / 6) / 3)
    assert found.segmentation_quality == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found.recognition_quality == pytest.approx(2 / 3)


def test_an_iou_of_one_half_is_no_match_for_panoptic_quality() -> None:
    """Elsewhere it is: both halves would match, and the paper wants matches to be unique."""
    found = panoptic_quality(intersection_over_union(labelled("1111"), labelled("1122")))
    assert MatchCounts(0, 2, 1) == found.counts
    assert (found.quality, found.segmentation_quality) == (0.0, 0.0)


def test_panoptic_quality_of_nothing_is_one() -> None:
    nothing = PanopticQuality(0.0, MatchCounts(0, 0, 0))
    assert (nothing.quality, nothing.segmentation_quality, nothing.recognition_quality) == (1, 1, 1)


def test_seg_takes_what_covers_more_than_half() -> None:
    """TRUTH 1 is covered by 3/4 (IoU 3/4), 2 by all (4/6), 3 by 1/4: not enough."""
    found = seg_measure(intersection_over_union(TRUTH, FOUND))
    assert found.truth_count == 3
    assert found.mean == pytest.approx((3 / 4 + 4 / 6) / 3)


def test_seg_does_not_take_a_half() -> None:
    assert seg_measure(intersection_over_union(labelled("11"), labelled("12"))).mean == 0.0


def test_seg_takes_low_iou_and_does_not_punish_what_is_invented() -> None:
    """Both true instances lie in one large prediction (IoU 2/6); 9 is nowhere in the truth."""
    truth, found = labelled("11..22 ......"), labelled("777777 99....")
    assert seg_measure(intersection_over_union(truth, found)).mean == pytest.approx(2 / 6)


def test_seg_without_truth_is_one() -> None:
    assert seg_measure(intersection_over_union(labelled(".."), labelled("1."))).mean == 1.0


def test_sums_are_pooled() -> None:
    pooled = PanopticQuality(0.8, MatchCounts(1, 1, 0)) + PanopticQuality(1.2, MatchCounts(2, 0, 1))
    assert pooled.quality == pytest.approx(2.0 / (3 + 0.5 + 0.5))
    assert (SegMeasure(0.5, 1) + SegMeasure(1.0, 5)).mean == 0.25


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int16, np.float32])
def test_every_dtype_of_labels(dtype: type) -> None:
    iou = intersection_over_union(TRUTH.astype(dtype), FOUND.astype(dtype))
    assert MatchCounts(2, 1, 1) == count_matches(iou, 0.5)


def test_counts_add_up() -> None:
    assert MatchCounts(5, 7, 9) == MatchCounts(1, 2, 3) + MatchCounts(4, 5, 6)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(4, 6\) and \(6, 4\)"):
        intersection_over_union(TRUTH, TRUTH.T)


def test_large_uint32_labels() -> None:
    image = np.array([[0, 2**32 - 1, 2**32 - 1]], np.uint32)
    np.testing.assert_array_equal([[1.0]], dense(intersection_over_union(image, image)))


def test_seventy_thousand_instances_need_no_matrix() -> None:
    """As a matrix the pairs would take 39 GB."""
    labels = np.arange(1, 70_001).reshape(280, 250)
    assert MatchCounts(70_000, 0, 0) == count_matches(intersection_over_union(labels, labels), 0.5)

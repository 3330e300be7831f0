"""Matching of label images, on pictures small enough to count by eye."""

from __future__ import annotations

import numpy as np
import pytest

from kiosk.imaging.matching import (
    MatchCounts,
    Overlaps,
    count_matches,
    intersection_over_union,
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
    iou = Overlaps(2, 2, rows, columns, np.array([0.4, 0.45, 0.49]))
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

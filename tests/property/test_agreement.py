"""What holds for the agreement of any two label images, and a reference written out plainly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kiosk.evaluation import THRESHOLDS, score_plane
from kiosk.imaging.matching import (
    count_matches,
    intersection_over_union,
    panoptic_quality,
    seg_measure,
)

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))
# Few labels, so that instances overlap; one far above the number of pixels.
labels = st.sampled_from([0, 0, 1, 2, 3, 5, 60_000])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(shapes)
    truth = draw(arrays(np.uint16, shape, elements=labels))
    if draw(st.booleans()):
        return truth, draw(arrays(np.uint16, shape, elements=labels))
    # A prediction that is mostly right reaches the higher thresholds.
    wrong = draw(arrays(np.bool_, shape, elements=st.sampled_from([False] * 5 + [True])))
    return truth, np.where(wrong, draw(labels), truth)


def tables(truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(IoU, share of the truth covered), each with a cell for every two instances."""
    rows = [truth == label for label in np.unique(truth) if label]
    columns = [found == label for label in np.unique(found) if label]
    iou, covered = np.zeros((2, len(rows), len(columns)))
    for i, a in enumerate(rows):
        for j, b in enumerate(columns):
            shared = np.sum(a & b)
            iou[i, j], covered[i, j] = shared / np.sum(a | b), shared / np.sum(a)
    return iou, covered


@given(pairs())
def test_agrees_with_every_pair_compared(images: tuple[np.ndarray, np.ndarray]) -> None:
    iou, covered = tables(*images)
    overlaps = intersection_over_union(*images)
    matched = iou > 0.5
    # Above 0.5 no row and no column has two matches, so they can simply be counted.
    assert max([0, *matched.sum(axis=0), *matched.sum(axis=1)]) <= 1
    for threshold in (0.51, *THRESHOLDS[1:]):
        found = count_matches(overlaps, threshold)
        hits = int((iou >= threshold).sum())
        assert found.true_positives == hits
        assert found.false_negatives == iou.shape[0] - hits
        assert found.false_positives == iou.shape[1] - hits
    errors = sum(iou.shape) - 2 * matched.sum()
    whole = matched.sum() + errors / 2
    assert panoptic_quality(overlaps).quality == pytest.approx(
        iou[matched].sum() / whole if whole else 1.0
    )
    best = [iou[i][covered[i] > 0.5].sum() for i in range(iou.shape[0])]
    assert seg_measure(overlaps).mean == pytest.approx(np.mean(best) if best else 1.0)


@given(pairs())
def test_numbers_of_instances_do_not_matter(images: tuple[np.ndarray, np.ndarray]) -> None:
    truth, found = images
    other = np.where(found > 0, 70_000 - found.astype(np.int64), 0)
    before, after = score_plane(truth, found), score_plane(truth.astype(np.int64) * 7, other)
    assert before.counts == after.counts
    assert before.panoptic.quality == pytest.approx(after.panoptic.quality)
    assert before.seg.mean == pytest.approx(after.seg.mean)


@given(pairs())
def test_the_truth_itself_is_perfect(images: tuple[np.ndarray, np.ndarray]) -> None:
    scores = score_plane(images[0], images[0])
    assert (scores.mean_ap, scores.mean_ap_50_95) == (1.0, 1.0)
    assert scores.panoptic.quality == pytest.approx(1.0)
    assert scores.seg.mean == pytest.approx(1.0)
    assert scores.count_error == 0


@given(pairs())
def test_panoptic_quality_is_the_product_of_its_factors(
    images: tuple[np.ndarray, np.ndarray],
) -> None:
    found = score_plane(*images).panoptic
    product = found.segmentation_quality * found.recognition_quality
    assert found.quality == pytest.approx(product)


@given(pairs())
def test_exchanging_truth_and_prediction(images: tuple[np.ndarray, np.ndarray]) -> None:
    truth, found = images
    there, back = score_plane(truth, found), score_plane(found, truth)
    for a, b in zip(there.counts[1:], back.counts[1:], strict=True):
        assert (a.false_positives, a.false_negatives) == (b.false_negatives, b.false_positives)
        assert (a.f1, a.average_precision) == (b.f1, b.average_precision)
    assert there.panoptic.quality == pytest.approx(back.panoptic.quality)
    assert there.count_error == -back.count_error


@given(pairs())
def test_a_higher_threshold_never_matches_more(images: tuple[np.ndarray, np.ndarray]) -> None:
    scores = score_plane(*images)
    matched = [counts.true_positives for counts in scores.counts]
    assert matched == sorted(matched, reverse=True)
    # Each threshold on its own gives what all of them at once do.
    overlaps = intersection_over_union(*images)
    assert scores.counts == tuple(count_matches(overlaps, at) for at in THRESHOLDS)


@given(st.lists(pairs(), min_size=1, max_size=4))
def test_pooling_adds_instances(images: list[tuple[np.ndarray, np.ndarray]]) -> None:
    planes = [score_plane(*pair) for pair in images]
    pooled = sum(planes[1:], planes[0])
    assert pooled.planes == len(planes)
    assert pooled.truth_count == sum(plane.truth_count for plane in planes)
    assert pooled.count_error == sum(plane.count_error for plane in planes)
    errors = [abs(plane.count_error) for plane in planes]
    assert pooled.mean_absolute_count_error == pytest.approx(np.mean(errors))

"""Region masks: the region of each instance, windows that add up, and masks that are none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kiosk.errors import InvalidRequest
from kiosk.imaging.masks import Regions, count_regions, mask_labels, regions_of, without
from kiosk.imaging.overlap_counts import OverlapCounts

LABELS = np.array([[1, 1, 1, 1], [2, 2, 0, 3], [2, 2, 0, 3]], np.uint32)


def regions(labels: np.ndarray, mask: np.ndarray) -> Regions:
    return regions_of(count_regions(labels, mask))


def test_the_region_that_covers_most_of_an_instance() -> None:
    mask = np.array([[5, 7, 7, 0], [0, 0, 5, 9], [9, 0, 5, 0]], np.uint16)
    found = regions(LABELS, mask)
    assert found.label.tolist() == [1, 2, 3]
    assert found.mask_label.tolist() == [7, 9, 9]
    assert found.share.tolist() == [0.75, 0.25, 0.5]
    assert found.is_inside.tolist() == [True, False, True]
    assert found.outside.tolist() == [2]


def test_of_equal_regions_the_lowest_and_none_where_none_covers() -> None:
    mask = np.array([[8, 8, 6, 6], [0, 0, 4, 0], [0, 0, 4, 0]], np.uint16)
    found = regions(LABELS, mask)
    assert found.mask_label.tolist() == [6, 0, 0]
    assert found.share.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_masks_of_any_dtype(dtype: str) -> None:
    found = regions(LABELS, np.ones(LABELS.shape, dtype))
    assert found.mask_label.tolist() == [1, 1, 1]
    assert found.share.tolist() == [1.0, 1.0, 1.0]


def test_a_mask_in_white() -> None:
    found = regions(LABELS, np.where(LABELS == 1, 255, 0).astype(np.uint8))
    assert found.mask_label.tolist() == [255, 0, 0]


@pytest.mark.parametrize("value", [-1, 0.5, float("nan"), float("inf"), 2.0**33])
def test_masks_that_are_no_labels_are_refused(value: float) -> None:
    mask = np.array([[0, value]])
    with pytest.raises(InvalidRequest, match="whole numbers") as caught:
        mask_labels(mask)
    assert caught.value.reason == "BAD_MASK"
    with pytest.raises(InvalidRequest):
        mask_labels(np.array([[1 + 2j]]))


def test_masks_of_another_size_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="4 rows and 5 columns, and the image 3 and 4"):
        count_regions(LABELS, np.ones((4, 5), np.uint8))


planes = arrays.arrays(np.uint16, (6, 7), elements=st.integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(planes, planes, st.integers(1, 5))
def test_windows_and_planes_add_up(labels: np.ndarray, mask: np.ndarray, at: int) -> None:
    whole = regions(labels, mask)
    total = OverlapCounts.none()
    for rows in (slice(0, at), slice(at, 6)):
        total += count_regions(labels[rows], mask[rows])
    parts = regions_of(total)
    for name in ("label", "mask_label", "share"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    for label, share in zip(whole.label, whole.share, strict=True):
        assert share == np.mean(mask[labels == label] > 0)
    kept = without(labels, whole.outside)
    assert kept.dtype == labels.dtype
    assert set(np.unique(kept)) - {0} == set(whole.label[whole.is_inside])
    np.testing.assert_array_equal(kept[kept > 0], labels[kept > 0])


def test_nothing_to_count() -> None:
    found = regions(np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8))
    assert found.label.size == found.share.size == 0
    assert without(np.zeros((2, 2), np.uint8), np.array([3])).max() == 0

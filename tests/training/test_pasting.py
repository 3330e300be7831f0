"""Crops with instances of another crop in front of their own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.pasting import MOST_COVERED, pasted

SIDE_PX = 96


def crop(seed: int, grey: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.zeros((SIDE_PX, SIDE_PX), np.int32)
    for label in range(1, 9):
        y, x = random.integers(0, SIDE_PX - 12, 2)
        labels[y : y + 12, x : x + 9] = label
    return np.repeat((labels > 0)[..., None] * np.float32(grey), 3, axis=2), labels


@given(seed=st.integers(0, 10_000))
def test_nothing_is_hidden_and_pixels_follow_the_labels(seed: int) -> None:
    pixels, labels = crop(seed, 0.5)
    others, other_labels = crop(seed + 1, 1.0)
    random = np.random.default_rng(seed)
    mixed, found = pasted(pixels, labels, others, other_labels, random)
    assert mixed.dtype == np.float32
    new = found > labels.max()
    np.testing.assert_array_equal(found[~new], labels[~new])
    for label in np.unique(labels[labels > 0]):
        left = (found == label).sum() / (labels == label).sum()
        assert left >= 1 - MOST_COVERED
    # Pasted instances are whole, and brighter than what they lie on.
    for label in np.unique(found[new]) - labels.max():
        np.testing.assert_array_equal(found == label + labels.max(), other_labels == label)
    if new.any():
        assert mixed[new].mean() > 0.6


def test_a_crop_without_instances_gives_none() -> None:
    pixels, labels = crop(3, 0.5)
    mixed, found = pasted(pixels, labels, pixels, np.zeros_like(labels), np.random.default_rng(0))
    assert mixed is pixels
    assert found is labels

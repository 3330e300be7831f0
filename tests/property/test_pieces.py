"""Labels that unconnected objects share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from kiosk.imaging.pieces import repeated_labels, split_unconnected

IMAGES = arrays(
    np.uint16, array_shapes(min_dims=2, max_dims=3, max_side=7), elements=st.integers(0, 3)
)


def pieces_of(labels: np.ndarray) -> dict[int, list[np.ndarray]]:
    """The connected pieces of each label, corners included, by the plain way."""
    found = {}
    around = np.ones((3,) * labels.ndim)
    for label in np.unique(labels[labels > 0]).tolist():
        numbered, count = ndimage.label(labels == label, around)
        found[label] = [numbered == number for number in range(1, count + 1)]
    return found


@given(IMAGES)
def test_every_piece_gets_a_label(labels: np.ndarray) -> None:
    before = labels.copy()
    found, count = split_unconnected(labels)
    np.testing.assert_array_equal(labels, before)
    expected = pieces_of(labels)
    assert count == sum(len(pieces) - 1 for pieces in expected.values())
    seen = []
    for label, pieces in expected.items():
        inside = [set(found[piece].tolist()) for piece in pieces]
        assert all(len(numbers) == 1 for numbers in inside)
        seen += [numbers.pop() for numbers in inside]
        kept = next(piece for piece in pieces if found[piece][0] == label)
        assert kept.sum() == max(piece.sum() for piece in pieces)
    assert len(set(seen)) == len(seen)
    np.testing.assert_array_equal(found > 0, labels > 0)
    shared = [label for label, pieces in expected.items() if len(pieces) > 1]
    assert repeated_labels(labels).tolist() == shared


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4)])
def test_nothing_to_do_gives_the_same_array(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, np.int32)
    assert split_unconnected(labels)[0] is labels
    labels[..., 1:3, 1:3] = 7
    assert split_unconnected(labels)[0] is labels

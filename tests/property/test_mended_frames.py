"""Mending changes which cell a pixel belongs to, and never what is a cell."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kiosk.imaging.mending import mend


@st.composite
def movies(draw: st.DrawFn) -> list[np.ndarray]:
    """Two to five frames of bars, cut, run together, shifted and left out at random.

    Bars that lie side by side are what mending is about; noise of single labels is what it must
    live with.
    """
    frames = []
    cuts = draw(st.lists(st.integers(1, 23), min_size=1, max_size=5, unique=True).map(sorted))
    for _ in range(draw(st.integers(2, 5))):
        plane = np.zeros((8, 24), np.uint32)
        kept = [cut for cut in cuts if draw(st.integers(0, 3))]
        for number, (left, right) in enumerate(zip([0, *kept], [*kept, 24], strict=True)):
            if draw(st.integers(0, 5)):
                label = draw(st.integers(1, 12)) if draw(st.booleans()) else number + 1
                top = draw(st.integers(0, 2))
                plane[top : top + 6, left:right] = label
        if not draw(st.integers(0, 3)):
            noise = draw(arrays(np.uint32, plane.shape, elements=st.integers(0, 4)))
            plane = np.where(noise == 4, plane, noise)
        frames.append(plane)
    return frames


@given(movies())
def test_mending_never_changes_the_foreground(frames: list[np.ndarray]) -> None:
    before, here, *later = (frame.copy() for frame in frames)
    found = mend(before, here, later)
    np.testing.assert_array_equal(found.labels > 0, frames[1] > 0)
    for given_, kept in zip([before, here, *later], frames, strict=True):
        np.testing.assert_array_equal(given_, kept)


@given(movies())
def test_labels_come_and_go_as_many_as_are_mended(frames: list[np.ndarray]) -> None:
    found = mend(frames[0], frames[1], frames[2:])
    were, are = (len(np.unique(image[image > 0])) for image in (frames[1], found.labels))
    # A cell that is parted into nothing and itself is no cell more.
    assert were - found.joined <= are <= were - found.joined + found.parted


@given(movies(), st.integers(1, 4))
def test_a_frame_like_those_around_it_is_left_alone(frames: list[np.ndarray], ahead: int) -> None:
    plane = frames[0]
    found = mend(plane, plane, [plane] * ahead)
    assert (found.joined, found.parted) == (0, 0)
    np.testing.assert_array_equal(found.labels, plane)


@given(movies())
def test_without_later_frames_nothing_is_mended(frames: list[np.ndarray]) -> None:
    found = mend(frames[0], frames[1], [])
    assert (found.joined, found.parted) == (0, 0)
    np.testing.assert_array_equal(found.labels, frames[1])

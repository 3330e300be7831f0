"""What holds for every label image that comes out of any two maps."""

from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kiosk.imaging.instances import InstanceParameters, find_instances

shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))
# Few values make plateaus, and those make the hard cases.
coarse = st.sampled_from([0, 60, 128, 200, 255])


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(shapes)
    values = st.integers(0, 255) if draw(st.booleans()) else coarse
    foreground = draw(arrays(np.uint8, shape, elements=coarse))
    return foreground, draw(arrays(np.uint8, shape, elements=values))


parameters = st.builds(
    InstanceParameters,
    foreground_threshold=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    smoothing_px=st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    merge_height=st.sampled_from([0.0, 0.05, 0.2, 1.0]),
    peak_threshold=st.sampled_from([0.0, 0.2, 0.9]),
    min_area_px=st.integers(0, 12),
)


def components(mask: np.ndarray) -> int:
    """Number of pieces, diagonal neighbours counted as connected."""
    return cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1


@settings(max_examples=150)
@given(maps(), parameters)
def test_labels_are_what_they_promise(
    pair: tuple[np.ndarray, np.ndarray], rules: InstanceParameters
) -> None:
    foreground, distance = pair
    labels = find_instances(foreground, distance, rules)
    assert (foreground.shape, np.uint32) == (labels.shape, labels.dtype)
    found, first = np.unique(labels[labels > 0], return_index=True)
    count = int(labels.max())
    assert list(range(1, count + 1)) == found.tolist()
    assert (np.diff(first) > 0).all()  # in raster order
    assert (foreground[labels > 0] >= rules.foreground_threshold * 255).all()
    for label in range(1, count + 1):
        instance = labels == label
        assert components(instance) == 1
        assert instance.sum() >= rules.min_area_px
    again = find_instances(foreground, distance, rules)
    np.testing.assert_array_equal(labels, again)


@settings(max_examples=60)
@given(maps(), st.sampled_from([0.0, 0.05, 0.3]))
def test_without_filters_every_foreground_pixel_belongs_somewhere(
    pair: tuple[np.ndarray, np.ndarray], merge_height: float
) -> None:
    rules = InstanceParameters(
        smoothing_px=0, merge_height=merge_height, peak_threshold=0, min_area_px=0
    )
    foreground, distance = pair
    labels = find_instances(foreground, distance, rules)
    np.testing.assert_array_equal(foreground >= 127.5, labels > 0)


@settings(max_examples=60)
@given(maps())
def test_merging_everything_gives_the_connected_components(
    pair: tuple[np.ndarray, np.ndarray],
) -> None:
    foreground, distance = pair
    distance = np.clip(distance, 0, 254)  # no rise can reach the full height
    rules = InstanceParameters(smoothing_px=0, merge_height=1, peak_threshold=0, min_area_px=0)
    labels = find_instances(foreground, distance, rules)
    assert components(foreground >= 127.5) == labels.max()


@settings(max_examples=80)
@given(
    maps(),
    st.sampled_from([np.flipud, np.fliplr, np.transpose]),
    st.sampled_from([0.0, 0.1, 0.3]),
)
def test_turning_the_plane_keeps_the_number_of_instances(pair, turn, merge_height) -> None:
    """Ties on plateaus may fall otherwise, but never into another number of instances."""
    rules = InstanceParameters(
        smoothing_px=0, merge_height=merge_height, peak_threshold=0.2, min_area_px=0
    )
    foreground, distance = pair
    turned = find_instances(
        np.ascontiguousarray(turn(foreground)), np.ascontiguousarray(turn(distance)), rules
    )
    assert find_instances(foreground, distance, rules).max() == turned.max()

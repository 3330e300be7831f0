"""What holds for the label image of every head: of perfect maps, and of any maps at all."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kiosk.heads import HEADS
from kiosk.imaging.finishing import number_in_raster_order
from kiosk.imaging.matching import count_matches, intersection_over_union
from kiosk.imaging.postprocessing import ROUTES, label_maps
from kiosk.parameters import SWITCH, WHOLE, chosen, parameters_of
from kiosk.testing.maps import MAP_MAKERS

SIZE_PX = 72
# Thin objects and touching ones lose an outline of one pixel to a boundary class or a polygon.
LEAST_IOU = {"distance": 0.9, "boundary": 0.9, "stars": 0.75, "flows": 0.9, "classes": 0.75}


@st.composite
def label_images(draw: st.DrawFn) -> np.ndarray:
    """Ellipses on a loose grid, some of them touching, each wholly in the plane."""
    labels = np.zeros((SIZE_PX, SIZE_PX), np.int32)
    for row in range(3):
        for column in range(3):
            if not draw(st.booleans()):
                continue
            y = 12 + 24 * row + draw(st.integers(-2, 2))
            x = 12 + 24 * column + draw(st.integers(-2, 2))
            axes = (draw(st.integers(6, 9)), draw(st.integers(6, 9)))
            label = int(labels.max()) + 1
            cv2.ellipse(labels, (x, y), axes, draw(st.integers(0, 179)), 0, 360, label, -1)
    return number_in_raster_order(labels.astype(np.uint32))


def as_type(name: str, array: np.ndarray, dtype: str) -> np.ndarray:
    """A map in another type, by the rules of `kiosk.heads`."""
    if array.dtype == dtype:
        return array
    if dtype == "uint8":
        if name == "flows":
            return np.rint(array * 127 + 128).astype(np.uint8)
        return np.rint(array if name == "rays" else array * 255).astype(np.uint8)
    if array.dtype == np.uint8:
        return (array / 255).astype(dtype)
    return array.astype(dtype)


def check_promises(labels: np.ndarray, shape: tuple[int, int]) -> None:
    assert (shape, np.uint32) == (labels.shape, labels.dtype)
    found, first = np.unique(labels[labels > 0], return_index=True)
    assert list(range(1, found.size + 1)) == found.tolist()
    assert (np.diff(first) > 0).all()  # in raster order


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
@settings(max_examples=15)
@given(data=st.data())
def test_perfect_maps_give_the_instances_back(head: str, dtype: str, data: st.DataObject) -> None:
    truth = data.draw(label_images())
    maps = {name: as_type(name, array, dtype) for name, array in MAP_MAKERS[head](truth).items()}
    wishes = {"boundary_class": 2} if head == "classes" else {}
    labels = label_maps(head, maps, chosen(HEADS[head].parameters, {}, wishes))
    check_promises(labels, truth.shape)
    overlaps = intersection_over_union(truth, labels)
    assert count_matches(overlaps, LEAST_IOU[head]).true_positives == truth.max() == labels.max()


def any_parameters(head: str) -> st.SearchStrategy[Any]:
    """Any values in range, small enough that a plane of some pixels is worth them."""
    values = {}
    for item in parameters_of(HEADS[head].parameters):
        high = min(item.maximum, 12)
        if item.kind in (WHOLE, SWITCH):
            values[item.name] = st.integers(int(item.minimum), int(high))
        else:
            values[item.name] = st.floats(item.minimum, high)
    return st.fixed_dictionaries(values).map(lambda v: chosen(HEADS[head].parameters, {}, v))


@pytest.mark.parametrize("head", HEADS)
@settings(max_examples=40)
@given(data=st.data())
def test_any_maps_and_parameters_keep_the_promises(head: str, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(0, 20), st.integers(0, 20)))
    dtype = data.draw(st.sampled_from(["uint8", "float32"]))
    elements = st.integers(0, 255) if dtype == "uint8" else st.floats(-3, 9, width=32)
    maps = {}
    for spec in HEADS[head].maps:
        count = {"flows": 2}.get(spec.name, 4)
        size = shape if spec.axes == "yx" else (count, *shape)
        maps[spec.name] = data.draw(arrays(dtype, size, elements=elements))
    before = {name: array.copy() for name, array in maps.items()}
    parameters = data.draw(any_parameters(head))
    labels = label_maps(head, maps, parameters)
    check_promises(labels, shape)
    if parameters.expand_px == 0 and parameters.fill_holes_px == 0 and labels.any():
        assert np.bincount(labels.ravel())[1:].min() >= parameters.min_area_px
    for name, array in maps.items():
        np.testing.assert_array_equal(before[name], array)
    np.testing.assert_array_equal(labels, label_maps(head, maps, parameters))


def test_every_head_has_a_route_and_a_map_maker() -> None:
    assert set(HEADS) == set(ROUTES) == set(MAP_MAKERS)


@pytest.mark.parametrize("head", HEADS)
def test_map_makers_make_what_the_head_demands(head: str) -> None:
    truth = np.zeros((20, 24), np.uint32)
    truth[4:12, 5:15] = 1
    maps = MAP_MAKERS[head](truth)
    for spec in HEADS[head].maps:
        assert len(spec.axes) == maps[spec.name].ndim
        assert maps[spec.name].shape[-2:] == truth.shape

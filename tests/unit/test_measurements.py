"""Measurements against scikit-image's regionprops, and where it has none against a plain loop."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import regionprops_table

from kiosk.imaging import grey_values, hulls, perimeters, runs
from kiosk.imaging.hulls import hull_areas_px
from kiosk.imaging.measurements import (
    INTENSITY_COLUMNS,
    MICROMETRE_COLUMNS,
    SHAPE_COLUMNS,
    column_names,
    measure,
)
from kiosk.imaging.runs import label_runs
from kiosk.imaging.sample import make_sample
from kiosk.imaging.shapes import label_boxes
from kiosk.imaging.tiling import iter_bands

ORACLE = {
    "label": "label",
    "y_px": "centroid-0",
    "x_px": "centroid-1",
    "area_px": "area",
    "min_y_px": "bbox-0",
    "min_x_px": "bbox-1",
    "max_y_px": "bbox-2",
    "max_x_px": "bbox-3",
    "major_axis_px": "axis_major_length",
    "minor_axis_px": "axis_minor_length",
    "orientation_rad": "orientation",
    "eccentricity": "eccentricity",
    "perimeter_px": "perimeter",
    "solidity": "solidity",
    "mean_intensity": "intensity_mean",
    "sd_intensity": "intensity_std",
    "min_intensity": "intensity_min",
    "max_intensity": "intensity_max",
    "median_intensity": "intensity_median",
}


def expected_columns(labels: np.ndarray, pixels: np.ndarray) -> dict[str, np.ndarray]:
    names = {name.split("-")[0] for name in ORACLE.values()}
    table = regionprops_table(
        labels.astype(np.int64), pixels[0].astype(np.float64), properties=sorted(names)
    )
    found = {ours: table[theirs] for ours, theirs in ORACLE.items()}
    return found | {"total_intensity": found["mean_intensity"] * found["area_px"]}


def check(labels: np.ndarray, pixels: np.ndarray) -> None:
    columns = measure(labels, pixels)
    for name, expected in expected_columns(labels, pixels).items():
        away = np.abs(columns[name] - expected)
        if name == "orientation_rad":  # both ends of the axis are the same axis
            away = np.minimum(away, np.pi - away)
        # Roots of differences: what is 1e-16 in a variance is 1e-8 in an axis.
        assert (away <= 1e-6 + 1e-6 * np.abs(expected)).all(), name


def test_cells_of_a_field() -> None:
    sample = make_sample(1, 300, 400, 90, seed=2)
    check(sample.labels[0], sample.images[:1])


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8"])
def test_every_dtype(dtype: str) -> None:
    random = np.random.default_rng(7)
    labels = random.integers(0, 12, (15, 18)).astype(np.uint32)
    low = 0 if dtype in {"?", "u1", "u2", "u4"} else -100
    check(labels, random.integers(low, 100, (1, 15, 18)).astype(dtype))


shapes = arrays.arrays(
    np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
)


@settings(max_examples=150, deadline=None)
@given(shapes)
def test_any_labels_with_holes_pieces_and_lines(labels: np.ndarray) -> None:
    if labels.any():
        check(labels, np.arange(labels.size, dtype=np.float32).reshape(1, *labels.shape))


def test_a_small_spread_on_a_large_value_keeps_its_digits() -> None:
    labels = np.ones((20, 20), np.uint8)
    pixels = 6e7 + np.random.default_rng(0).normal(0, 1, (1, 20, 20))
    columns = measure(labels, pixels)
    assert columns["sd_intensity"][0] == pytest.approx(pixels.std(), rel=1e-9)


def test_small_bands_and_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane is measured band by band, pixels some instances at a time; here one by one."""
    monkeypatch.setattr(runs, "BAND_PX", 1)
    monkeypatch.setattr(perimeters, "BAND_PX", 1)
    monkeypatch.setattr(hulls, "CHUNK_INSTANCES", 1)
    monkeypatch.setattr(grey_values, "CHUNK_PX", 1)
    random = np.random.default_rng(8)
    check(random.integers(0, 5, (20, 9)).astype(np.uint16), random.normal(size=(1, 20, 9)))


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "f2", "f4", "f8"])
def test_instances_too_large_to_be_measured_together(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(9)
    labels = random.integers(0, 4, (20, 30)).astype(np.uint16)
    pixels = (random.normal(size=(1, 20, 30)) * 50).astype(dtype)
    if pixels.dtype.kind == "f":
        pixels[0, labels == 3] = np.nan
        pixels[0, 2, ::4] = np.inf
    together = measure(labels, pixels)
    monkeypatch.setattr(grey_values, "GIANT_PX", 0)
    monkeypatch.setattr(grey_values, "CHUNK_PX", 40)
    alone = measure(labels, pixels)
    for name in INTENSITY_COLUMNS:
        np.testing.assert_allclose(alone[name], together[name], rtol=1e-9, atol=1e-9)


def test_labels_need_not_be_consecutive() -> None:
    labels = np.array([[0, 900, 900], [7, 0, 900]], np.uint32)
    columns = measure(labels, np.ones((1, 2, 3)))
    assert columns["label"].tolist() == [7, 900]
    assert columns["area_px"].tolist() == [1, 3]


def test_border_is_touched_on_each_side_and_not_inside() -> None:
    labels = np.zeros((5, 5), np.uint32)
    labels[0, 2], labels[2, 0], labels[4, 2], labels[2, 4], labels[2, 2] = 1, 2, 3, 4, 5
    assert measure(labels, np.ones((1, 5, 5)))["touches_border"].tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_not_finite_pixels_are_left_out(dtype: str) -> None:
    labels = np.array([[1, 1, 1, 2]], np.uint32)
    columns = measure(labels, np.array([[[2.0, np.nan, 4.0, np.inf]]], dtype))
    assert columns["mean_intensity"][0] == columns["median_intensity"][0] == 3.0
    assert (columns["min_intensity"][0], columns["max_intensity"][0]) == (2.0, 4.0)
    assert columns["total_intensity"].tolist() == [6.0, 0.0]
    assert np.isnan(columns["mean_intensity"][1])


def test_a_dent_makes_an_instance_less_solid() -> None:
    labels = np.ones((9, 9), np.uint8)
    labels[2:7, 4:] = 0
    assert hull_areas_px(label_runs(labels)).tolist() == [81]
    assert measure(labels, np.ones((1, 9, 9)))["solidity"][0] == pytest.approx(56 / 81)


def test_no_instances_give_empty_columns() -> None:
    columns = measure(np.zeros((4, 4), np.uint32), np.ones((1, 4, 4)), pixel_size_um=(1, 1))
    assert {0} == {values.size for values in columns.values()}


def test_every_channel_has_its_columns() -> None:
    labels = np.array([[1, 1, 2]], np.uint8)
    pixels = np.array([[[1, 3, 5]], [[10, 30, 50]], [[0, 0, 7]]], np.uint16)
    names = ["DAPI", "anti-tubulin (green)", "DAPI"]
    columns = measure(labels, pixels, names)
    assert list(columns) == column_names(names, None)
    assert columns["mean_intensity_DAPI_0"].tolist() == [2, 5]
    assert columns["mean_intensity_anti_tubulin_green"].tolist() == [20, 50]
    assert columns["max_intensity_DAPI_2"].tolist() == [0, 7]


def test_micrometres_where_the_pixel_size_is_known() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[2:6, 3:9] = 1
    plain = measure(labels, np.ones((1, 10, 10)))
    assert list(plain) == [*SHAPE_COLUMNS, *INTENSITY_COLUMNS]
    square = measure(labels, np.ones((1, 10, 10)), pixel_size_um=(0.5, 0.5))
    assert list(square) == [*SHAPE_COLUMNS, *MICROMETRE_COLUMNS, *INTENSITY_COLUMNS]
    assert square["area_um2"][0] == 24 * 0.25
    assert square["perimeter_um"][0] == plain["perimeter_px"][0] * 0.5
    oblong = measure(labels, np.ones((1, 10, 10)), pixel_size_um=(1.0, 0.5))
    assert (oblong["y_um"][0], oblong["x_um"][0], oblong["area_um2"][0]) == (3.5, 2.75, 12)
    assert "perimeter_um" not in oblong


def test_bands_cover_every_row_once() -> None:
    for height, width, band_px in ((10, 3, 7), (1, 1, 1), (5, 1000, 1), (0, 4, 9)):
        rows = [row for band in iter_bands(height, width, band_px) for row in range(height)[band]]
        assert list(range(height)) == rows


def test_a_window_gives_the_columns_of_its_plane() -> None:
    sample = make_sample(1, 260, 300, 70, seed=4)
    labels, pixels = sample.labels[0], sample.images[[0, 0]] * np.float32([[[1]], [[-2.5]]])
    names, size = ["DAPI", "actin"], (0.5, 0.5)
    whole = measure(labels, pixels, names, size)
    for top, bottom, left, right in ((40, 180, 30, 250), (0, 150, 120, 300), (130, 260, 0, 200)):
        window = (slice(top, bottom), slice(left, right))
        cut = measure(
            labels[window],
            (channel[window] for channel in pixels),
            names,
            size,
            origin_px=(top, left),
            plane_shape=labels.shape,
        )
        inside = (whole["min_y_px"] >= top) & (whole["max_y_px"] <= bottom)
        inside &= (whole["min_x_px"] >= left) & (whole["max_x_px"] <= right)
        same = np.isin(cut["label"], whole["label"][inside])
        assert same.sum() == inside.sum() > 10
        for name in whole:
            np.testing.assert_allclose(cut[name][same], whole[name][inside], rtol=1e-12, atol=1e-12)


def test_the_border_is_that_of_the_plane() -> None:
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    for origin_px, touching in (((0, 0), [1, 1, 1, 0]), ((4, 7), [0, 1, 1, 1]), ((2, 2), [0] * 4)):
        columns = measure(labels, [labels], origin_px=origin_px, plane_shape=(6, 9))
        assert columns["touches_border"].tolist() == touching


def test_channels_are_kept_one_at_a_time() -> None:
    labels = np.ones((3, 3), np.uint8)
    alive: list[weakref.ref[np.ndarray]] = []

    class Channels:
        def __init__(self) -> None:
            self.left = 3

        def __iter__(self) -> Iterator[np.ndarray]:
            return self

        def __next__(self) -> np.ndarray:
            assert all(channel() is None for channel in alive)
            if not self.left:
                raise StopIteration
            self.left -= 1
            channel = np.full((3, 3), self.left, np.uint16)
            alive.append(weakref.ref(channel))
            return channel

    columns = measure(labels, Channels(), ["a", "b", "c"])
    assert [columns[f"mean_intensity_{name}"][0] for name in "abc"] == [2, 1, 0]


def test_channels_must_fit_names_and_labels() -> None:
    labels = np.ones((3, 4), np.uint8)
    for pixels in (np.ones((2, 3, 4)), np.ones((1, 4, 3)), np.ones((0, 3, 4))):
        with pytest.raises(ValueError, match=r"shape|zip"):
            measure(labels, pixels)


@pytest.mark.parametrize("highest", [9, 2**31, 2**40])
def test_labels_of_any_size(highest: int) -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 6, (12, 14)).astype(np.int64)
    large = np.where(labels > 0, highest - labels, 0)
    small, found = (measure(plane, np.ones((1, 12, 14))) for plane in (labels, large))
    assert found["label"].tolist() == [highest - n for n in (5, 4, 3, 2, 1)]
    for name in SHAPE_COLUMNS:
        if name != "label":
            np.testing.assert_array_equal(found[name], small[name][::-1])


def test_boxes_of_a_plane_and_of_a_window() -> None:
    labels = np.array([[0, 7, 7], [3, 0, 7], [0, 0, 0]], np.uint16)
    boxes = label_boxes(labels)
    assert [boxes[name].tolist() for name in boxes] == [[3, 7], [1, 0], [0, 1], [2, 2], [1, 3]]
    assert list(boxes) == ["label", "min_y_px", "min_x_px", "max_y_px", "max_x_px"]
    moved = label_boxes(labels, (10, 20))
    assert (moved["min_y_px"][0], moved["max_x_px"][1]) == (11, 23)
    assert label_boxes(np.zeros((3, 3), np.uint8))["label"].size == 0

"""Measurements of volumes against scikit-image's regionprops on the whole stack."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import regionprops_table
from volume_makers import ellipsoids

from kiosk.imaging import medians, volume_measurements
from kiosk.imaging.measurements import INTENSITY_COLUMNS
from kiosk.imaging.volume_measurements import (
    VOLUME_COLUMNS,
    VOLUME_MICROMETRE_COLUMNS,
    VolumeMeasurements,
    volume_column_names,
)

ORACLE = {
    "label": "label",
    "z_px": "centroid-0",
    "y_px": "centroid-1",
    "x_px": "centroid-2",
    "volume_px": "area",
    "min_z_px": "bbox-0",
    "min_y_px": "bbox-1",
    "min_x_px": "bbox-2",
    "max_z_px": "bbox-3",
    "max_y_px": "bbox-4",
    "max_x_px": "bbox-5",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "major_axis_px": "axis_major_length",
    "minor_axis_px": "axis_minor_length",
    "mean_intensity": "intensity_mean",
    "sd_intensity": "intensity_std",
    "min_intensity": "intensity_min",
    "max_intensity": "intensity_max",
    "median_intensity": "intensity_median",
}


def measured(
    labels: np.ndarray,
    pixels: np.ndarray,
    names: tuple[str, ...] = ("",),
    pixel_size_um: tuple[float, float] | None = None,
    z_step_um: float | None = None,
    cut: int = 1,
) -> dict[str, np.ndarray]:
    """Measured plane by plane, each plane in `cut` x `cut` windows."""
    last = np.zeros(int(labels.max()) + 1, np.int64)
    for z, plane in enumerate(labels):
        last[np.unique(plane)] = z
    table = VolumeMeasurements(last, labels.shape, names, pixel_size_um, z_step_um)  # type: ignore[arg-type]
    for z, plane in enumerate(labels):
        for rows in np.array_split(np.arange(plane.shape[0]), cut):
            for columns in np.array_split(np.arange(plane.shape[1]), cut):
                if rows.size and columns.size:
                    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
                    channels = (channel[z][window] for channel in pixels)
                    table.add(z, plane[window], channels, (int(rows[0]), int(columns[0])))
    found = table.columns()
    assert list(found) == volume_column_names(names, pixel_size_um, z_step_um)
    return found


def check(labels: np.ndarray, pixels: np.ndarray, cut: int = 1) -> None:
    properties = sorted({name.split("-")[0] for name in ORACLE.values()} - {"axis_minor_length"})
    table = regionprops_table(
        labels.astype(np.int64),
        pixels.astype(np.float64),
        properties=[*properties, "inertia_tensor_eigvals"],
    )
    # The minor axis of flat instances is the root of a number about 0, below it for some.
    first, second, third = (table[f"inertia_tensor_eigvals-{n}"] for n in range(3))
    table["axis_minor_length"] = np.sqrt(10 * np.maximum(second + third - first, 0))
    columns = measured(labels, pixels[None], cut=cut)
    for name, oracle in ORACLE.items():
        np.testing.assert_allclose(columns[name], table[oracle], rtol=1e-6, atol=2e-6, err_msg=name)
    total = table["intensity_mean"] * table["area"]
    np.testing.assert_allclose(columns["total_intensity"], total, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("cut", [1, 3])
def test_cells_of_a_stack(cut: int) -> None:
    labels = ellipsoids((12, 50, 60), 25, 2)
    check(labels, np.random.default_rng(1).normal(100, 20, labels.shape).astype(np.float32), cut)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8"])
def test_every_dtype(dtype: str) -> None:
    random = np.random.default_rng(7)
    labels = random.integers(0, 9, (5, 8, 9)).astype(np.uint32)
    low = 0 if dtype in {"?", "u1", "u2", "u4"} else -100
    check(labels, random.integers(low, 100, labels.shape).astype(dtype))


stacks = arrays.arrays(
    np.uint16,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(0, 3),
)


@settings(max_examples=80, deadline=None)
@given(stacks, st.integers(1, 3))
def test_any_labels_with_holes_pieces_and_gaps(labels: np.ndarray, cut: int) -> None:
    if labels.any():
        check(labels, np.arange(labels.size, dtype=np.float32).reshape(labels.shape), cut)


def test_small_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.imaging.volume_intensities.CHUNK_PX", 1)
    monkeypatch.setattr(medians, "CHUNK_VALUES", 1)
    random = np.random.default_rng(3)
    labels = random.integers(0, 6, (6, 9, 7)).astype(np.uint16)
    check(labels, random.normal(size=labels.shape))


def test_axes_and_micrometres_of_a_stack_with_thick_planes() -> None:
    labels = ellipsoids((10, 60, 60), 12, 5, z_step_px=3.0)
    columns = measured(labels, labels[None].astype(np.uint16), ("",), (0.5, 0.5), 1.5)
    table = regionprops_table(
        labels.astype(np.int64),
        spacing=(1.5, 0.5, 0.5),
        properties=[
            "centroid",
            "area",
            "axis_major_length",
            "axis_minor_length",
            "equivalent_diameter_area",
        ],
    )
    for ours, theirs in (
        ("z_um", "centroid-0"),
        ("x_um", "centroid-2"),
        ("volume_um3", "area"),
        ("major_axis_um", "axis_major_length"),
        ("minor_axis_um", "axis_minor_length"),
        ("equivalent_diameter_um", "equivalent_diameter_area"),
    ):
        np.testing.assert_allclose(columns[ours], table[theirs], rtol=1e-9, err_msg=ours)
    np.testing.assert_allclose(columns["major_axis_px"], columns["major_axis_um"] / 0.5)


def test_axes_of_a_box() -> None:
    labels = np.zeros((9, 20, 30), np.uint8)
    labels[2:7, 3:14, 4:27] = 1
    columns = measured(labels, labels[None])
    axes = [columns[f"{name}_axis_px"][0] for name in ("major", "middle", "minor")]
    # The variance of n places in a row is (n^2 - 1) / 12.
    np.testing.assert_allclose(axes, [np.sqrt(20 * (n * n - 1) / 12) for n in (23, 11, 5)])
    assert (columns["planes"][0], columns["touches_border"][0]) == (5, 0)


def test_which_columns_there_are() -> None:
    intensities = [f"{name}_{channel}" for channel in ("a", "b") for name in INTENSITY_COLUMNS]
    names = ("a", "b")
    assert volume_column_names(names, None, None) == [*VOLUME_COLUMNS, *intensities]
    everything = volume_column_names(names, (1, 1), 2.0)
    assert everything == [*VOLUME_COLUMNS, *VOLUME_MICROMETRE_COLUMNS, *intensities]
    assert "z_um" not in volume_column_names(names, (1, 1), None)
    assert "y_um" in volume_column_names(names, (1, 1), None)
    assert volume_column_names(("",), None, 2.0) == [*VOLUME_COLUMNS, "z_um", *INTENSITY_COLUMNS]


def test_borders_of_the_stack() -> None:
    labels = np.zeros((4, 6, 6), np.uint8)
    labels[1, 2, 2], labels[1, 0, 3], labels[0, 3, 3], labels[3, 4, 4] = 1, 2, 3, 4
    labels[1:3, 4, 1] = 5
    columns = measured(labels, labels[None], cut=2)
    assert columns["touches_border"].tolist() == [0, 1, 1, 1, 0]
    assert columns["touches_z_border"].tolist() == [0, 0, 1, 1, 0]
    assert columns["planes"].tolist() == [1, 1, 1, 1, 2]


def test_not_finite_pixels_are_left_out() -> None:
    labels = np.array([[[1, 1]], [[1, 2]]], np.uint8)
    pixels = np.array([[[[2.0, np.nan]], [[4.0, np.inf]]]], np.float32)
    columns = measured(labels, pixels)
    assert columns["mean_intensity"][0] == columns["median_intensity"][0] == 3.0
    assert columns["total_intensity"].tolist() == [6.0, 0.0]
    for name in ("mean", "sd", "min", "max", "median"):
        assert np.isnan(columns[f"{name}_intensity"][1])
    assert columns["volume_px"].tolist() == [3, 1]


def test_a_small_spread_on_a_large_value_keeps_its_digits() -> None:
    labels = np.ones((9, 10, 10), np.uint8)
    pixels = 6e7 + np.random.default_rng(0).normal(0, 1, (1, 9, 10, 10))
    assert measured(labels, pixels)["sd_intensity"][0] == pytest.approx(pixels.std(), rel=1e-9)


def test_volumes_without_a_voxel_have_no_row() -> None:
    labels = np.array([[[1, 3]]], np.uint8)
    assert measured(labels, labels[None])["label"].tolist() == [1, 3]
    nothing = np.zeros((2, 3, 3), np.uint8)
    assert {0} == {values.size for values in measured(nothing, nothing[None]).values()}


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_medians_stay_near_when_memory_is_short(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volume_measurements, "MOST_BYTES", 4000)
    random = np.random.default_rng(5)
    labels = random.integers(0, 4, (12, 30, 30)).astype(np.uint8)
    pixels = random.normal(20_000, 3000, labels.shape).astype(dtype)
    table = VolumeMeasurements(np.full(4, 11), labels.shape)  # type: ignore[arg-type]
    for z, plane in enumerate(labels):
        table.add(z, plane, [pixels[z]])
    found = table.columns()["median_intensity"]
    assert not table.medians_are_exact
    expected = [np.median(pixels[labels == label]) for label in (1, 2, 3)]
    np.testing.assert_allclose(found, expected, rtol=0.03)


def test_channels_are_kept_one_at_a_time_and_counted() -> None:
    labels = np.ones((3, 3), np.uint8)
    alive: list[weakref.ref[np.ndarray]] = []

    class Channels:
        def __init__(self, left: int) -> None:
            self.left = left

        def __iter__(self) -> Iterator[np.ndarray]:
            return self

        def __next__(self) -> np.ndarray:
            assert all(channel() is None for channel in alive)
            if not self.left:
                raise StopIteration
            self.left -= 1
            channel = np.full((3, 3), self.left, np.float32)
            alive.append(weakref.ref(channel))
            return channel

    table = VolumeMeasurements(np.array([0, 0]), (1, 3, 3), ["a", "b"])
    table.add(0, labels, Channels(2))
    for count in (1, 3):
        with pytest.raises(ValueError, match="channels than names"):
            table.add(0, labels, Channels(count))
    with pytest.raises(ValueError, match="shape"):
        table.add(0, labels, np.ones((2, 4, 3)))

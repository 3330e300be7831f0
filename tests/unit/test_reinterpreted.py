"""Axes and sizes that the caller gives, in place of the file's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from image_makers import asked, everything, opened, pixels, tiff
from PIL import Image

from kiosk.adapters.images.reinterpreted import as_asked
from kiosk.errors import InvalidRequest
from kiosk.reading import ReadOptions

GREY: dict[str, Any] = {"photometric": "minisblack"}


def plain(data: np.ndarray) -> bytes:
    """Pages without any metadata."""
    return tiff(data, metadata=None, **GREY)


def moved(data: np.ndarray, axes: str) -> np.ndarray:
    """(t, z, c, y, x) of an array with these axes."""
    present = [axis for axis in "TZCYX" if axis in axes]
    data = np.moveaxis(data, [axes.index(axis) for axis in present], range(len(present)))
    missing = tuple(index for index, axis in enumerate("TZCYX") if axis not in axes)
    return np.expand_dims(data, missing)


@pytest.mark.parametrize("axes", ["TYX", "ZYX", "CYX", "TXY", "ZXY", "CXY"])
def test_pages_become_what_the_caller_says(axes: str) -> None:
    data = pixels(20, 12, 14)
    source = asked(plain(data), axes=axes)
    assert source.sizes[axes[0].lower()] == 20
    assert source.axes == axes
    np.testing.assert_array_equal(everything(source), moved(data, axes))
    assert not source.notes


@pytest.mark.parametrize("axes", ["TZYX", "TCYX", "ZTYX", "ZCYX", "CTYX", "CZYX", "TZXY", "CZXY"])
@pytest.mark.parametrize("form", [{}, {"ome": True, "metadata": {"axes": "TZYX"}}])
def test_two_axes_of_a_stack(axes: str, form: dict[str, Any]) -> None:
    data = pixels(5, 6, 12, 14)
    source = asked(tiff(data, **form, **GREY), axes=axes)
    np.testing.assert_array_equal(everything(source), moved(data, axes))
    assert not source.notes


@pytest.mark.parametrize("axes", ["TZCYX", "CZTYX", "ZCTYX"])
def test_three_axes_of_a_stack(axes: str) -> None:
    data = pixels(2, 3, 4, 6, 7)
    for content in (
        tiff(data, compression="zlib", **GREY),
        tiff(data, metadata={"axes": "QTZYX"}, **GREY),
        tiff(data, ome=True, metadata={"axes": "CTZYX"}, **GREY),
    ):
        np.testing.assert_array_equal(everything(asked(content, axes=axes)), moved(data, axes))


def test_windows_and_channels_go_to_the_right_place() -> None:
    data = pixels(5, 6, 40, 30)
    window = (slice(3, 17), slice(5, 29))
    source = asked(tiff(data, **GREY), axes="CZYX")
    got = source.plane(0, 2, [4, 0, 3], window)
    np.testing.assert_array_equal(got, data[[4, 0, 3], 2][:, *window])
    turned = asked(tiff(data, **GREY), axes="CZXY")
    got = turned.plane(0, 2, [4, 0], window)
    np.testing.assert_array_equal(got, data[[4, 0], 2].swapaxes(1, 2)[:, *window])
    with pytest.raises(InvalidRequest):
        source.plane(0, 6, [0])


def test_arrays_saved_as_colours_are_planes_again() -> None:
    """tifffile writes (3, y, x) and (4, y, x) as colours when nobody says otherwise."""
    for planes in (3, 4):
        data = pixels(2, planes, 12, 14)
        content = tiff(data, photometric="rgb", planarconfig="separate")
        np.testing.assert_array_equal(everything(asked(content, axes="TZYX")), moved(data, "TZYX"))
        np.testing.assert_array_equal(everything(asked(content, axes="ZCYX")), moved(data, "ZCYX"))


def test_colours_stay_channels_when_they_are_not_named() -> None:
    data = pixels(5, 12, 14, 3, dtype="u1")
    source = asked(tiff(data, photometric="rgb"), axes="ZYX")
    assert source.is_rgb
    assert (source.sizes["z"], source.sizes["c"]) == (5, 3)
    np.testing.assert_array_equal(everything(source)[0], np.moveaxis(data, -1, 1))
    assert asked(tiff(data, photometric="rgb"), axes="ZYXS").is_rgb


def test_a_palette_stays_three_channels() -> None:
    palette = np.random.default_rng(2).integers(0, 256, (3, 256), dtype=np.uint16) * 257
    content = tiff(pixels(5, 12, 14, dtype="u1"), photometric="palette", colormap=palette)
    source = asked(content, axes="ZYX")
    assert (source.sizes["z"], source.sizes["c"]) == (5, 3)
    assert source.is_rgb
    np.testing.assert_array_equal(everything(source)[0], everything(opened(content))[:, 0])


@pytest.mark.parametrize("axes", ["TYX", "TZYX", "TCYX", "YX", "TZCYX"])
def test_axes_of_length_one_may_be_named(axes: str) -> None:
    data = pixels(12, 14)
    source = asked(plain(data), axes=axes)
    np.testing.assert_array_equal(everything(source)[0, 0, 0], data)
    stack = pixels(4, 12, 14)
    source = asked(tiff(stack, ome=True, metadata={"axes": "ZYX"}, **GREY), axes="TCZYX")
    assert source.sizes["z"] == 4


@pytest.mark.parametrize("axes", ["YX", "TZYX", "TZCYX", "YXT", "YTX"])
def test_axes_that_do_not_fit_are_refused_with_what_the_file_has(axes: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked(plain(pixels(20, 12, 14)), axes=axes)
    assert caught.value.reason == "AXES_DO_NOT_FIT"
    assert caught.value.field == "axes"
    assert "3 axes longer than 1: 20 x 12 x 14" in caught.value.message
    assert "cells.tif" in caught.value.message


def test_the_file_stays_open_when_axes_do_not_fit() -> None:
    from kiosk.adapters.image_files import ImageFileReader
    from kiosk.settings import LimitSettings

    file = io.BytesIO(plain(pixels(20, 12, 14)))
    with pytest.raises(InvalidRequest):
        ImageFileReader(LimitSettings()).open(file, "cells.tif", ReadOptions(axes="YX"))
    assert not file.closed


def test_pictures_take_axes_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(pixels(12, 14, 3, dtype="u1")).save(buffer, "png")
    assert asked(buffer.getvalue(), axes="YXC").sizes["c"] == 3
    turned = asked(buffer.getvalue(), axes="XYC")
    assert (turned.sizes["y"], turned.sizes["x"]) == (14, 12)


def test_metadata_of_axes_that_change_are_dropped() -> None:
    metadata = {
        "axes": "TZCYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.25,
        "PhysicalSizeZ": 2.0,
        "TimeIncrement": 3.0,
        "Channel": {"Name": ["DAPI", "GFP", "Cy5", "Cy3"]},
    }
    content = tiff(pixels(2, 3, 4, 12, 14), ome=True, metadata=metadata, **GREY)
    same = asked(content, axes="TZCYX")
    assert (same.z_step_um, same.frame_interval_s) == (2.0, 3.0)
    other = asked(content, axes="ZTCXY")
    assert (other.z_step_um, other.frame_interval_s) == (None, None)
    assert list(other.channel_names) == ["DAPI", "GFP", "Cy5", "Cy3"]
    assert other.pixel_size_um == (0.5, 0.25)
    assert list(other.levels) == [(14, 12)]
    third = asked(content, axes="CZTYX")
    assert list(third.channel_names) == ["channel 0", "channel 1"]


# ---------------------------------------------------------------- sizes


def calibrated() -> bytes:
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.325, "PhysicalSizeZ": 2.0}
    return tiff(pixels(3, 12, 14), ome=True, metadata=metadata, **GREY)


def test_sizes_that_are_given_count() -> None:
    source = asked(plain(pixels(12, 14)), pixel_size_um=0.5, z_step_um=2.0)
    assert (source.pixel_size_um, source.z_step_um) == ((0.5, 0.5), 2.0)
    assert not source.notes


def test_contradictions_are_noted() -> None:
    content = calibrated()
    source = asked(content, pixel_size_um=0.5, z_step_um=1.0)
    assert (source.pixel_size_um, source.z_step_um) == ((0.5, 0.5), 1.0)
    assert source.notes == (
        "The file says 0.325 µm per pixel; 0.5 µm is used as given.",
        "The file says 2 µm from plane to plane; 1 µm is used as given.",
    )
    np.testing.assert_array_equal(source.plane(0, 2, [0]), opened(content).plane(0, 2, [0]))


def test_the_same_size_is_no_contradiction() -> None:
    source = asked(calibrated(), pixel_size_um=0.3251, z_step_um=2.0)
    assert not source.notes


def test_nothing_asked_leaves_the_source_alone() -> None:
    source = opened(calibrated())
    assert as_asked(source, "cells.tif", ReadOptions()) is source
    assert as_asked(source, "cells.tif", ReadOptions(axes="ZYX")) is source
    assert as_asked(source, "cells.tif", ReadOptions(axes="TCZYX")) is source


def test_closing_closes_the_file() -> None:
    from kiosk.adapters.image_files import ImageFileReader
    from kiosk.settings import LimitSettings

    file = io.BytesIO(plain(pixels(5, 12, 14)))
    options = ReadOptions(axes="ZYX", pixel_size_um=1.0)
    ImageFileReader(LimitSettings()).open(file, "cells.tif", options).close()
    assert file.closed

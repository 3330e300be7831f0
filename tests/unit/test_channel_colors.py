"""Colours of channels as files have them, also by way of the process that reads them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from zarr_makers import write_image, zipped

from kiosk.adapters.decoder.decoding_files import DecodingImageFiles
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.images import channel_colors
from kiosk.adapters.images.npy_arrays import RGB_NAMES
from kiosk.ports import ImageFiles, channel_colors_of
from kiosk.reading import ReadOptions
from kiosk.settings import DecodingSettings, LimitSettings

BLUE, GREEN = "#0000FF", "#00FF00"
IMAGE = np.zeros((2, 20, 24), np.uint8)


@pytest.fixture(scope="module", params=["here", "in a process"])
def files(request: Any) -> Iterator[ImageFiles]:
    if request.param == "here":
        yield ImageFileReader(LimitSettings())
        return
    decoding = DecodingImageFiles(LimitSettings(), DecodingSettings())
    yield decoding
    decoding.close()


def tiff(image: np.ndarray = IMAGE, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, **{"photometric": "minisblack", **options})
    return file.getvalue()


def colors(files: ImageFiles, data: bytes, **reading: Any) -> list[str]:
    name = "a.zip" if data.startswith(b"PK") else "a.tif"
    source = files.open(io.BytesIO(data), name, ReadOptions(**reading))
    try:
        return list(channel_colors_of(source))
    finally:
        source.close()


def test_ome_xml(files: ImageFiles) -> None:
    # 0x0000FFFF and 0x00FF00FF: red, green, blue, alpha.
    metadata = {"axes": "CYX", "Channel": {"Color": [0x0000FFFF, 0x00FF00FF]}}
    data = tiff(ome=True, metadata=metadata)
    assert colors(files, data) == [BLUE, GREEN]
    assert colors(files, data, pixel_size_um=0.5) == [BLUE, GREEN]
    assert colors(files, data, axes="ZYX") == [""]
    assert colors(files, tiff(ome=True, metadata={"axes": "CYX"})) == ["", ""]


def test_imagej(files: ImageFiles) -> None:
    ramp = np.arange(256, dtype=np.uint8)
    blue = np.stack([ramp * 0, ramp * 0, ramp])
    grey = np.stack([ramp, ramp, ramp])
    data = tiff(imagej=True, metadata={"axes": "CYX", "LUTs": [blue, grey], "mode": "composite"})
    assert colors(files, data) == [BLUE, ""]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_omero(files: ImageFiles, tmp_path: Path, zarr_format: int) -> None:
    channels = [{"label": "DAPI", "color": "0000ff"}, {"label": "x", "color": 7}]
    write_image(
        tmp_path, IMAGE, "cyx", zarr_format=zarr_format, ome={"omero": {"channels": channels}}
    )
    assert colors(files, zipped(tmp_path)) == [BLUE, ""]


def test_colour_images_have_none_of_their_own(files: ImageFiles) -> None:
    data = tiff(np.zeros((20, 24, 3), np.uint8), photometric="rgb")
    assert colors(files, data) == [""] * len(RGB_NAMES)


@pytest.mark.parametrize(
    ("value", "color"),
    [
        ("-1", ""),  # white
        ("255", ""),  # black
        ("-16776961", "#FF0000"),
        (str(0xFF0000FF), "#FF0000"),
        ("99999999999999", ""),
        ("blue", ""),
        (None, ""),
    ],
)
def test_numbers_of_ome(value: str | None, color: str) -> None:
    assert channel_colors.of_ome(value) == color


@pytest.mark.parametrize("value", [None, 5, "", "red", "12345", "1234567", "<script>", ["00FF00"]])
def test_what_is_no_colour(value: Any) -> None:
    assert channel_colors.of_omero(value) == ""


@pytest.mark.parametrize("tables", [None, "x", [], [np.zeros((3, 256), np.uint8)], ["a", "b"]])
def test_what_are_no_tables(tables: Any) -> None:
    assert channel_colors.of_tables(tables, 2) == ("", "")

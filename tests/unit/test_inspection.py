"""What the kiosk sees in a file before anything runs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
import pytest
import tifffile
from PIL import Image
from segmented import ome, tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest
from kiosk.inspection import inspect_file
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.settings import LimitSettings


class Opened:
    """Gives the same bytes anew each time, and knows which files were left open."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.files: list[BinaryIO] = []

    def __call__(self) -> BinaryIO:
        self.files.append(io.BytesIO(self.data))
        return self.files[-1]


def inspected(data: bytes, *arguments: object, **options: object) -> list[InspectedImage]:
    opened = Opened(data)
    reader = ImageFileReader(LimitSettings())
    try:
        return inspect_file(reader, opened, "a file", *arguments, **options)  # type: ignore[arg-type]
    finally:
        assert all(file.closed for file in opened.files)


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


GREY = np.arange(60 * 90, dtype=np.uint16).reshape(60, 90)


def picture(image: InspectedImage) -> Image.Image:
    return Image.open(io.BytesIO(image.thumbnail))


def test_one_image() -> None:
    data = ome(np.stack([GREY] * 6).reshape(3, 2, 60, 90), "TCYX", PhysicalSizeX=0.5)
    (image,) = inspected(data)
    assert image.sizes == {"t": 3, "c": 2, "z": 1, "y": 60, "x": 90}
    assert (image.axes, image.dtype, image.format) == ("TCYX", "uint16", "OME-TIFF")
    assert (image.thumbnail, image.error) == (b"", None)


def test_it_is_read_as_asked() -> None:
    data = tiff(np.stack([GREY] * 4), imagej=True, metadata={"axes": "TYX"})
    (image,) = inspected(data, ReadOptions(axes="ZYX", pixel_size_um=0.25, z_step_um=2.0))
    assert (image.sizes["z"], image.pixel_size_um, image.z_step_um) == (4, (0.25, 0.25), 2.0)
    assert image.reading.axes == "ZYX"


def test_thumbnail_is_the_middle_plane_of_the_first_channel() -> None:
    stack = np.zeros((3, 2, 40, 80), np.uint8)  # z, c
    stack[1, 0, :20] = 200
    (image,) = inspected(ome(stack, "ZCYX"), thumbnail_px=40)
    shown = np.asarray(picture(image).convert("L"))
    assert shown.shape == (20, 40)
    assert shown[:9].min() > 200
    assert shown[11:].max() < 50


def test_thumbnail_of_colours_is_in_colour() -> None:
    colours = np.zeros((30, 50, 3), np.uint8)
    colours[..., 0] = np.arange(50) * 5
    (image,) = inspected(tiff(colours, photometric="rgb"), thumbnail_px=64)
    red, green, _ = np.asarray(picture(image).convert("RGB")).reshape(-1, 3).max(axis=0)
    assert (image.is_rgb, red, green) == (True, 255, 0)


def test_members_in_their_order_each_with_its_own_error() -> None:
    members = {"b10.tif": tiff(GREY), "b2.tif": b"II*\0 no tiff", "a/c.tif": tiff(GREY)}
    found = inspected(zipped(members), thumbnail_px=32)
    assert [image.reading.member for image in found] == ["a/c.tif", "b2.tif", "b10.tif"]
    assert [image.error is None for image in found] == [True, False, True]
    assert [bool(image.thumbnail) for image in found] == [True, False, True]
    (one,) = inspected(zipped(members), ReadOptions(member="b10.tif"))
    assert one.sizes["x"] == 90


def test_series_of_a_file() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, ome=True) as writer:
        for shape in ((60, 90), (20, 30)):
            writer.write(GREY[: shape[0], : shape[1]], metadata={"axes": "YX"})
    assert [image.sizes["x"] for image in inspected(file.getvalue())] == [90, 30]
    (second,) = inspected(file.getvalue(), ReadOptions(series=1))
    assert second.sizes["x"] == 30


def test_a_list_opens_nothing() -> None:
    members = {f"{i}.tif": b"II*\0 no tiff" for i in range(3)}
    found = inspected(zipped(members), list_only=True)
    assert [(image.reading.member, image.error, image.sizes) for image in found] == [
        (f"{i}.tif", None, {}) for i in range(3)
    ]


def test_only_so_many_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.inspection.MOST_OPENED", 2)
    found = inspected(zipped({f"{i}.tif": tiff(GREY) for i in range(4)}))
    assert [bool(image.sizes) for image in found] == [True, True, False, False]


def test_thumbnails_together_have_a_limit() -> None:
    data = zipped({f"{i}.tif": tiff(GREY) for i in range(4)})
    one = len(inspected(data, thumbnail_px=64)[0].thumbnail)
    found = inspected(data, thumbnail_px=64, most_thumbnail_bytes=2 * one)
    assert [bool(image.thumbnail) for image in found] == [True, True, False, False]
    assert all(image.sizes for image in found)


def test_pixels_that_are_damaged_are_the_error_of_their_image() -> None:
    data = bytearray(tiff(GREY, compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        start = tif.pages[0].dataoffsets[0]
    data[start + 2 : start + 60] = bytes(58)
    (image,) = inspected(bytes(data), thumbnail_px=32)
    assert image.error is not None
    assert image.error.message.endswith(".")
    assert inspected(bytes(data))[0].error is None  # the headers are right


@pytest.mark.parametrize("data", [b"", b"hello, this is no image", zipped({})])
def test_what_is_no_image_at_all(data: bytes) -> None:
    try:
        (image,) = inspected(data)
        error = image.error
    except InvalidRequest as caught:
        error = caught
    assert error is not None
    assert error.message.endswith(".")


@pytest.mark.parametrize("thumbnail_px", [-1, 513, 10**9])
def test_thumbnails_have_a_largest_size(thumbnail_px: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        inspected(tiff(GREY), thumbnail_px=thumbnail_px)
    assert caught.value.reason == "BAD_THUMBNAIL_SIZE"

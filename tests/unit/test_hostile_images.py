"""Small files that ask for much: each is refused, or costs no more than its size allows."""

from __future__ import annotations

import io
import time
import zipfile
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import zarr
from image_makers import opened
from segmented import kiosk_with, segmented, spots, tiff
from tiff_makers import page, tiff_of
from zarr_makers import open_zip, write_image, zip_of, zipped

from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.images import tiff_headers, tiff_series, zip_archive
from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.inspection import inspect_file
from kiosk.pipelines import job_size
from kiosk.pipelines.job_size import check_job_size
from kiosk.request import Region, SegmentationRequest
from kiosk.settings import LimitSettings


def refused(data: bytes, reason: str, **limits: int) -> str:
    """The message; opening must fail with this reason, at once."""
    begun = time.process_time()
    with pytest.raises(InvalidRequest) as caught:
        opened(data, "cells.tif", **limits).plane(0, 0, [0])
    assert time.process_time() - begun < 5
    assert caught.value.reason == reason, caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


@pytest.mark.parametrize(
    "tags",
    [
        page(10**6, 10**6),
        page(10**6, 10**6, tile_px=16_000),
        page(10**6, 10**6, compression=8, counts=[20]),
        page(2**32 - 1, 2**32 - 1, bits=64),
    ],
)
def test_a_trillion_pixels(tags: Any) -> None:
    refused(tiff_of(tags, rest=bytes(20)), "IMAGE_TOO_LARGE")


def test_a_tiny_file_leaves_out_a_huge_plane() -> None:
    """100 tiles of 10,000 x 10,000 pixels, none of which is there."""
    message = refused(tiff_of(page(10**5, 10**5, tile_px=10_000)), "IMAGE_TOO_LARGE")
    assert "leaves out" in message


def test_a_slide_without_its_background_is_read() -> None:
    """In tiles of usual size the list of those that are left out takes its room."""
    source = opened(tiff_of(page(40_000, 40_000, tile_px=512)), "slide.tif")
    assert not source.plane(0, 0, [0], (slice(39_000, 39_100), slice(0, 5000))).any()


def test_pieces_are_bounded_in_bytes_too() -> None:
    packed = zlib.compress(bytes(800_000))
    strip = {"compression": 8, "counts": [len(packed)]}
    at = len(tiff_of(page(1000, 100, bits=64, offsets=[0], **strip)))
    data = tiff_of(page(1000, 100, bits=64, offsets=[at], **strip), rest=packed)
    assert "800000 bytes" in refused(data, "IMAGE_TOO_LARGE", plane_px=150_000)
    assert opened(data, plane_px=200_000).sizes["x"] == 1000


def test_png_is_bounded_in_bytes_too() -> None:
    data = cv2.imencode(".png", np.zeros((100, 100, 3), np.uint16))[1].tobytes()
    assert "60000 bytes" in refused(data, "IMAGE_TOO_LARGE", plane_px=12_000)


def test_very_many_pages_below_one() -> None:
    assert "below it" in refused(tiff_of(page(8, 8, below=range(9, 400))), "CORRUPT_IMAGE")


def test_very_many_damaged_pages_below_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_headers, "MOST_DAMAGED", 100)
    pages = [page(8, 8, below=range(10_000_000, 10_000_030)) for _ in range(5)]
    assert "below others" in refused(tiff_of(*pages), "CORRUPT_IMAGE")


@pytest.mark.parametrize("below", [8, 0])
def test_pages_that_are_below_themselves(below: int) -> None:
    data = tiff_of(page(8, 8, counts=[64], below=[below]), rest=bytes(100))
    assert opened(data).plane(0, 0, [0]).shape == (1, 8, 8)


def test_pages_that_are_below_each_other() -> None:
    size = len(tiff_of(page(8, 8, counts=[64], below=[8])))
    first = tiff_of(page(8, 8, counts=[64], below=[size]))
    second = tiff_of(page(4, 4, counts=[16], below=[8]))[8:]
    assert opened(first + second + bytes(100)).levels[0] == (8, 8)


def test_very_many_pages_of_differing_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_series, "MOST_COMPARED", 20)
    pages = [page(1 + number, 5, counts=[5]) for number in range(30)]
    assert "OME-TIFF" in refused(tiff_of(*pages, rest=bytes(100)), "IMAGE_TOO_LARGE")
    same = [page(6, 5, counts=[30]) for _ in range(30)]
    assert opened(tiff_of(*same, rest=bytes(100))).sizes["t"] == 30


def ome(*, images: int = 1, blocks: int = 1, channel: str = "", depth: int = 0) -> bytes:
    """An image of 8 x 8 pixels with OME-XML of any size."""
    pixels = (
        '<Image ID="Image:0"><Pixels ID="Pixels:0" SizeX="8" SizeY="8" SizeC="1" SizeT="1"'
        ' SizeZ="1" Type="uint8" DimensionOrder="XYZCT">'
        f'<Channel ID="Channel:0:0" Name="{channel}" SamplesPerPixel="1"/>'
        f"{'<TiffData/>' * blocks}{'<a>' * depth}{'</a>' * depth}</Pixels></Image>"
    )
    name = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    text = f'<?xml version="1.0"?><OME xmlns="{name}">{pixels * images}</OME>'
    return tiff(np.zeros((8, 8), np.uint8), description=text, metadata=None)


def test_long_names_of_channels_are_cut() -> None:
    assert opened(ome(channel="N" * 100_000)).channel_names == ("N" * 200,)


@pytest.mark.parametrize("asked", [{"blocks": 200}, {"channel": "N" * 3000}])
def test_metadata_without_end_are_left_aside(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    assert opened(ome()).format == "OME-TIFF"
    monkeypatch.setattr(tiff_headers, "MOST_XML", 2500)
    source = opened(ome(**asked), planes=5)
    assert source.plane(0, 0, [0]).shape == (1, 8, 8)
    assert "OME metadata of the file are damaged" in " ".join(source.notes)


def test_deep_metadata_are_survived() -> None:
    assert opened(ome(depth=20_000)).sizes["y"] == 8


def test_members_of_a_zip_that_unpack_to_very_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "_FREE_BYTES", 1_000_000)
    empty = tiff(np.zeros((1200, 1200), np.uint8))
    data = zip_of({"empty.tif": empty}, zipfile.ZIP_DEFLATED)
    with pytest.raises(TooLarge, match="bomb"):
        open_zip(data)
    stored = zip_of({"empty.tif": empty}, zipfile.ZIP_STORED)
    assert open_zip(stored).sizes["y"] == 1200
    small = zip_of({"a.tif": tiff(np.zeros((900, 900), np.uint8))}, zipfile.ZIP_DEFLATED)
    assert open_zip(small).sizes["y"] == 900


def test_an_ome_zarr_without_pixels(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", np.zeros((4, 4), np.uint16), "yx")
    array = zarr.open_array(str(tmp_path / "a.zarr" / "0"))
    array.resize((90_000, 90_000))
    with pytest.raises(TooLarge, match="leaves out"):
        open_zip(zipped(tmp_path / "a.zarr"))


def test_jobs_of_very_many_pixels() -> None:
    sizes = {"t": 10, "c": 1, "z": 10, "y": 1000, "x": 1000}
    check_job_size(sizes, SegmentationRequest(), 100_000_000)
    with pytest.raises(TooLarge) as caught:
        check_job_size(sizes, SegmentationRequest(), 99_999_999)
    assert caught.value.message.endswith(".")
    region = Region(min_y_px=0, min_x_px=0, max_y_px=100, max_x_px=100)
    check_job_size(sizes, SegmentationRequest(region=region), 1_000_000)


async def test_large_jobs_are_refused_when_they_are_submitted() -> None:
    kiosk = kiosk_with(job_px=5999)
    upload = await kiosk.upload(tiff(spots((60, 100))))
    with pytest.raises(TooLarge, match="in one job"):
        await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)


async def test_jobs_of_very_many_parts_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_size, "MOST_PARTS", 3)
    kiosk = kiosk_with(block_px=64, block_halo_px=16)
    upload = await kiosk.upload(tiff(spots((100, 200))))
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    await kiosk.work()
    done = await kiosk.service.get_job(job.id, caller=LOCAL)
    assert (done.state.value, done.error_reason) == ("failed", "JOB_TOO_LARGE")


async def test_blank_blocks_need_no_network() -> None:
    """What is to be seen lies in one corner; the other blocks are black, or have a little noise."""
    dark = np.zeros((300, 300), np.uint8)
    dark[20:40, 20:40] = 200
    noisy = dark.copy()
    noisy[::7, ::7] += 1
    tiles = []
    for image in (dark, noisy):
        kiosk = kiosk_with(block_px=64, block_halo_px=16)
        assert (await segmented(tiff(image), kiosk)).counts == [1]
        tiles.append(len(kiosk.inference.calls))
    assert 0 < tiles[0] < tiles[1] / 3


async def test_a_block_within_a_bright_instance_is_no_blank_one() -> None:
    image = np.zeros((300, 300), np.uint8)
    image[20:280, 20:280] = 255
    found = await segmented(tiff(image), kiosk_with(block_px=64, block_halo_px=64))
    assert found.labels[150, 150] > 0


def test_thumbnails_that_take_too_long_are_left_out() -> None:
    data = tiff(np.ones((64, 64), np.uint8))
    images = inspect_file(
        ImageFileReader(LimitSettings()),
        lambda: io.BytesIO(data),
        "cells.tif",
        thumbnail_px=32,
        patience_s=-1.0,
    )
    assert images[0].sizes["y"] == 64
    assert images[0].thumbnail == b""
    assert "takes too long" in images[0].notes[-1]


def test_images_that_nobody_waits_for_are_only_listed() -> None:
    data = zip_of({f"{i}.tif": tiff(np.ones((4, 4), np.uint8)) for i in range(3)})
    reader = ImageFileReader(LimitSettings())
    images = inspect_file(reader, lambda: io.BytesIO(data), "cells.zip", patience_s=-1.0)
    assert [bool(image.sizes) for image in images] == [True, False, False]

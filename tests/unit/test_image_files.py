"""Image files: every flavour that is read, and plain sentences for everything else."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest, TooLarge, TransientError
from kiosk.ports import ImageSource
from kiosk.settings import LimitSettings

RNG = np.random.default_rng(5)


def pixels(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return RNG.random(shape) > 0.5
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def tiff(data: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    writer = {k: options.pop(k) for k in ("bigtiff", "byteorder", "imagej", "ome") if k in options}
    with tifffile.TiffWriter(buffer, **writer) as tif:
        tif.write(data, **options)
    return buffer.getvalue()


def opened(data: bytes, name: str = "cells.tif", **limits: int) -> ImageSource:
    return ImageFileReader(LimitSettings(**limits)).open(io.BytesIO(data), name)  # type: ignore[arg-type]


def first_plane(data: bytes, name: str = "cells.tif", **limits: int) -> np.ndarray:
    source = opened(data, name, **limits)
    return source.plane(0, 0, range(source.sizes["c"]))


def outcome(data: bytes, **limits: int) -> str:
    """'read', or the reason of the refusal, which must be a sentence; other errors come through."""
    try:
        first_plane(data, **limits)
    except InvalidRequest as error:
        return error.reason if error.message.endswith(".") else error.message
    return "read"


def everything(source: ImageSource) -> np.ndarray:
    """(t, z, c, y, x)."""
    channels = range(source.sizes["c"])
    return np.stack(
        [
            np.stack([source.plane(t, z, channels) for z in range(source.sizes["z"])])
            for t in range(source.sizes["t"])
        ]
    )


def refused(data: bytes, reason: str, name: str = "cells.tif", **limits: int) -> str:
    """Opening or reading the first plane must fail with this reason; gives the message."""
    with pytest.raises(InvalidRequest) as caught:
        first_plane(data, name, **limits)
    assert caught.value.reason == reason
    assert name in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


# ---------------------------------------------------------------- TIFF that is read

DTYPES = ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "?"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_single_plane(dtype: str, byteorder: str, bigtiff: bool) -> None:
    data = pixels(13, 17, dtype=dtype)
    source = opened(tiff(data, byteorder=byteorder, bigtiff=bigtiff))
    assert dict(source.sizes) == {"t": 1, "c": 1, "z": 1, "y": 13, "x": 17}
    assert source.dtype == np.dtype(dtype)
    assert source.dtype.isnative
    plane = source.plane(0, 0, [0])
    assert plane.shape == (1, 13, 17)
    assert plane.dtype == source.dtype
    np.testing.assert_array_equal(plane[0], data)
    assert source.channel_names == ("channel 0",)
    assert source.pixel_size_um is None
    assert not source.is_rgb


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "packbits", "lzma"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_lossless_compressions(compression: str, tile: Any, byteorder: str) -> None:
    data = pixels(40, 50)
    source = opened(tiff(data, compression=compression, tile=tile, byteorder=byteorder))
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)


def test_predictor_and_many_strips() -> None:
    data = pixels(40, 50)
    source = opened(tiff(data, compression="zlib", predictor=True, rowsperstrip=3))
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)


def test_jpeg_compression_is_close() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    plane = opened(tiff(ramp, compression="jpeg")).plane(0, 0, [0])[0]
    assert np.abs(plane.astype(int) - ramp).max() < 10


def test_jpeg_compressed_colours_are_rgb() -> None:
    data = np.zeros((32, 32, 3), np.uint8)
    data[..., 0] = 200
    source = opened(tiff(data, photometric="rgb", compression="jpeg"))
    red, green, blue = source.plane(0, 0, [0, 1, 2]).mean(axis=(1, 2))
    assert red > 180
    assert green < 20
    assert blue < 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_tiny_planes(shape: tuple[int, int]) -> None:
    data = pixels(*shape)
    np.testing.assert_array_equal(opened(tiff(data)).plane(0, 0, [0])[0], data)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb(planar: str) -> None:
    data = pixels(12, 14, 3, dtype="u1")
    stored = data if planar == "contig" else np.moveaxis(data, -1, 0)
    source = opened(tiff(stored, photometric="rgb", planarconfig=planar))
    assert source.is_rgb
    assert source.channel_names == ("red", "green", "blue")
    np.testing.assert_array_equal(source.plane(0, 0, [0, 1, 2]), np.moveaxis(data, -1, 0))
    np.testing.assert_array_equal(source.plane(0, 0, [2, 0])[0], data[..., 2])


def test_alpha_is_left_out_with_a_note() -> None:
    data = pixels(12, 14, 4, dtype="u1")
    source = opened(tiff(data, photometric="rgb", extrasamples=["unassalpha"]))
    assert source.sizes["c"] == 3
    assert source.is_rgb
    np.testing.assert_array_equal(everything(source)[0, 0], np.moveaxis(data[..., :3], -1, 0))
    assert any("alpha" in note for note in source.notes)


def test_a_fourth_sample_of_unknown_kind_is_a_channel() -> None:
    data = pixels(12, 14, 4, dtype="u1")
    source = opened(tiff(data, photometric="rgb", extrasamples=["unspecified"]))
    assert source.sizes["c"] == 4
    assert not source.is_rgb


def test_a_colourful_palette_is_expanded() -> None:
    palette = RNG.integers(0, 256, (3, 256), dtype=np.uint16) * 257
    data = pixels(12, 14, dtype="u1")
    source = opened(tiff(data, photometric="palette", colormap=palette))
    assert source.is_rgb
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(source.plane(0, 0, [1])[0], palette[1][data] // 257)


def test_a_display_palette_is_not_applied() -> None:
    palette = np.zeros((3, 256), np.uint16)
    palette[1] = np.arange(256) * 257  # "green"
    data = pixels(12, 14, dtype="u1")
    source = opened(tiff(data, photometric="palette", colormap=palette))
    assert source.sizes["c"] == 1
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)
    assert any("palette" in note for note in source.notes)


def test_unnamed_pages_become_time_points() -> None:
    data = pixels(30, 8, 9)
    source = opened(tiff(data, metadata=None, photometric="minisblack"))
    assert source.sizes["t"] == 30
    assert source.notes == (
        "The file does not name the axis of its 30 planes; they are taken as time points.",
    )
    np.testing.assert_array_equal(everything(source)[:, 0, 0], data)


def test_an_unnamed_axis_beside_time_becomes_depth() -> None:
    data = pixels(3, 4, 8, 9)
    source = opened(tiff(data, metadata={"axes": "TQYX"}, photometric="minisblack"))
    assert (source.sizes["t"], source.sizes["z"]) == (3, 4)
    np.testing.assert_array_equal(everything(source)[:, :, 0], data)


def test_further_unnamed_axes_join_time() -> None:
    data = pixels(2, 3, 4, 8, 9)
    source = opened(tiff(data, metadata={"axes": "QTZYX"}, photometric="minisblack"))
    assert (source.sizes["t"], source.sizes["z"]) == (6, 4)
    np.testing.assert_array_equal(everything(source)[:, :, 0], data.reshape(6, 4, 8, 9))


def test_pages_are_compressed_each_in_its_own_way() -> None:
    data = pixels(3, 8, 9)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, ome=False) as tif:
        for plane in data:
            tif.write(plane, metadata=None, photometric="minisblack", compression="zlib")
    np.testing.assert_array_equal(everything(opened(buffer.getvalue()))[:, 0, 0], data)


def test_only_the_first_series_is_read() -> None:
    buffer = io.BytesIO()
    first = pixels(2, 20, 30)
    with tifffile.TiffWriter(buffer) as tif:
        tif.write(first, photometric="minisblack")
        tif.write(pixels(5, 6), photometric="minisblack")
    source = opened(buffer.getvalue())
    assert source.sizes["x"] == 30
    assert any("only the first" in note for note in source.notes)


@given(
    order=st.permutations("TZC"),
    lengths=st.tuples(*[st.integers(1, 3)] * 3),
    dtype=st.sampled_from(["u1", "u2", "i2", "f4"]),
    form=st.sampled_from(["ome", "shaped", "big"]),
    byteorder=st.sampled_from("<>"),
    compression=st.sampled_from([None, "zlib"]),
)
@settings(max_examples=60, deadline=None)
def test_round_trip_over_axes(
    order: list[str],
    lengths: tuple[int, int, int],
    dtype: str,
    form: str,
    byteorder: str,
    compression: Any,
) -> None:
    axes = "".join(order)
    data = pixels(*lengths, 5, 7, dtype=dtype)
    source = opened(
        tiff(
            data,
            metadata={"axes": axes + "YX"},
            photometric="minisblack",
            ome=form == "ome",
            bigtiff=form == "big",
            byteorder=byteorder,
            compression=compression,
        )
    )
    assert tuple(source.sizes[axis.lower()] for axis in axes) == lengths
    expected = np.moveaxis(data, [axes.index(axis) for axis in "TZC"], [0, 1, 2])
    np.testing.assert_array_equal(everything(source), expected)
    assert not source.notes


@given(lengths=st.tuples(*[st.integers(1, 3)] * 3), dtype=st.sampled_from(["u1", "u2", "f4"]))
@settings(max_examples=20, deadline=None)
def test_imagej_round_trip(lengths: tuple[int, int, int], dtype: str) -> None:
    data = pixels(*lengths, 5, 7, dtype=dtype)
    source = opened(tiff(data, imagej=True, metadata={"axes": "TZCYX"}, photometric="minisblack"))
    np.testing.assert_array_equal(everything(source), data)


# ---------------------------------------------------------------- metadata


def test_ome_metadata() -> None:
    source = opened(
        tiff(
            pixels(2, 3, 8, 9),
            ome=True,
            photometric="minisblack",
            metadata={
                "axes": "TCYX",
                "Channel": {"Name": ["DAPI", "GFP", "Cy5"]},
                "PhysicalSizeX": 325.0,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 0.5,
                "PhysicalSizeYUnit": "µm",
                "TimeIncrement": 2.0,
                "TimeIncrementUnit": "min",
            },
        )
    )
    assert source.channel_names == ("DAPI", "GFP", "Cy5")
    assert source.pixel_size_um == pytest.approx((0.5, 0.325))
    assert source.frame_interval_s == 120.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [
        ("um", 4.0, 0.25),
        ("micron", 4.0, 0.25),
        ("\\u00B5m", 4.0, 0.25),
        ("nm", 0.01, 0.1),
        ("mm", 2000.0, 0.5),
        ("cm", 20000.0, 0.5),
        ("pixel", 1.0, None),
        ("", 1.0, None),
    ],
)
def test_imagej_metadata(unit: str, per_unit: float, expected: float | None) -> None:
    source = opened(
        tiff(
            pixels(3, 2, 8, 9),
            imagej=True,
            photometric="minisblack",
            resolution=(per_unit, per_unit),
            metadata={
                "axes": "TCYX",
                "unit": unit,
                "finterval": 30.0,
                "Labels": ["nuclei", "membrane"] * 3,
            },
        )
    )
    assert source.channel_names == ("nuclei", "membrane")
    assert source.pixel_size_um == (None if expected is None else pytest.approx((expected,) * 2))
    assert source.frame_interval_s == 30.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("per_unit", "unit", "expected"),
    [(72, "inch", None), (300, "inch", None), (1200, "inch", None), (20000, "centimeter", 0.5)],
)
def test_resolution_of_print_is_no_pixel_size(per_unit: int, unit: str, expected: Any) -> None:
    data = tiff(pixels(8, 9), resolution=(per_unit, per_unit), resolutionunit=unit)
    assert opened(data).pixel_size_um == (expected and pytest.approx((expected, expected)))


def test_lying_ome_metadata_are_left_aside() -> None:
    data = tiff(pixels(4, 8, 9), ome=True, photometric="minisblack", metadata={"axes": "ZYX"})
    huge = data.replace(b'SizeZ="4"', b'SizeZ="9"')
    source = opened(huge)
    assert source.sizes["t"] * source.sizes["z"] == 4
    assert source.notes
    monstrous = tiff(
        pixels(4, 8, 9),
        photometric="minisblack",
        metadata=None,
        description='<?xml version="1.0"?><OME xmlns="x"><Image><Pixels DimensionOrder="XYZCT"'
        ' SizeX="9" SizeY="8" SizeZ="999999999" SizeC="1" SizeT="99999"><TiffData IFD="0"'
        ' PlaneCount="999999999"/></Pixels></Image></OME>',
    )
    source = opened(monstrous)
    assert source.sizes["t"] * source.sizes["z"] == 4
    assert any("OME metadata" in note for note in source.notes)


# ---------------------------------------------------------------- PNG and JPEG


def png(data: np.ndarray) -> bytes:
    """cv2 takes colours as blue, green, red."""
    if data.ndim == 3:
        order = [2, 1, 0, 3][: data.shape[2]] if data.shape[2] == 4 else [2, 1, 0]
        data = data[..., order]
    return bytes(cv2.imencode(".png", data)[1])


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("samples", [0, 3, 4])
def test_png(dtype: str, samples: int) -> None:
    data = pixels(12, 14, *([samples] if samples else []), dtype=dtype)
    source = opened(png(data), "cells.png")
    assert source.dtype == np.dtype(dtype)
    expected = data[np.newaxis] if not samples else np.moveaxis(data[..., :3], -1, 0)
    np.testing.assert_array_equal(everything(source)[0, 0], expected)
    assert source.is_rgb == bool(samples)
    assert any("alpha" in note for note in source.notes) == (samples == 4)


@pytest.mark.parametrize("mode", ["1", "LA", "P"])
def test_png_of_other_modes(mode: str) -> None:
    image = Image.fromarray(pixels(12, 14, 3, dtype="u1")).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    source = opened(buffer.getvalue(), "cells.png")
    wanted = image.convert("RGB" if mode == "P" else "L")
    expected = np.asarray(wanted)
    first = source.plane(0, 0, [0])[0]
    np.testing.assert_array_equal(first, expected[..., 0] if mode == "P" else expected)


def test_png_with_a_palette_of_greys_is_one_channel() -> None:
    image = Image.fromarray(pixels(12, 14, dtype="u1") % 4, "P")
    image.putpalette([value for grey in (0, 50, 100, 200) for value in (grey,) * 3])
    buffer = io.BytesIO()
    image.save(buffer, "png")
    source = opened(buffer.getvalue(), "mask.png")
    assert source.sizes["c"] == 1
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], np.asarray(image.convert("L")))


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=95, **options)
    return buffer.getvalue()


def test_jpeg_keeps_the_order_of_colours_and_ignores_orientation() -> None:
    data = np.zeros((16, 32, 3), np.uint8)
    data[..., 0] = 200
    exif = Image.Exif()
    exif[0x0112] = 6
    source = opened(jpeg(Image.fromarray(data), exif=exif), "cells.jpg")
    assert (source.sizes["y"], source.sizes["x"]) == (16, 32)
    assert source.plane(0, 0, [0]).mean() > 180
    assert source.plane(0, 0, [2]).mean() < 20
    grey = opened(jpeg(Image.fromarray(data[..., 0])), "cells.jpg")
    assert grey.sizes["c"] == 1
    assert not grey.is_rgb


def test_content_decides_and_not_the_name() -> None:
    assert opened(png(pixels(5, 6, dtype="u1")), "cells.tif").sizes["x"] == 6


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"", "EMPTY_FILE", "empty"),
        (b"hello, these are my notes\n", "NOT_AN_IMAGE", "text"),
        (b"<!DOCTYPE html><p>not found", "NOT_AN_IMAGE", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "NOT_AN_IMAGE", "git lfs pull"),
        (bytes(1000), "NOT_AN_IMAGE", "zeros"),
        (b"\x01\x99\xfe\x00random", "NOT_AN_IMAGE", "TIFF, PNG or JPEG"),
        (b"PK\x03\x04rest", "UNSUPPORTED_FORMAT", "zip"),
        (b"ZISRAWFILE\0\0", "UNSUPPORTED_FORMAT", "CZI"),
        (b"\xda\xce\xbe\x0a\0\0", "UNSUPPORTED_FORMAT", "ND2"),
        (b"\x70\0\0\0\x10\0\0\0\x2a", "UNSUPPORTED_FORMAT", "LIF"),
        (b"\x89HDF\r\n\x1a\n", "UNSUPPORTED_FORMAT", "HDF5"),
        (b"%PDF-1.7", "UNSUPPORTED_FORMAT", "PDF"),
        (b"GIF89a", "UNSUPPORTED_FORMAT", "GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "UNSUPPORTED_FORMAT", "WebP"),
        (b"II*\0", "TRUNCATED_IMAGE", "cut short"),
        (b"II*\0\x08\0\0\0", "TRUNCATED_IMAGE", "cut short"),
        (b"II*\0\0\0\0\0", "CORRUPT_IMAGE", "no pages"),
        (b"II+\0\x08\0\0\0", "TRUNCATED_IMAGE", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "TRUNCATED_IMAGE", "cut short"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "CORRUPT_IMAGE", "damaged"),
    ],
)
def test_what_is_no_image_gets_a_plain_sentence(data: bytes, reason: str, word: str) -> None:
    assert word in refused(data, reason)


def test_every_truncation_of_a_tiff_is_refused_or_whole() -> None:
    """Cutting anywhere gives a plain refusal, or the same pixels (the tail held no pixels)."""
    data = pixels(3, 16, 16)
    whole = tiff(data, photometric="minisblack", metadata=None, compression="zlib")
    for end in range(0, len(whole), 37):
        reason = outcome(whole[:end])
        if reason == "read":
            np.testing.assert_array_equal(everything(opened(whole[:end]))[:, 0, 0], data)
        else:
            assert reason in ("EMPTY_FILE", "TRUNCATED_IMAGE", "CORRUPT_IMAGE", "NOT_AN_IMAGE")


def test_a_truncated_imagej_stack_is_refused() -> None:
    whole = tiff(pixels(9, 16, 16), imagej=True, photometric="minisblack")
    assert "cut short" in refused(whole[: len(whole) // 2], "TRUNCATED_IMAGE")


def test_a_truncated_contiguous_stack_is_refused() -> None:
    whole = tiff(pixels(9, 16, 16), photometric="minisblack")
    refused(whole[:-100], "TRUNCATED_IMAGE")


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_truncated_png_and_jpeg_are_refused(form: str) -> None:
    image = pixels(64, 64, 3, dtype="u1")
    whole = png(image) if form == "png" else jpeg(Image.fromarray(image))
    for end in (len(whole) // 2, len(whole) - 40):
        assert outcome(whole[:end]) in ("TRUNCATED_IMAGE", "CORRUPT_IMAGE")


@given(position=st.integers(0, 4000), value=st.integers(0, 255), form=st.sampled_from([0, 1, 2]))
@settings(max_examples=300, deadline=None)
def test_a_damaged_byte_never_leaks_an_error(position: int, value: int, form: int) -> None:
    data = bytearray(_SOUND[form])
    data[position % len(data)] = value
    assert outcome(bytes(data), plane_px=10**6).replace("_", "").isalpha()


_SOUND = [
    tiff(np.arange(600, dtype="u2").reshape(2, 15, 20), ome=True, photometric="minisblack"),
    tiff(
        np.arange(900, dtype="u2").reshape(15, 20, 3).astype("u1"),
        photometric="rgb",
        compression="lzw",
        metadata=None,
        rowsperstrip=4,
    ),
    tiff(np.arange(600, dtype="u2").reshape(2, 15, 20), imagej=True),
]


def ifd(tags: dict[int, int], next_offset: int = 0) -> bytes:
    """One little-endian page directory with LONG values."""
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
    return struct.pack("<H", len(tags)) + entries + struct.pack("<I", next_offset)


PLANE_TAGS = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 4, 279: 16}


def test_a_circle_of_pages_is_refused() -> None:
    refused(b"II*\0\x08\0\0\0" + ifd(PLANE_TAGS, next_offset=8), "CORRUPT_IMAGE")


def test_a_page_beyond_the_end_is_refused() -> None:
    refused(b"II*\0\x08\0\0\0" + ifd(PLANE_TAGS, next_offset=99999), "TRUNCATED_IMAGE")


def test_pixels_beyond_the_end_are_refused() -> None:
    refused(b"II*\0\x08\0\0\0" + ifd({**PLANE_TAGS, 273: 99999}), "TRUNCATED_IMAGE")


def test_an_image_without_pixels_is_refused() -> None:
    refused(b"II*\0\x08\0\0\0" + ifd({**PLANE_TAGS, 257: 0}), "EMPTY_IMAGE")


def test_too_many_pages_are_refused_before_they_are_read() -> None:
    data = tiff(pixels(30, 4, 4), metadata=None, photometric="minisblack")
    refused(data, "IMAGE_TOO_LARGE", planes=29)
    refused(data, "IMAGE_TOO_LARGE", planes=2)
    assert opened(data, planes=30).sizes["t"] == 30


def test_large_planes_are_refused_before_they_are_unpacked() -> None:
    refused(tiff(pixels(101, 100)), "IMAGE_TOO_LARGE", plane_px=10_000)
    refused(png(pixels(101, 100, dtype="u1")), "IMAGE_TOO_LARGE", plane_px=10_000)
    grey = Image.fromarray(pixels(101, 100, dtype="u1"))
    refused(jpeg(grey), "IMAGE_TOO_LARGE", plane_px=10_000)
    refused(b"II*\0\x08\0\0\0" + ifd({**PLANE_TAGS, 256: 200_000}), "IMAGE_TOO_LARGE", plane_px=10)


def test_bombs_are_refused() -> None:
    zeros = np.zeros((1000, 1000), np.uint8)
    refused(tiff(zeros, compression="zlib"), "IMAGE_TOO_LARGE", unpack_ratio=100)
    refused(png(zeros), "IMAGE_TOO_LARGE", unpack_ratio=100)
    assert opened(tiff(zeros, compression="zlib")).sizes["y"] == 1000


def test_a_strip_that_unpacks_to_far_more_than_its_place_is_refused() -> None:
    data = tiff(np.zeros((16, 16), np.uint8), compression="zlib", metadata=None)
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        tags = tif.pages.first.tags
        offset_at, count_at = tags[273].valueoffset, tags[279].valueoffset
        count_format = {3: "<H", 4: "<I"}[int(tags[279].dtype)]
    bomb = zlib.compress(bytes(30_000_000))
    bad = bytearray(data + bomb)
    struct.pack_into("<I", bad, offset_at, len(data))
    struct.pack_into(count_format, bad, count_at, len(bomb))
    refused(bytes(bad), "CORRUPT_IMAGE")


def test_complex_values_and_odd_colours_are_refused() -> None:
    refused(tiff(np.zeros((8, 9), np.complex64)), "UNSUPPORTED_FORMAT")
    refused(tiff(pixels(8, 9, 4, dtype="u1"), photometric="separated"), "UNSUPPORTED_FORMAT")
    refused(jpeg(Image.new("CMYK", (8, 8))), "UNSUPPORTED_FORMAT")
    unknown = b"II*\0\x08\0\0\0" + ifd({**PLANE_TAGS, 259: 34676})
    assert "SGILOG" in refused(unknown, "UNSUPPORTED_FORMAT")


def test_damaged_pixels_are_found_when_read() -> None:
    data = bytearray(tiff(pixels(64, 64), compression="zlib", metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        start = tif.pages.first.dataoffsets[0]
    data[start : start + 50] = b"\xff" * 50
    source = opened(bytes(data))
    with pytest.raises(InvalidRequest) as caught:
        source.plane(0, 0, [0])
    assert caught.value.reason == "CORRUPT_IMAGE"


def test_planes_outside_are_refused() -> None:
    source = opened(tiff(pixels(8, 9)))
    for t, z, c in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0)]:
        with pytest.raises(InvalidRequest):
            source.plane(t, z, [c])


# ---------------------------------------------------------------- the file below


class Counting(io.BytesIO):
    """Counts the bytes read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


class Failing(io.BytesIO):
    """Fails after some reads, like a bucket that is gone."""

    reads_left = 3

    def read(self, size: int | None = -1) -> bytes:
        self.reads_left -= 1
        if self.reads_left < 0:
            raise OSError("connection lost")
        return super().read(size)


def reader(file: BinaryIO) -> ImageSource:
    return ImageFileReader(LimitSettings()).open(file, "cells.tif")  # type: ignore[call-arg]


@pytest.mark.parametrize("form", [{"imagej": True}, {"ome": True}, {"metadata": None}])
def test_opening_reads_headers_and_a_plane_reads_one_plane(form: dict[str, Any]) -> None:
    file = Counting(tiff(pixels(20, 128, 128), photometric="minisblack", **form))
    source = reader(file)
    plane_bytes = 128 * 128 * 2
    assert file.count < plane_bytes
    file.count = 0
    source.plane(source.sizes["t"] - 1, source.sizes["z"] - 1, [0])
    assert file.count < plane_bytes + 10_000


def test_a_failing_store_is_not_a_damaged_image() -> None:
    with pytest.raises(TransientError):
        reader(Failing(tiff(pixels(8, 9))))


def test_the_source_closes_the_file() -> None:
    file = io.BytesIO(tiff(pixels(8, 9)))
    reader(file).close()
    assert file.closed


def test_too_large_is_an_invalid_request() -> None:
    with pytest.raises(TooLarge):
        opened(tiff(pixels(20, 20)), plane_px=100)

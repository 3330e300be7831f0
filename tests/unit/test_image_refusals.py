"""Image files that are refused: each with one plain sentence, none with a library's error."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import everything, opened, pixels, tiff
from PIL import Image

from kiosk.errors import InvalidRequest, TooLarge


def first_plane(data: bytes, name: str, **limits: int) -> np.ndarray:
    source = opened(data, name, **limits)
    return source.plane(0, 0, range(source.sizes["c"]))


def outcome(data: bytes, **limits: int) -> str:
    """'read', or the reason of the refusal, which must be a sentence; other errors come through."""
    try:
        first_plane(data, "cells.tif", **limits)
    except InvalidRequest as error:
        return error.reason if error.message.endswith(".") else error.message
    return "read"


def refused(data: bytes, reason: str, name: str = "cells.tif", **limits: int) -> str:
    """Opening or reading the first plane must fail with this reason; gives the message."""
    with pytest.raises(InvalidRequest) as caught:
        first_plane(data, name, **limits)
    assert caught.value.reason == reason
    assert name in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def png(data: np.ndarray) -> bytes:
    """cv2 takes colours as blue, green, red."""
    if data.ndim == 3:
        order = [2, 1, 0, 3][: data.shape[2]] if data.shape[2] == 4 else [2, 1, 0]
        data = data[..., order]
    return bytes(cv2.imencode(".png", data)[1])


def jpeg(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "jpeg", quality=95, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (b"", "EMPTY_FILE", "empty"),
        (b"hello, these are my notes\n", "NOT_AN_IMAGE", "text"),
        (b"<!DOCTYPE html><p>not found", "NOT_AN_IMAGE", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "NOT_AN_IMAGE", "git lfs pull"),
        (bytes(1000), "NOT_AN_IMAGE", "zeros"),
        (b"\x01\x99\xfe\x00random", "NOT_AN_IMAGE", "TIFF, PNG or JPEG"),
        (b"PK\x03\x04rest", "TRUNCATED_IMAGE", "archive"),
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
    refused(tiff(pixels(101, 100)), "IMAGE_TOO_LARGE", slide_px=10_000)
    refused(png(pixels(101, 100, dtype="u1")), "IMAGE_TOO_LARGE", plane_px=10_000)
    grey = Image.fromarray(pixels(101, 100, dtype="u1"))
    refused(jpeg(grey), "IMAGE_TOO_LARGE", plane_px=10_000)
    refused(b"II*\0\x08\0\0\0" + ifd({**PLANE_TAGS, 256: 200_000}), "IMAGE_TOO_LARGE", slide_px=10)


def test_strips_and_tiles_that_are_too_large_are_refused_before_they_are_unpacked() -> None:
    data = pixels(101, 100)
    message = refused(tiff(data, compression="zlib"), "IMAGE_TOO_LARGE", plane_px=10_000)
    assert "strips" in message
    refused(tiff(data, compression="zlib", tile=(112, 112)), "IMAGE_TOO_LARGE", plane_px=10_000)
    for pieces in ({"rowsperstrip": 100}, {"tile": (96, 96)}):
        source = opened(tiff(data, compression="zlib", **pieces), plane_px=10_000)
        np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)
    source = opened(tiff(data), plane_px=10_000)  # plain rows can be read in any pieces
    np.testing.assert_array_equal(source.plane(0, 0, [0])[0], data)


def test_bombs_are_refused() -> None:
    zeros = np.zeros((1000, 1000), np.uint8)
    packed = tiff(zeros, compression="zlib", tile=(256, 256))
    refused(packed, "IMAGE_TOO_LARGE", unpack_ratio=100, plane_px=100_000)
    refused(png(zeros), "IMAGE_TOO_LARGE", unpack_ratio=100, plane_px=100_000)
    # Two planes of bytes are unpacked anyway, and drawings are packed as tight as bombs.
    assert opened(packed, unpack_ratio=100, plane_px=500_000).sizes["y"] == 1000
    assert opened(packed).sizes["y"] == 1000


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


def test_too_large_is_an_invalid_request() -> None:
    with pytest.raises(TooLarge):
        opened(tiff(pixels(20, 20)), slide_px=100)


def test_a_wide_value_in_a_narrow_field_is_survived() -> None:
    entries = b"".join(
        struct.pack("<HHII", code, 16 if code == 257 else 4, 1, value)
        for code, value in PLANE_TAGS.items()
    )
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(PLANE_TAGS)) + entries + bytes(4)
    assert outcome(data) != "read"


def test_lzw_streams_of_noise_do_not_end_the_process() -> None:
    """Without the check before, these streams crash imagecodecs 2026.3.6 (found by trying 3000)."""
    sound = tiff(np.zeros((256, 256), np.uint16), compression="lzw", metadata=None)
    with tifffile.TiffFile(io.BytesIO(sound)) as tif:
        tags = tif.pages.first.tags
        offset_at, count_at = tags[273].valueoffset, tags[279].valueoffset
    for seed in (1390, 1997, 2255):
        stream = b"\x80" + random.Random(seed).randbytes(4000)  # a clear code, then noise
        bad = bytearray(sound + stream)
        struct.pack_into("<I", bad, offset_at, len(sound))
        struct.pack_into("<H", bad, count_at, len(stream))
        assert outcome(bytes(bad)) == "CORRUPT_IMAGE"

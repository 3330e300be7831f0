"""Image files: every flavour that is read, with its axes, colours and metadata."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import RNG, everything, opened, pixels, tiff
from PIL import Image

from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.images import plain_images, tiff_images, tiff_pieces
from kiosk.adapters.images.tiff_pieces import PieceReader
from kiosk.errors import TransientError
from kiosk.ports import ImageSource
from kiosk.settings import LimitSettings

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


@pytest.mark.parametrize("disk_bytes", [0, 10**6])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("samples", [1, 3])
def test_strips_too_large_for_memory_are_unpacked_once(
    byteorder: str, samples: int, disk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pixels(2, 30, 17, *([3] if samples == 3 else []), dtype="u2")
    options: dict[str, Any] = {"photometric": "rgb" if samples == 3 else "minisblack"}
    options |= {"byteorder": byteorder, "compression": "zlib", "rowsperstrip": 30}
    file = tiff(data, predictor=True, **options)
    whole = opened(file)
    monkeypatch.setattr(tiff_images, "KEEP_BYTES", 10)
    monkeypatch.setattr(tiff_pieces, "DISK_BYTES", disk_bytes)
    unpacked: list[int] = []
    unpack = PieceReader._unpacked
    monkeypatch.setattr(PieceReader, "_unpacked", lambda *a: unpacked.append(1) or unpack(*a))
    large = opened(file)
    channels = range(large.sizes["c"])
    for window in ((slice(0, 9), slice(2, 5)), (slice(8, 30), slice(0, 17))):
        for t in range(2):
            np.testing.assert_array_equal(
                whole.plane(t, 0, channels)[:, *window], large.plane(t, 0, channels, window)
            )
    # The other reader has unpacked its two strips too.
    assert len(unpacked) == 2 + (2 if disk_bytes else 4)


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
    assert any("this is the first" in note for note in source.notes)


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


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_large_png_is_unpacked_once(
    dtype: str, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every window would unpack all of it."""
    data = pixels(20, 31, samples, dtype=dtype) if samples > 1 else pixels(20, 31, dtype=dtype)
    whole = opened(png(data), "cells.png")
    monkeypatch.setattr(plain_images, "LARGE_PX", 100)
    large = opened(png(data), "cells.png")
    channels = list(range(large.sizes["c"]))[::-1]
    expected = whole.plane(0, 0, channels)
    np.testing.assert_array_equal(expected, large.plane(0, 0, channels))
    monkeypatch.setattr(large, "_decode", None)
    for rows, columns in ((slice(3, 9), slice(30, 31)), (slice(0, 20), slice(5, 7))):
        window = large.plane(0, 0, channels, (rows, columns))
        np.testing.assert_array_equal(expected[:, rows, columns], window)
    assert large.plane(0, 0, [0], (slice(4, 4), slice(0, 3))).shape == (1, 0, 3)
    large.close()


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
    return ImageFileReader(LimitSettings()).open(file, "cells.tif")


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

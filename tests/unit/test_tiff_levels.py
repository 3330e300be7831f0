"""Windows of large TIFFs, and the resolutions of pyramids."""

from __future__ import annotations

import io
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tifffile
from image_makers import asked, opened, pixels, tiff

from kiosk.errors import InvalidRequest
from kiosk.ports import ImageSource

WINDOW = (slice(5, 40), slice(11, 70))


def pyramid(data: np.ndarray, shrunk: list[np.ndarray], **options: Any) -> bytes:
    """An OME-TIFF of (..., y, x) with lower resolutions as pages below its pages."""
    buffer = io.BytesIO()
    options = {"photometric": "minisblack", "tile": (32, 32), "compression": "zlib"} | options
    with tifffile.TiffWriter(buffer, ome=True) as tif:
        tif.write(data, subifds=len(shrunk), metadata={"axes": "CYX"}, **options)
        for level in shrunk:
            tif.write(level, subfiletype=1, **options)
    return buffer.getvalue()


def halves(data: np.ndarray) -> list[np.ndarray]:
    return [data[..., ::2, ::2], data[..., ::4, ::4]]


def test_levels_of_an_ome_pyramid() -> None:
    data = pixels(2, 100, 131)
    source = opened(pyramid(data, halves(data)))
    assert list(source.levels) == [(100, 131), (50, 66), (25, 33)]
    for level, expected in enumerate([data, *halves(data)]):
        np.testing.assert_array_equal(source.plane(0, 0, [1, 0], level=level), expected[::-1])
    window = (slice(10, 20), slice(30, 99))
    got = source.plane(0, 0, [1], window, level=1)[0]
    np.testing.assert_array_equal(got, data[1, ::2, ::2][window])


def test_levels_among_the_pages_of_a_plain_tiff() -> None:
    data = pixels(96, 128, dtype="u1")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        for factor in (1, 2, 4):
            tif.write(data[::factor, ::factor], tile=(16, 16), metadata=None)
    source = opened(buffer.getvalue())
    assert list(source.levels) == [(96, 128), (48, 64), (24, 32)]
    np.testing.assert_array_equal(source.plane(0, 0, [0], level=2)[0], data[::4, ::4])


def test_levels_that_are_no_shrinkings_are_left_out() -> None:
    data = pixels(2, 100, 130)
    for bad in (data[:, ::2, :], data[:, ::2, ::5], data):
        assert list(opened(pyramid(data, [bad])).levels) == [(100, 130)]


def test_a_level_that_the_image_does_not_have_is_refused() -> None:
    source = opened(tiff(pixels(8, 9)))
    with pytest.raises(InvalidRequest):
        source.plane(0, 0, [0], level=1)


def test_a_damaged_level_leaves_the_image_readable() -> None:
    data = pixels(2, 100, 130)
    whole = pyramid(data, halves(data))
    with tifffile.TiffFile(io.BytesIO(whole)) as tif:
        tag = tif.series[0].levels[1].keyframe.tags[324]
        place, first = tag.valueoffset, tag.value[0]
    bad = bytearray(whole)
    assert struct.unpack_from("<I", bad, place)[0] == first
    struct.pack_into("<I", bad, place, len(bad) + 100)
    source = opened(bytes(bad))
    assert (50, 65) not in source.levels
    np.testing.assert_array_equal(source.plane(0, 0, [0, 1]), data)


def test_pages_below_pages_count_as_pages() -> None:
    data = pixels(2, 64, 64)
    whole = pyramid(data, [data[:, ::2, ::2]])
    with pytest.raises(InvalidRequest) as caught:  # 8 pages per plane; more is asked for
        opened(whole.replace(*more_pages_below(whole)), planes=1)
    assert caught.value.reason in ("IMAGE_TOO_LARGE", "CORRUPT_IMAGE")


def more_pages_below(whole: bytes) -> tuple[bytes, bytes]:
    """The tag of pages below the first page, and one that names a hundred."""
    with tifffile.TiffFile(io.BytesIO(whole)) as tif:
        tag = tif.pages.first.tags[330]
    entry = whole[tag.offset : tag.offset + 12]
    return entry, struct.pack("<HHII", 330, struct.unpack_from("<H", entry, 2)[0], 100, 8)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize("compression", [None, "jpeg", "jpeg2000", "webp"])
def test_windows_of_colours(planar: str, tile: Any, compression: str | None) -> None:
    if compression == "webp" and planar == "separate":
        pytest.skip("WebP is made for colours")
    data = pixels(50, 80, 3, dtype="u1")
    stored = data if planar == "contig" else np.moveaxis(data, -1, 0)
    options = {"compression": compression, "tile": tile, "rowsperstrip": None if tile else 16}
    source = opened(tiff(stored, photometric="rgb", planarconfig=planar, **options))
    whole = source.plane(0, 0, [0, 1, 2])
    np.testing.assert_array_equal(source.plane(0, 0, [2, 0], WINDOW), whole[[2, 0]][:, *WINDOW])
    if compression is None:
        np.testing.assert_array_equal(whole, np.moveaxis(data, -1, 0))


def test_windows_of_a_palette() -> None:
    palette = np.random.default_rng(1).integers(0, 256, (3, 256), dtype=np.uint16) * 257
    data = pixels(50, 80, dtype="u1")
    for compression in (None, "zlib"):
        source = opened(
            tiff(data, photometric="palette", colormap=palette, compression=compression)
        )
        np.testing.assert_array_equal(
            source.plane(0, 0, [1], WINDOW)[0], palette[1][data[WINDOW]] // 257
        )


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_windows_of_planes_with_x_before_y(compression: str | None) -> None:
    data = pixels(3, 60, 80)
    options = {"photometric": "minisblack", "compression": compression}
    source = opened(tiff(data, metadata={"axes": "TXY"}, **options))
    assert (source.sizes["y"], source.sizes["x"]) == (80, 60)
    window = (slice(5, 50), slice(7, 30))
    np.testing.assert_array_equal(source.plane(2, 0, [0], window)[0], data[2].T[window])


def test_windows_of_a_stack_behind_one_page() -> None:
    data = pixels(4, 3, 60, 80)
    source = opened(tiff(data, imagej=True, metadata={"axes": "TCYX"}, photometric="minisblack"))
    np.testing.assert_array_equal(source.plane(3, 0, [2, 0], WINDOW), data[3][[2, 0]][:, *WINDOW])


def test_windows_of_tiles_with_depth() -> None:
    data = pixels(32, 64, 48)
    for tile in ((16, 16, 16), (16, 32, 32)):
        options = {"volumetric": True, "tile": tile, "compression": "zlib"}
        source = opened(tiff(data, photometric="minisblack", **options))
        assert source.sizes["z"] == 32
        np.testing.assert_array_equal(
            source.plane(0, 21, [0], (slice(5, 40), slice(20, 41)))[0], data[21, 5:40, 20:41]
        )


def test_tiles_that_are_left_out_are_zeros() -> None:
    data = np.zeros((64, 64), np.uint16)
    data[:32, :32] = 7
    stored = opened(tiff(data, tile=(32, 32), compression="zlib"))
    buffer = io.BytesIO()
    tiles = (None if i else np.full((32, 32), 7, np.uint16) for i in range(4))
    tifffile.imwrite(
        buffer, tiles, shape=(64, 64), dtype="u2", tile=(32, 32), compression="zlib", metadata=None
    )
    sparse = opened(buffer.getvalue())
    window = (slice(20, 50), slice(3, 40))
    np.testing.assert_array_equal(sparse.plane(0, 0, [0], window), stored.plane(0, 0, [0], window))


def test_windows_beyond_the_plane_are_cut() -> None:
    data = pixels(20, 30)
    source = opened(tiff(data, tile=(16, 16)))
    np.testing.assert_array_equal(
        source.plane(0, 0, [0], (slice(10, 99), slice(25, 99)))[0], data[10:, 25:]
    )
    assert source.plane(0, 0, [0], (slice(5, 5), slice(0, 9))).shape == (1, 0, 9)


def peak_bytes(source: ImageSource) -> int:
    tracemalloc.start()
    try:
        source.plane(0, 0, [0], (slice(2000, 2128), slice(2000, 2128)))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "form",
    [{"tile": (64, 64), "compression": "zlib"}, {"rowsperstrip": 8, "compression": "zlib"}, {}],
)
def test_a_window_takes_memory_for_itself(form: dict[str, Any]) -> None:
    """Tiles, strips, and a plane in one piece that is not compressed."""
    plane = np.zeros((4096, 4096), np.uint8)
    data = tiff(plane, metadata=None, **form)
    assert peak_bytes(opened(data)) < plane.nbytes / 16


def test_opening_with_axes_reads_levels_too() -> None:
    data = pixels(2, 100, 131)
    source = asked(pyramid(data, halves(data)), axes="ZYX")
    assert source.sizes["z"] == 2
    np.testing.assert_array_equal(source.plane(0, 1, [0], level=2)[0], data[1, ::4, ::4])

"""Tiles of images and labels, of planes of any size, of all kinds of jobs."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with, ome, request_of, spots, tiff
from tracked import ended, file_of, pictures, submitted, truth

from kiosk import plane_pieces
from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, NotFound
from kiosk.exports import label_tiff
from kiosk.image_info import ImageInfo, TileAt
from kiosk.imaging import tile_grid
from kiosk.imaging.pyramids import level_shape, mean, nearest
from kiosk.reading import ReadOptions
from kiosk.request import Plane, Region, SegmentationRequest
from kiosk.testing import FakeKiosk
from kiosk.tiles import Tiles

TILE = 16


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large in this file begins at 64 px."""
    monkeypatch.setattr(label_tiff, "LARGE_PX", 64)
    monkeypatch.setattr(label_tiff, "SMALLEST_PX", 32)
    monkeypatch.setattr(label_tiff, "TILE_PX", 16)
    monkeypatch.setattr(tile_grid, "TILE_PX", TILE)
    monkeypatch.setattr(tile_grid, "SMALLEST_PX", 32)
    monkeypatch.setattr(tile_grid, "WHOLE_PX", 100 * 100)
    monkeypatch.setattr(tile_grid, "PIECE_PX", 4 * TILE)


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_with()


@pytest.fixture
async def tiles(kiosk: FakeKiosk) -> AsyncIterator[Tiles]:
    tiles = kiosk.tiles()
    yield tiles
    tiles.close()


async def finished(kiosk: FakeKiosk, image: bytes, **request: Any) -> str:
    """The id of a finished job."""
    upload = await kiosk.upload(image, "cells.tif")
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", **request_of(request), caller=LOCAL
    )
    await kiosk.work()
    return job.id


def unpacked(data: bytes, dtype: str, height: int, width: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(data), dtype).reshape(height, width)


def places(info: ImageInfo, level: int) -> list[tuple[int, int, slice, slice]]:
    """Row, column and window of every tile of a level."""
    size = info.levels[level]
    return [
        (
            row,
            column,
            slice(row * TILE, min((row + 1) * TILE, size.height_px)),
            slice(column * TILE, min((column + 1) * TILE, size.width_px)),
        )
        for row in range(-(-size.height_px // TILE))
        for column in range(-(-size.width_px // TILE))
    ]


async def whole_image(
    tiles: Tiles, upload: str, level: int, t: int = 0, z: int = 0, c: int = 0
) -> np.ndarray:
    """All tiles of a level of an upload, put together."""
    info = await tiles.upload_image(upload, ReadOptions(), caller=LOCAL)
    size = info.levels[level]
    whole = np.zeros((size.height_px, size.width_px), np.uint16)
    for row, column, rows, columns in places(info, level):
        at = TileAt(level=level, t=t, z=z, c=c, row=row, column=column)
        data = await tiles.upload_tile(upload, ReadOptions(), at, caller=LOCAL)
        shape = rows.stop - rows.start, columns.stop - columns.start
        whole[rows, columns] = unpacked(data, "<u2", *shape)
    return whole


async def whole_labels(tiles: Tiles, job: str, level: int, t: int = 0, z: int = 0) -> np.ndarray:
    """All label tiles of a level of a job put together, with the pixel around; all must agree."""
    info = await tiles.job_image(job, caller=LOCAL)
    size = info.levels[level]
    whole = np.full((size.height_px + 2, size.width_px + 2), -1, np.int64)
    for row, column, rows, columns in places(info, level):
        at = TileAt(level=level, t=t, z=z, row=row, column=column)
        data = await tiles.job_labels(job, at, caller=LOCAL)
        window = slice(rows.start, rows.stop + 2), slice(columns.start, columns.stop + 2)
        part = whole[window]
        found = unpacked(data, "<u4", *part.shape)
        assert ((part == found) | (part == -1)).all()
        whole[window] = found
    return whole


@pytest.mark.parametrize("shape", [(50, 60), (16, 33), (170, 133), (65, 300), (1, 1)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
async def test_tiles_are_the_pixels_of_the_plane(
    kiosk: FakeKiosk, tiles: Tiles, shape: tuple[int, int], dtype: str
) -> None:
    image = np.random.default_rng(1).integers(0, 250, (2, 3, *shape)).astype(dtype)
    upload = await kiosk.upload(ome(image, "TCYX"), "cells.tif")
    info = await tiles.upload_image(upload, ReadOptions(), caller=LOCAL)
    assert [(s.height_px, s.width_px) for s in info.levels] == [
        level_shape(shape, level) for level in range(len(info.levels))
    ]
    assert max(info.levels[-1].height_px, info.levels[-1].width_px) <= 32
    np.testing.assert_array_equal(await whole_image(tiles, upload, 0, t=1, c=2), image[1, 2])


async def test_lower_levels_are_means(kiosk: FakeKiosk, tiles: Tiles) -> None:
    image = np.random.default_rng(1).integers(0, 60_000, (99, 83)).astype(np.uint16)
    upload = await kiosk.upload(tiff(image), "cells.tif")
    np.testing.assert_array_equal(await whole_image(tiles, upload, 1), mean(image))
    np.testing.assert_array_equal(await whole_image(tiles, upload, 2), mean(mean(image)))


async def test_lower_levels_of_large_planes_are_about_means(kiosk: FakeKiosk, tiles: Tiles) -> None:
    """They are made in pieces, whose edges may fall between pixels: less than one is out."""
    y, x = np.mgrid[:301, :259]
    image = (y * 100 + x).astype(np.uint16)
    upload = await kiosk.upload(tiff(image), "cells.tif")
    for level in (1, 2):
        small = await whole_image(tiles, upload, level)
        step = 2**level
        expected = image[: 256 // step * step : step, : 256 // step * step : step]
        found = small[: expected.shape[0], : expected.shape[1]]
        assert np.abs(found.astype(int) - expected - 50 * (step - 1)).max() <= 100 * step


async def test_stored_levels_are_used(kiosk: FakeKiosk, tiles: Tiles) -> None:
    """The second level of this file is of another brightness, so that it is told from the first."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tif:
        tif.write(np.full((201, 301), 100, np.uint8), subifds=1, tile=(16, 16))
        tif.write(np.full((100, 150), 7, np.uint8), subfiletype=1, tile=(16, 16))
    upload = await kiosk.upload(file.getvalue(), "cells.tif")
    assert set(np.unique(await whole_image(tiles, upload, 0))) == {100}
    for level in (1, 2):
        assert set(np.unique(await whole_image(tiles, upload, level))) == {7}


@pytest.mark.parametrize("shape", [(50, 60), (201, 150), (65, 64)])
async def test_labels_lie_over_the_image(
    kiosk: FakeKiosk, tiles: Tiles, shape: tuple[int, int]
) -> None:
    image = spots((2, *shape))
    job = await finished(kiosk, ome(image, "TYX"))
    key = f"jobs/{job}/results/cells_labels.tif"
    with tifffile.TiffFile(kiosk.store.open(key)) as tif:
        stored = [level.asarray() for level in tif.series[0].levels]
    for t in (0, 1):
        whole = await whole_labels(tiles, job, 0, t=t)
        np.testing.assert_array_equal(whole, np.pad(stored[0][t], 1))
        lower = await whole_labels(tiles, job, 1, t=t)
        np.testing.assert_array_equal(lower, np.pad(nearest(stored[0][t]), 1))
        assert set(np.unique(lower)) <= set(np.unique(stored[0][t]))


async def test_many_tiles_of_a_plane_are_one_read(kiosk: FakeKiosk, tiles: Tiles) -> None:
    image = np.zeros((2, 96, 96), np.uint8)
    upload = await kiosk.upload(ome(image, "TYX"), "cells.tif")
    info = await tiles.upload_image(upload, ReadOptions(), caller=LOCAL)
    read: list[int] = []
    whole = plane_pieces.shrunk_pixels

    def counted(*arguments: Any, **options: Any) -> np.ndarray:
        read.append(arguments[1][0])
        return whole(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane_pieces, "shrunk_pixels", counted)
        asked = [
            TileAt(level=level, t=0, z=0, row=row, column=column)
            for level in (1, 0)
            for row, column, _, _ in places(info, level)
        ]
        await asyncio.gather(
            *(tiles.upload_tile(upload, ReadOptions(), at, caller=LOCAL) for at in asked)
        )
    assert read == [0]


async def test_wide_numbers_are_stored_alike_in_all_planes(kiosk: FakeKiosk, tiles: Tiles) -> None:
    ramp = np.linspace(-1, 3, 40 * 50, dtype=np.float32).reshape(40, 50)
    movie = np.stack([ramp, ramp + 2, ramp - 0.5])
    movie[1, 0, 0] = np.nan
    upload = await kiosk.upload(ome(movie, "TYX"), "cells.tif")
    info = await tiles.upload_image(upload, ReadOptions(), caller=LOCAL)
    (channel,) = info.channels
    assert 0 <= channel.low < channel.high <= 65535
    for t in range(3):
        stored = await whole_image(tiles, upload, 0, t=t)
        real = channel.offset + channel.scale * stored.astype(float)
        known = np.isfinite(movie[t])
        np.testing.assert_allclose(real[known], movie[t][known], atol=channel.scale)


async def test_colour_images_have_three_channels_with_one_contrast(
    kiosk: FakeKiosk, tiles: Tiles
) -> None:
    image = np.random.default_rng(2).integers(0, 200, (32, 40, 3)).astype(np.uint8)
    job = await finished(kiosk, tiff(image, photometric="rgb"))
    info = await tiles.job_image(job, caller=LOCAL)
    assert info.is_rgb
    assert info.shown_channels == (0, 1, 2)
    assert len({(channel.low, channel.high) for channel in info.channels}) == 1
    for c in range(3):
        at = TileAt(level=0, t=0, z=0, c=c, row=0, column=1)
        data = await tiles.job_tile(job, at, caller=LOCAL)
        np.testing.assert_array_equal(unpacked(data, "<u2", 16, 16), image[:16, 16:32, c])


async def test_a_job_without_a_label_image(kiosk: FakeKiosk, tiles: Tiles) -> None:
    job = await finished(kiosk, tiff(spots((50, 60))), formats=("table",))
    info = await tiles.job_image(job, caller=LOCAL)
    assert (info.has_labels, info.has_instances) == (False, True)
    at = TileAt(level=0, t=0, z=0, row=0, column=0)
    with pytest.raises(NotFound) as caught:
        await tiles.job_labels(job, at, caller=LOCAL)
    assert caught.value.reason == "NO_LABELS"


async def test_a_job_of_one_plane_has_labels_for_that_one(kiosk: FakeKiosk, tiles: Tiles) -> None:
    """Its label image holds that plane alone."""
    stack = np.stack([spots((50, 60))] * 6).reshape(3, 2, 50, 60)
    upload = await kiosk.upload(ome(stack, "TZYX"), "cells.tif")
    request = SegmentationRequest(plane=Plane(t=2, z=1))
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", request=request, caller=LOCAL
    )
    job_id = job.id
    await kiosk.work()
    info = await tiles.job_image(job_id, caller=LOCAL)
    assert info.label_planes == ((2, 1),)
    assert info.has_labels
    assert len(np.unique(await whole_labels(tiles, job_id, 0, t=2, z=1))) > 2
    with pytest.raises(NotFound):
        await whole_labels(tiles, job_id, 0, t=0, z=0)
    for key in [key for key in kiosk.store.objects if key.endswith("data")]:
        del kiosk.store.objects[key]
    again = kiosk.tiles()
    info = await again.job_image(job_id, caller=LOCAL)
    assert (info.sizes["t"], info.sizes["z"], info.label_planes) == (3, 2, ((2, 1),))
    assert len(np.unique(await whole_labels(again, job_id, 0, t=2, z=1))) > 2
    again.close()


async def test_a_preview_has_labels_where_it_was_asked_for(kiosk: FakeKiosk, tiles: Tiles) -> None:
    stack = np.stack([spots((50, 60), seed) for seed in range(3)])
    upload = await kiosk.upload(ome(stack, "TYX"), "cells.tif")
    region = Region(min_y_px=0, min_x_px=20, max_y_px=50, max_x_px=60)
    request = SegmentationRequest(plane=Plane(t=1, z=0), region=region, preview=True)
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", request=request, caller=LOCAL
    )
    await kiosk.work()
    info = await tiles.job_image(job.id, caller=LOCAL)
    assert (info.label_planes, info.has_labels) == (((1, 0),), True)
    assert info.sizes["t"] == 3
    whole = (await whole_labels(tiles, job.id, 0, t=1))[1:-1, 1:-1]
    assert not whole[:, :20].any()
    assert whole.any()
    assert (stack[1][whole > 0] > 0).all()


async def test_tracked_labels_and_volumes(kiosk: FakeKiosk, tiles: Tiles) -> None:
    movie = pictures(truth())
    job = await ended(kiosk, await submitted(file_of(movie), kiosk))
    info = await tiles.job_image(job.id, caller=LOCAL)
    assert info.has_tracks
    assert info.has_instances
    assert not info.labels_are_volumes
    key = f"jobs/{job.id}/results/cells_labels.tif"
    stored = tifffile.imread(kiosk.store.open(key))
    np.testing.assert_array_equal(await whole_labels(tiles, job.id, 0, t=4), np.pad(stored[4], 1))
    volume = await finished(kiosk, ome(spots((3, 50, 60)), "ZYX"), volume=True)
    assert (await tiles.job_image(volume, caller=LOCAL)).labels_are_volumes


async def test_pixels_that_are_no_labels(kiosk: FakeKiosk, tiles: Tiles) -> None:
    upload = await kiosk.upload(tiff(np.full((20, 20), 0.5, np.float32)), "cells.tif")
    at = TileAt(level=0, t=0, z=0, row=0, column=0)
    with pytest.raises(InvalidRequest, match="no labels"):
        await tiles.upload_labels(upload, ReadOptions(), at, caller=LOCAL)

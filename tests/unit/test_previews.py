"""Pictures and labels for the page, of planes of any size."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with, ome, request_of, spots

from kiosk import previews as module
from kiosk.callers import LOCAL
from kiosk.errors import NotFound
from kiosk.exports import label_tiff
from kiosk.imaging.rendering import shrunk_labels
from kiosk.previews import Previews
from kiosk.testing import FakeKiosk


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large in this file begins at 64 px."""
    monkeypatch.setattr(label_tiff, "LARGE_PX", 64)
    monkeypatch.setattr(label_tiff, "SMALLEST_PX", 16)
    monkeypatch.setattr(label_tiff, "TILE_PX", 16)
    monkeypatch.setattr(module, "LONGEST_PX", 40)


async def seen(kiosk: FakeKiosk, image: np.ndarray, axes: str, **request: Any) -> tuple[Any, str]:
    """Previews of a finished job, and its id."""
    upload = await kiosk.upload(ome(image, axes), "cells.tif")
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", **request_of(request), caller=LOCAL
    )
    await kiosk.work()
    return Previews(queue=kiosk.queue, store=kiosk.store, images=kiosk.images), job.id


def unpacked(labels: Any) -> np.ndarray:
    numbers = np.frombuffer(gzip.decompress(labels.data), "<u4")
    return numbers.reshape(labels.height_px, labels.width_px)


@pytest.mark.parametrize("shape", [(50, 60), (201, 150), (170, 333), (65, 64)])
async def test_labels_lie_over_the_picture(shape: tuple[int, int]) -> None:
    kiosk = kiosk_with()
    previews, job = await seen(kiosk, spots((2, *shape)), "TYX")
    planes = await previews.planes(job, caller=LOCAL)
    for index in (0, 1):
        labels = await previews.labels(job, index, caller=LOCAL)
        size = (planes.picture_height_px, planes.picture_width_px)
        assert (labels.height_px, labels.width_px) == size
    previews.close()


async def test_labels_come_from_the_smallest_resolution_that_is_large_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kiosk = kiosk_with()
    previews, job = await seen(kiosk, spots((2, 333, 400)), "TYX")
    read: list[tuple[int, ...]] = []
    whole = tifffile.TiffPage.asarray

    def asarray(page: Any, *arguments: Any, **options: Any) -> np.ndarray:
        pixels: np.ndarray = whole(page, *arguments, **options)
        read.append(pixels.shape)
        return pixels

    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    labels = unpacked(await previews.labels(job, 1, caller=LOCAL))
    assert read == [(42, 50)]
    assert len(np.unique(labels)) > 5
    previews.close()


async def test_labels_of_a_pyramid_are_nearly_those_of_the_plane() -> None:
    kiosk = kiosk_with()
    image = spots((160, 160), number=12)
    previews, job = await seen(kiosk, image, "YX")
    key = f"jobs/{job}/results/cells_labels.tif"
    full = tifffile.imread(kiosk.store.open(key), level=0)
    small = unpacked(await previews.labels(job, 0, caller=LOCAL))
    # The nearest pixel of a nearest pixel is a neighbour of the nearest pixel.
    assert (small == shrunk_labels(full, small.shape)).mean() > 0.9
    previews.close()


async def test_a_job_without_a_label_image_has_pictures_only() -> None:
    kiosk = kiosk_with()
    previews, job = await seen(kiosk, spots((50, 60)), "YX", formats=("table",))
    assert not (await previews.planes(job, caller=LOCAL)).has_labels
    assert (await previews.picture(job, 0, caller=LOCAL)).startswith(b"\x89PNG")
    with pytest.raises(NotFound):
        await previews.labels(job, 0, caller=LOCAL)
    previews.close()


async def test_planes_are_counted_as_they_were_read() -> None:
    kiosk = kiosk_with()
    from kiosk.reading import ReadOptions

    reading = ReadOptions(axes="ZYX", pixel_size_um=0.5)
    previews, job = await seen(kiosk, spots((3, 50, 60)), "TYX", reading=reading)
    planes = await previews.planes(job, caller=LOCAL)
    assert planes.planes == ((0, 0), (0, 1), (0, 2))
    assert planes.pixel_size_um == (0.5, 0.5)
    with pytest.raises(NotFound, match="no plane 3"):
        await previews.labels(job, 3, caller=LOCAL)
    previews.close()

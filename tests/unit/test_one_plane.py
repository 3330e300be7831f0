"""One plane of an image alone, and previews: what comes out is what the whole job would give."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with, ome, segmented, spots, tiff

from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest
from kiosk.exports import FORMATS
from kiosk.imaging.intensity import Limits
from kiosk.job_search import JobSearch
from kiosk.jobs import Job, JobState, Priority
from kiosk.models import ModelCard
from kiosk.pipelines import limits, segmentation
from kiosk.pipelines.sizing import middle
from kiosk.reading import ReadOptions
from kiosk.request import Plane, Region, SegmentationRequest
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk
from kiosk.tracking_request import TrackingRequest


def region(min_y: int, min_x: int, max_y: int, max_x: int) -> Region:
    return Region(min_y_px=min_y, min_x_px=min_x, max_y_px=max_y, max_x_px=max_x)


async def previewed(
    kiosk: FakeKiosk, data: bytes, at: Region, plane: Plane, **options: Any
) -> tuple[Job, dict[str, bytes]]:
    upload_id = await kiosk.upload(data, "cells.tif")
    request = SegmentationRequest(region=at, plane=plane, preview=True, **options)
    job = await kiosk.service.segment(
        upload_id=upload_id, model="bright", request=request, caller=LOCAL
    )
    await kiosk.work()
    job = await kiosk.service.get_job(job.id, caller=LOCAL)
    assert (job.state, job.error) == (JobState.SUCCEEDED, "")
    files = {}
    for result in await kiosk.service.list_results(job.id, caller=LOCAL):
        chunks = await kiosk.service.read_result(result, caller=LOCAL)
        files[result.file_name] = b"".join([chunk async for chunk in chunks])
    return job, files


@pytest.mark.parametrize(("axes", "t", "z"), [("TYX", 3, 0), ("ZYX", 0, 2), ("TZYX", 1, 2)])
@pytest.mark.parametrize("block_px", [64, 2560])
async def test_a_plane_alone_is_as_in_the_whole_job(
    axes: str, t: int, z: int, block_px: int
) -> None:
    shape = {"TYX": (5, 90, 110), "ZYX": (4, 90, 110), "TZYX": (2, 3, 90, 110)}[axes]
    image = spots(shape, number=20)
    kiosk = kiosk_with(block_px=block_px)
    whole = await segmented(ome(image, axes), kiosk)
    alone = await segmented(ome(image, axes), kiosk, plane=Plane(t=t, z=z))
    index = t if axes == "TYX" else z if axes == "ZYX" else t * 3 + z
    assert alone.axes == "YX"
    np.testing.assert_array_equal(alone.labels, whole.labels.reshape(-1, 90, 110)[index])
    assert alone.rows == [row for row in whole.rows if (int(row["t"]), int(row["z"])) == (t, z)]
    assert alone.counts == [whole.counts[index]]
    assert alone.run["plane"] == {"t": t, "z": z}
    assert whole.run["plane"] is None


async def test_a_plane_is_one_part_of_the_job() -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(ome(spots((6, 50, 60)), "TYX"))
    request = SegmentationRequest(plane=Plane(t=4, z=0))
    job = await kiosk.service.segment(
        upload_id=upload_id, model="bright", request=request, caller=LOCAL
    )
    await kiosk.work()
    assert (await kiosk.service.get_job(job.id, caller=LOCAL)).parts_total == 1


async def test_every_format_takes_a_plane_and_outlines_say_which_one() -> None:
    image = spots((3, 4, 60, 70), number=8)
    found = await segmented(ome(image, "TZYX"), plane=Plane(t=2, z=1), formats=(*FORMATS,))
    (plane,) = {
        tuple(feature["geometry"]["plane"].items())
        for feature in json.loads(found.files["cells_cells.geojson"])["features"]
    }
    assert dict(plane) == {"c": -1, "z": 1, "t": 2}
    with zipfile.ZipFile(io.BytesIO(found.files["cells_RoiSet.zip"])) as rois:
        assert {name.split("-")[0] for name in rois.namelist()} == {f"{2 * 4 + 1 + 1:04d}"}


async def test_a_mask_counts_in_the_plane_that_was_asked_for() -> None:
    image = spots((2, 80, 90), number=20)
    mask = np.zeros((2, 80, 90), np.uint8)
    mask[1, :, 45:] = 1
    kiosk = kiosk_with()
    within = await kiosk.upload(ome(mask, "TYX"), "mask.tif")
    found = await segmented(ome(image, "TYX"), kiosk, within=within, plane=Plane(t=1, z=0))
    assert found.rows
    assert all(float(row["x_px"]) >= 40 for row in found.rows)


async def test_the_size_of_a_job_is_that_of_its_plane() -> None:
    kiosk = kiosk_with(job_px=6000)
    found = await segmented(ome(spots((9, 60, 100), number=5), "TYX"), kiosk, plane=Plane(t=8, z=0))
    assert len(found.counts) == 1


@pytest.mark.parametrize(("t", "z"), [(3, 0), (0, 1), (2**31 - 1, 0)])
async def test_a_plane_that_is_not_there(t: int, z: int) -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(ome(spots((3, 50, 60)), "TYX"))
    request = SegmentationRequest(plane=Plane(t=t, z=z))
    with pytest.raises(InvalidRequest, match="There is no plane") as caught:
        await kiosk.service.segment(
            upload_id=upload_id, model="bright", request=request, caller=LOCAL
        )
    assert caught.value.reason == "BAD_PLANE"


def test_what_goes_with_a_plane_and_what_does_not() -> None:
    plane, small = Plane(t=0, z=0), region(0, 0, 64, 64)
    with pytest.raises(InvalidRequest, match="from 0"):
        Plane(t=-1, z=0)
    with pytest.raises(InvalidRequest, match="3-D"):
        SegmentationRequest(plane=plane, volume=True)
    with pytest.raises(InvalidRequest, match="all frames"):
        TrackingRequest(segmentation=SegmentationRequest(plane=plane))
    for wrong in (
        {"region": small},
        {"plane": plane},
        {"plane": plane, "region": region(0, 0, 1025, 64)},
        {"plane": plane, "region": small, "formats": ("overlay",)},
    ):
        with pytest.raises(InvalidRequest) as caught:
            SegmentationRequest(preview=True, **wrong)  # type: ignore[arg-type]
        assert caught.value.reason == "BAD_PREVIEW"
    request = SegmentationRequest(plane=Plane(t=2, z=3), region=small, preview=True)
    assert SegmentationRequest.from_parameters(request.as_parameters()) == request


async def test_a_preview_shows_what_the_job_would_find_there() -> None:
    image = spots((3, 200, 220), number=50)
    at = region(40, 60, 140, 180)
    job, files = await previewed(kiosk_with(), ome(image, "TYX"), at, Plane(t=1, z=0))
    assert sorted(files) == ["cells_instances.csv", "cells_labels.tif", "cells_run.json"]
    labels = tifffile.imread(io.BytesIO(files["cells_labels.tif"]))
    rows = list(csv.DictReader(io.StringIO(files["cells_instances.csv"].decode())))
    assert labels.shape == (200, 220)  # where it is in the plane
    assert labels.max() == len(rows) > 3
    assert {(row["t"], row["z"]) for row in rows} == {("1", "0")}
    core = np.s_[48:132, 68:172]  # discs are at most 7 px from their centres
    np.testing.assert_array_equal(labels[core] > 0, image[1][core] > 0)
    assert job.priority is Priority.INTERACTIVE
    assert job.is_preview


async def test_a_preview_of_a_channel_of_an_image_in_a_zip() -> None:
    image = np.zeros((2, 2, 90, 100), np.uint8)
    image[:, 1] = spots((2, 90, 100), number=15)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("plate/a.tif", tiff(np.zeros((30, 30), np.uint8)))
        archive.writestr("plate/cells.tif", ome(image, "ZCYX"))
    at, plane = region(20, 10, 80, 90), Plane(t=0, z=1)
    reading = ReadOptions(member="plate/cells.tif")
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(file.getvalue(), "plate.zip")
    request = SegmentationRequest(
        region=at, plane=plane, preview=True, channel="1", reading=reading
    )
    job = await kiosk.service.segment(
        upload_id=upload_id, model="bright", request=request, caller=LOCAL
    )
    await kiosk.work()
    result = await kiosk.service.get_result(job.id, "cells_labels.tif", caller=LOCAL)
    chunks = await kiosk.service.read_result(result, caller=LOCAL)
    labels = tifffile.imread(io.BytesIO(b"".join([chunk async for chunk in chunks])))
    core = np.s_[28:72, 18:82]
    assert labels[core].any()
    np.testing.assert_array_equal(labels[core] > 0, image[1, 1][core] > 0)


async def test_a_preview_of_a_colour_image() -> None:
    image = np.repeat(spots((80, 90), number=15)[..., None], 3, axis=2)
    _, files = await previewed(
        kiosk_with(), tiff(image, photometric="rgb"), region(0, 0, 80, 90), Plane(t=0, z=0)
    )
    labels = tifffile.imread(io.BytesIO(files["cells_labels.tif"]))
    np.testing.assert_array_equal(labels > 0, image[..., 0] > 0)


async def test_a_preview_is_kept_for_an_hour_and_stays_out_of_lists() -> None:
    from kiosk.adapters.image_files import ImageFileReader
    from kiosk.settings import LimitSettings

    queue = MemoryQueue(clock=lambda: 1000.0, retention_s=5000.0, preview_s=60.0)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), queue=queue)
    job, _ = await previewed(kiosk, tiff(spots((64, 64))), region(0, 0, 64, 64), Plane(t=0, z=0))
    assert job.expire_time_s == 1060.0
    upload_id = await kiosk.upload(tiff(spots((64, 64))))
    other = await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    assert other.expire_time_s == 6000.0
    listed, _ = await kiosk.service.list_jobs(caller=LOCAL)
    assert [item.id for item in listed] == [other.id]
    everything, _ = await kiosk.service.list_jobs(caller=LOCAL, search=JobSearch(previews=True))
    assert {item.id for item in everything} == {job.id, other.id}


async def test_a_preview_of_a_large_plane_reads_what_is_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither limits nor sizing nor pixels come from far away."""
    monkeypatch.setattr(limits, "PREVIEW_SAMPLE_PX", 128 * 128)
    image = spots((600, 700), number=150)
    seen: list[tuple[slice, slice]] = []
    kiosk = kiosk_with(block_px=300)
    opened = kiosk.images.open

    def watched(*arguments: Any) -> Any:
        source = opened(*arguments)
        plane = source.plane

        def read(t: int, z: int, channels: Any, window: Any = None, level: int = 0) -> Any:
            seen.append(window)
            return plane(t, z, channels, window, level)

        source.plane = read  # type: ignore[method-assign]
        return source

    monkeypatch.setattr(kiosk.images, "open", watched)
    at = region(250, 300, 350, 400)
    _, files = await previewed(kiosk, tiff(image, tile=(64, 64)), at, Plane(t=0, z=0))
    assert files
    assert seen
    for rows, columns in seen:
        assert rows.start >= 200
        assert rows.stop <= 400
        assert columns.start >= 250
        assert columns.stop <= 450


async def test_limits_of_a_preview_come_from_a_smaller_resolution_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "PREVIEW_SAMPLE_PX", 5000)
    found: list[Limits] = []
    whole = limits._read_limits

    def noted(*arguments: Any) -> Limits:
        found.append(whole(*arguments))
        return found[-1]

    monkeypatch.setattr(limits, "_read_limits", noted)
    large = np.full((256, 256), 100, np.uint8)
    large[100:140, 100:140] = 250
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as tif:
        tif.write(large, tile=(64, 64), subifds=2)
        tif.write(np.full((128, 128), 90, np.uint8), tile=(64, 64), subfiletype=1)
        tif.write(np.full((64, 64), 80, np.uint8), tile=(64, 64), subfiletype=1)
    await previewed(kiosk_with(), buffer.getvalue(), region(0, 0, 64, 64), Plane(t=0, z=0))
    assert found[0].low == 80


def test_the_middle_of_a_region() -> None:
    assert middle(region(0, 0, 100, 50), 320) == (slice(0, 100), slice(0, 50))
    assert middle(region(100, 200, 612, 712), 320) == (slice(196, 516), slice(296, 616))


def test_a_preview_has_a_small_margin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert segmentation.PREVIEW_HALO_PX < 64
    assert math.isfinite(ModelCard(name="a", versions=("1",), pipeline="segmentation").divisor_px)

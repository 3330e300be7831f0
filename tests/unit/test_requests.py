"""What a caller may ask besides image and model: region, mask, volume, formats, how to read."""

from __future__ import annotations

import asyncio
import io
import zipfile
from typing import Any

import numpy as np
import pytest
from segmented import count, kiosk_with, ome, segmented, spots, tiff

from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, NotFound
from kiosk.exports import FORMATS
from kiosk.jobs import Job
from kiosk.pipelines.context import JobContext, OpenImages
from kiosk.pipelines.masking import image_and_mask
from kiosk.reading import ReadOptions
from kiosk.request import Region, SegmentationRequest
from kiosk.testing import make_card


def region(min_y: int, min_x: int, max_y: int, max_x: int) -> Region:
    return Region(min_y_px=min_y, min_x_px=min_x, max_y_px=max_y, max_x_px=max_x)


async def refused(data: bytes, **wanted: Any) -> str:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(data, "cells.tif")
    with pytest.raises(InvalidRequest) as caught:
        await kiosk.service.segment(
            upload_id=upload_id, model="bright", request=SegmentationRequest(**wanted), caller=LOCAL
        )
    return caught.value.reason


# ---------------------------------------------------------------- region


@pytest.mark.parametrize("block_px", [64, 2560])
async def test_region_has_the_instances_whose_centre_is_in_it(block_px: int) -> None:
    image = spots((200, 220), number=60)
    whole = await segmented(tiff(image))
    found = await segmented(
        tiff(image), kiosk_with(block_px=block_px), region=region(50, 60, 150, 170)
    )
    inside = [
        row
        for row in whole.rows
        if 50 <= round(float(row["y_px"])) < 150 and 60 <= round(float(row["x_px"])) < 170
    ]
    assert 3 < len(inside) < len(whole.rows)
    assert found.counts == [len(inside)]
    assert found.labels.shape == (200, 220)
    kept = [int(row["label"]) for row in inside]
    np.testing.assert_array_equal(found.labels > 0, np.isin(whole.labels, kept))
    for row in found.rows:  # the table speaks of the whole plane
        assert found.labels[round(float(row["y_px"])), round(float(row["x_px"]))] == int(
            row["label"]
        )
    assert found.run["region"] == vars(region(50, 60, 150, 170))


async def test_region_at_the_corner_of_every_plane() -> None:
    image = spots((3, 64, 64))
    found = await segmented(ome(image, "ZYX"), region=region(0, 0, 64, 64))
    assert found.counts == count(image)


@pytest.mark.parametrize("edges", [(0, 0, 65, 64), (0, 0, 64, 65), (1000, 1000, 2000, 2000)])
async def test_region_outside_of_the_image_is_refused(edges: tuple[int, int, int, int]) -> None:
    assert await refused(tiff(spots((64, 64))), region=region(*edges)) == "BAD_REGION"


@pytest.mark.parametrize("edges", [(5, 5, 5, 9), (5, 5, 9, 4), (-1, 0, 9, 9)])
def test_region_without_pixels_is_none(edges: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidRequest):
        region(*edges)


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("halo_px", [24, 40])
@pytest.mark.parametrize("block_px", [64, 100, 130])
async def test_blocks_of_any_size_give_the_same_instances(block_px: int, halo_px: int) -> None:
    image = spots((230, 250), number=80)
    whole = await segmented(tiff(image))
    blocks = await segmented(tiff(image), kiosk_with(block_px=block_px, block_halo_px=halo_px))
    assert blocks.counts == whole.counts
    assert blocks.header == whole.header
    np.testing.assert_array_equal(blocks.labels > 0, whole.labels > 0)

    def by_place(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        return sorted(tuple(v for name, v in row.items() if name != "label") for row in rows)

    assert by_place(blocks.rows) == by_place(whole.rows)
    labels = [int(row["label"]) for row in blocks.rows]
    assert labels == sorted(labels) == list(range(1, len(labels) + 1))
    assert blocks.run["blocks"]["instances_cut"] == 0


async def test_instances_wider_than_the_halo_are_reported() -> None:
    image = np.zeros((200, 200), np.uint8)
    image[20:30, 10:190] = image[60:180, 60:180] = 255
    found = await segmented(tiff(image), kiosk_with(block_px=64, block_halo_px=16))
    assert found.counts == [2]
    assert found.run["blocks"]["instances_cut"] == 2
    assert sorted(int(row["area_px"]) for row in found.rows) == [1800, 14400]


# ---------------------------------------------------------------- mask


def half_mask(shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, np.uint16)
    mask[:, shape[1] // 2 :] = 7
    mask[shape[0] // 2 :, shape[1] // 2 :] = 300
    return mask


@pytest.mark.parametrize("block_px", [64, 2560])
async def test_only_instances_inside_of_the_mask_count(block_px: int) -> None:
    image = spots((150, 200), number=60)
    mask = half_mask((150, 200))
    kiosk = kiosk_with(block_px=block_px)
    within = await kiosk.upload(tiff(mask), "mask.tif")
    whole = await segmented(tiff(image))
    found = await segmented(tiff(image), kiosk, within=within)
    kept = [
        label
        for label in range(1, whole.labels.max() + 1)
        if (mask[whole.labels == label] > 0).mean() >= 0.5
    ]
    assert 3 < len(kept) < whole.labels.max()
    np.testing.assert_array_equal(found.labels > 0, np.isin(whole.labels, kept))
    assert found.counts == [len(kept)]
    for row in found.rows:
        values = mask[found.labels == int(row["label"])]
        assert int(row["within"]) == np.bincount(values[values > 0]).argmax()


async def test_one_plane_of_mask_serves_all_planes() -> None:
    image = spots((3, 80, 90))
    kiosk = kiosk_with()
    within = await kiosk.upload(tiff(np.ones((80, 90), bool)), "mask.tif")
    assert (await segmented(ome(image, "TYX"), kiosk, within=within)).counts == count(image)


@pytest.mark.parametrize("shape", [(80, 91), (2, 80, 90), (80, 90, 3)])
async def test_masks_that_do_not_fit_fail_the_job_with_a_sentence(shape: tuple[int, ...]) -> None:
    kiosk = kiosk_with()
    data = tiff(np.ones(shape, np.uint8), photometric="rgb" if shape[-1] == 3 else "minisblack")
    within = await kiosk.upload(data, "mask.tif")
    upload_id = await kiosk.upload(tiff(spots((80, 90))), "cells.tif")
    job = await kiosk.service.segment(
        upload_id=upload_id,
        model="bright",
        request=SegmentationRequest(within=within),
        caller=LOCAL,
    )
    await kiosk.work()
    failed = await kiosk.service.get_job(job.id, caller=LOCAL)
    assert failed.error_reason == "BAD_MASK"
    assert "does not fit" in failed.error


async def test_masks_that_are_no_masks_are_refused_at_once() -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(tiff(spots((80, 90))), "cells.tif")
    for within, kind in ((upload_id, InvalidRequest), ("nosuch", NotFound)):
        with pytest.raises(kind):
            await kiosk.service.segment(
                upload_id=upload_id,
                model="bright",
                request=SegmentationRequest(within=within),
                caller=LOCAL,
            )


# ---------------------------------------------------------------- volume


def balls(shape: tuple[int, int, int] = (12, 90, 100)) -> tuple[np.ndarray, int]:
    """Bright balls that do not touch, planes twice as far apart as pixels."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    image = np.zeros(shape, np.uint8)
    centres = [(5, 20, 20), (6, 25, 60), (4, 60, 30), (7, 65, 75), (5, 45, 90)]
    for cz, cy, cx in centres:
        image[np.sqrt((2 * (z - cz)) ** 2 + (y - cy) ** 2 + (x - cx) ** 2) <= 8] = 220
    return image, len(centres)


@pytest.mark.parametrize("block_px", [64, 2560])
async def test_planes_are_joined_to_volumes(block_px: int) -> None:
    image, number = balls()
    data = ome(
        image,
        "ZYX",
        PhysicalSizeX=0.5,
        PhysicalSizeY=0.5,
        PhysicalSizeZ=1.0,
        PhysicalSizeXUnit="µm",
        PhysicalSizeYUnit="µm",
        PhysicalSizeZUnit="µm",
    )
    found = await segmented(
        data,
        kiosk_with(block_px=block_px),
        volume=True,
        formats=("labels", "table", "overlay", "rois", "geojson"),
    )
    assert (found.axes, found.labels.shape) == ("ZYX", image.shape)
    assert found.run["instances"] == number == found.labels.max()
    np.testing.assert_array_equal(found.labels > 0, image > 0)
    assert found.header[:5] == ["t", "label", "z_px", "y_px", "x_px"]
    for row in found.rows:
        mine = found.labels == int(row["label"])
        assert int(row["volume_px"]) == mine.sum()
        assert float(row["volume_um3"]) == pytest.approx(mine.sum() * 0.25)
        assert float(row["z_px"]) == pytest.approx(np.nonzero(mine)[0].mean())
    with zipfile.ZipFile(io.BytesIO(found.files["cells_RoiSet.zip"])) as rois:
        assert len(rois.namelist()) == sum(found.counts)


async def test_volumes_inside_of_a_mask_at_every_time_point() -> None:
    image, _ = balls()
    movie = np.stack([image, np.roll(image, 3, axis=2)])
    mask = half_mask(image.shape[1:])
    kiosk = kiosk_with()
    within = await kiosk.upload(tiff(mask), "mask.tif")
    found = await segmented(ome(movie, "TZYX"), kiosk, volume=True, within=within)
    assert found.axes == "TZYX"
    for t in (0, 1):
        labels, rows = found.labels[t], [row for row in found.rows if int(row["t"]) == t]
        assert sorted(int(row["label"]) for row in rows) == list(range(1, labels.max() + 1))
        for row in rows:
            values = np.broadcast_to(mask, labels.shape)[labels == int(row["label"])]
            assert (values > 0).mean() >= 0.5
            assert int(row["within"]) == np.bincount(values[values > 0]).argmax()


async def test_parameters_of_volumes_are_taken_and_checked() -> None:
    image, _ = balls()
    found = await segmented(ome(image, "ZYX"), volume=True, parameters={"min_planes": 12.0})
    assert found.run["instances"] == 0
    assert found.run["parameters"]["min_planes"] == 12
    data = ome(image, "ZYX")
    assert await refused(data, postprocessing={"min_planes": 3.0}) == "UNKNOWN_PARAMETER"
    wrong = await refused(data, volume=True, postprocessing={"link_overlap": 3.0})
    assert wrong == "PARAMETER_OUT_OF_RANGE"


async def test_one_plane_is_no_volume() -> None:
    assert await refused(tiff(spots((40, 50))), volume=True) == "NOT_A_STACK"


# ---------------------------------------------------------------- formats and reading


async def test_every_format_is_written_and_listed() -> None:
    found = await segmented(tiff(spots((90, 110))), formats=("all",))
    endings = {item.ending for item in FORMATS.values()} | {"_run.json"}
    assert {f"cells{ending}" for ending in endings} == set(found.names)


async def test_only_what_was_asked_is_written() -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(tiff(spots((40, 50))), "cells.tif")
    request = SegmentationRequest(formats=("table",))
    job = await kiosk.service.segment(
        upload_id=upload_id, model="bright", request=request, caller=LOCAL
    )
    await kiosk.work()
    names = [item.file_name for item in await kiosk.service.list_results(job.id, caller=LOCAL)]
    assert names == ["cells_instances.csv", "cells_run.json"]
    assert await refused(tiff(spots((40, 50))), formats=("xls",)) == "UNKNOWN_FORMAT"


async def test_axes_as_the_caller_says() -> None:
    image = spots((4, 60, 70))
    found = await segmented(
        tiff(image), reading=ReadOptions(axes="ZYX", pixel_size_um=0.5, z_step_um=2.0)
    )
    assert found.axes == "ZYX"
    assert found.run["image"]["sizes"]["z"] == 4
    assert found.run["image"]["as_asked"] == {"axes": "ZYX", "pixel_size_um": 0.5, "z_step_um": 2.0}
    assert float(found.rows[0]["area_um2"]) == float(found.rows[0]["area_px"]) / 4


async def test_member_of_a_zip_by_its_name() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(2):
            archive.writestr(f"plate/well{number}.tif", tiff(spots((50 + number, 60))))
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(buffer.getvalue(), "plate.zip")
    listed = await kiosk.service.inspect(upload_id, list_only=True, caller=LOCAL)
    assert [image.reading.member for image in listed] == ["plate/well0.tif", "plate/well1.tif"]
    found = await segmented(
        buffer.getvalue(),
        file_name="plate.zip",
        stem="well1",
        reading=ReadOptions(member="plate/well1.tif"),
    )
    assert found.labels.shape == (51, 60)
    assert await refused(buffer.getvalue()) == "MEMBER_NEEDED"


def test_a_request_comes_back_from_its_record() -> None:
    request = SegmentationRequest(
        channel="DAPI",
        postprocessing={"min_area_px": 3.0},
        reading=ReadOptions(member="a.tif", series=2, axes="zyx", pixel_size_um=0.3),
        region=region(1, 2, 30, 40),
        volume=True,
        formats=("labels", "qc"),
        within="abc",
    )
    assert SegmentationRequest.from_parameters(request.as_parameters()) == request
    assert SegmentationRequest().as_parameters() == {}


@pytest.mark.parametrize(
    "options",
    [
        {"axes": "ZZYX"},
        {"axes": "ABC"},
        {"axes": "TZ"},
        {"pixel_size_um": -1.0},
        {"z_step_um": float("nan")},
        {"series": -1},
    ],
)
def test_reading_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        ReadOptions(**options)


async def test_two_jobs_with_each_others_image_as_mask_do_not_wait_for_ever() -> None:
    kiosk = kiosk_with()
    uploads = [await kiosk.upload(tiff(spots((60, 70), seed)), "a.tif") for seed in (1, 2)]
    images = OpenImages(kiosk.store, kiosk.images)

    async def hold(image: str, mask: str) -> None:
        request = SegmentationRequest(within=mask)
        job = Job(
            id="job",
            pipeline="segmentation",
            upload_id=image,
            file_name="a.tif",
            model="bright",
            model_version="1",
            parameters=request.as_parameters(),
        )
        context = JobContext(
            job=job,
            card=make_card(),
            store=kiosk.store,
            images=images,
            inference=kiosk.inference,
            options=kiosk.options,
        )
        async with image_and_mask(context) as (source, found):
            assert source is not found

    async with asyncio.timeout(30):
        await asyncio.gather(hold(*uploads), hold(*uploads[::-1]))
    images.close()

"""A job's labels against those of another job and against uploaded ones."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with, ome, request_of, spots, tiff
from tracked import ended, file_of, pictures, submitted, truth

from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, KioskError, NotFound, TooLarge, WrongState
from kiosk.evaluation import evaluate
from kiosk.figures import comparison
from kiosk.reading import ReadOptions
from kiosk.request import Plane, Region
from kiosk.testing import FakeKiosk, make_caller

IMAGE = spots((2, 3, 90, 110))


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_with()


async def segmented_job(kiosk: FakeKiosk, image: np.ndarray, axes: str, **request: Any) -> str:
    upload = await kiosk.upload(ome(image, axes), "cells.tif")
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", **request_of(request), caller=LOCAL
    )
    await kiosk.work()
    return job.id


def labels_of(kiosk: FakeKiosk, job: str) -> np.ndarray:
    data = kiosk.store.objects[f"jobs/{job}/results/cells_labels.tif"]
    return np.asarray(tifffile.imread(io.BytesIO(data)))


def worse(labels: np.ndarray) -> np.ndarray:
    """Some missed, some shifted, some joined."""
    changed = np.where(labels % 5 == 0, 0, labels)
    shifted = np.roll(changed, 2, -1)
    return np.where(labels % 3 == 0, shifted, changed).astype(np.uint16)


def whole(image: np.ndarray, path: Path) -> Path:
    tifffile.imwrite(path, image, photometric="minisblack")
    return path


async def test_figures_are_those_of_kiosk_evaluate(kiosk: FakeKiosk, tmp_path: Path) -> None:
    job = await segmented_job(kiosk, IMAGE, "TZYX")
    found = labels_of(kiosk, job)
    expected = evaluate(whole(found, tmp_path / "p.tif"), whole(worse(found), tmp_path / "t.tif"))
    upload = await kiosk.upload(ome(worse(found), "TZYX"), "truth.tif")
    compared = await kiosk.service.figures.comparison(job, with_upload=upload, caller=LOCAL)
    assert compared.pooled == expected.pooled
    assert 0.3 < compared.pooled.counts[0].f1 < 1
    assert [(plane.t, plane.z) for plane in compared.planes] == [
        (t, z) for t in range(2) for z in range(3)
    ]
    assert [plane.scores for plane in compared.planes] == [p.scores for p in expected.planes]


async def test_two_jobs_and_one_with_itself(kiosk: FakeKiosk) -> None:
    one = await segmented_job(kiosk, IMAGE[0], "ZYX")
    other = await segmented_job(kiosk, np.where(IMAGE[0] > 210, IMAGE[0], 0), "ZYX")
    figures = kiosk.service.figures
    same = await figures.comparison(one, with_job=one, caller=LOCAL)
    assert {counts.f1 for counts in same.pooled.counts} == {1.0}
    less = await figures.comparison(other, with_job=one, caller=LOCAL)
    assert less.pooled.predicted_count < less.pooled.truth_count == same.pooled.truth_count
    assert less.pooled.counts[0].precision > less.pooled.counts[0].recall


async def test_a_tracked_movie_and_labels_along_z(kiosk: FakeKiosk) -> None:
    movie = truth()
    job = await ended(kiosk, await submitted(file_of(pictures(movie)), kiosk))
    upload = await kiosk.upload(ome(movie, "ZYX"), "truth.tif")
    found = await kiosk.service.figures.comparison(job.id, with_upload=upload, caller=LOCAL)
    assert found.pooled.counts[0].f1 > 0.9
    assert [plane.t for plane in found.planes] == list(range(5))


async def test_a_job_of_one_plane(kiosk: FakeKiosk) -> None:
    part = await segmented_job(kiosk, IMAGE, "TZYX", plane=Plane(t=1, z=2))
    all_of_it = await segmented_job(kiosk, IMAGE, "TZYX")
    figures = kiosk.service.figures
    for job, other in ((part, all_of_it), (all_of_it, part)):
        found = await figures.comparison(job, with_job=other, caller=LOCAL)
        assert [(plane.t, plane.z) for plane in found.planes] == [(1, 2)]
        assert found.pooled.counts[0].f1 == 1
    other_one = await segmented_job(kiosk, IMAGE, "TZYX", plane=Plane(t=0, z=2))
    with pytest.raises(InvalidRequest, match="no plane in common"):
        await figures.comparison(part, with_job=other_one, caller=LOCAL)


async def test_comparisons_do_not_wait_for_each_other(kiosk: FakeKiosk) -> None:
    one, other = [await segmented_job(kiosk, IMAGE, "TZYX") for _ in range(2)]
    figures = kiosk.service.figures
    pairs = [(one, other), (other, one), (one, one)]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        for job, truth_job in pairs:
            group.create_task(figures.comparison(job, with_job=truth_job, caller=LOCAL))


async def test_how_the_truth_is_read(kiosk: FakeKiosk) -> None:
    job = await segmented_job(kiosk, IMAGE[0], "ZYX")
    upload = await kiosk.upload(ome(labels_of(kiosk, job), "CYX"), "truth.tif")
    figures = kiosk.service.figures
    with pytest.raises(InvalidRequest, match="3 channels"):
        await figures.comparison(job, with_upload=upload, caller=LOCAL)
    reading = ReadOptions(axes="ZYX")
    found = await figures.comparison(job, with_upload=upload, reading=reading, caller=LOCAL)
    assert found.pooled.counts[0].f1 == 1


async def test_only_the_region_counts(kiosk: FakeKiosk) -> None:
    region = Region(min_y_px=0, min_x_px=0, max_y_px=90, max_x_px=60)
    part = await segmented_job(kiosk, IMAGE[0, 0], "YX", region=region)
    all_of_it = await segmented_job(kiosk, IMAGE[0, 0], "YX")
    figures = kiosk.service.figures
    for job, other in ((part, all_of_it), (all_of_it, part)):
        found = await figures.comparison(job, with_job=other, caller=LOCAL)
        expected = len(np.unique(labels_of(kiosk, all_of_it)[:, :60])) - 1
        assert found.pooled.planes == 1
        assert max(found.pooled.truth_count, found.pooled.predicted_count) == expected
    region = Region(min_y_px=0, min_x_px=60, max_y_px=90, max_x_px=110)
    beside = await segmented_job(kiosk, IMAGE[0, 0], "YX", region=region)
    with pytest.raises(InvalidRequest, match="regions do not overlap"):
        await figures.comparison(part, with_job=beside, caller=LOCAL)


@pytest.mark.parametrize(
    ("shape", "axes", "why"),
    [
        ((2, 3, 90, 111), "TZYX", "110 x 90 pixels, those of the uploaded file 111 x 90"),
        ((2, 90, 110), "TYX", "this job has 6 planes, the uploaded file 2 planes"),
        ((90, 110), "YX", "this job has 6 planes, the uploaded file one plane"),
        ((3, 2, 90, 110), "TZYX", "no plane t=0, z=2"),
    ],
)
async def test_sizes_must_agree(
    kiosk: FakeKiosk, shape: tuple[int, ...], axes: str, why: str
) -> None:
    job = await segmented_job(kiosk, IMAGE, "TZYX")
    upload = await kiosk.upload(ome(np.ones(shape, np.uint8), axes), "truth.tif")
    with pytest.raises(InvalidRequest, match=why) as error:
        await kiosk.service.figures.comparison(job, with_upload=upload, caller=LOCAL)
    assert error.value.reason == "NOT_COMPARABLE"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (tiff(np.zeros((90, 110, 3), np.uint8), photometric="rgb"), "colour"),
        (ome(np.zeros((4, 90, 110), np.uint8), "CYX"), "4 channels"),
        (ome(np.full((90, 110), 0.5, np.float32), "YX"), "fractions"),
        (ome(np.full((90, 110), -1, np.int16), "YX"), "negative"),
        (ome(np.random.default_rng(1).integers(0, 255, (90, 110), np.uint8), "YX"), "specks"),
        (b"no image at all", "truth.tif"),
    ],
)
async def test_files_that_are_no_label_images(kiosk: FakeKiosk, data: bytes, why: str) -> None:
    job = await segmented_job(kiosk, IMAGE[0, 0], "YX")
    upload = await kiosk.upload(data, "truth.tif")
    with pytest.raises(InvalidRequest, match=why) as error:
        await kiosk.service.figures.comparison(job, with_upload=upload, caller=LOCAL)
    assert (error.value.reason == "BAD_LABELS") != (data == b"no image at all")


async def test_too_many_pixels(kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await segmented_job(kiosk, IMAGE, "TZYX")
    monkeypatch.setattr(comparison, "MOST_PX", 5 * 90 * 110)
    with pytest.raises(TooLarge, match="kiosk evaluate"):
        await kiosk.service.figures.comparison(job, with_job=job, caller=LOCAL)


async def test_nobody_waits_any_more(kiosk: FakeKiosk) -> None:
    job = await segmented_job(kiosk, IMAGE, "TZYX")
    answers = iter([True, True, False])
    with pytest.raises(KioskError, match="Nobody waits"):
        await kiosk.service.figures.comparison(
            job, with_job=job, caller=LOCAL, is_wanted=lambda: next(answers)
        )
    assert list(answers) == []


async def test_what_is_not_there_or_not_the_callers(kiosk: FakeKiosk) -> None:
    figures = kiosk.service.figures
    job = await segmented_job(kiosk, IMAGE[0, 0], "YX")
    table = await segmented_job(kiosk, IMAGE[0, 0], "YX", formats=("table",))
    for one, other in ((job, table), (table, job)):
        with pytest.raises(NotFound, match="format 'labels'") as error:
            await figures.comparison(one, with_job=other, caller=LOCAL)
        assert error.value.reason == "NO_LABELS"
    begun = await kiosk.service.uploads.create("truth.tif", 10, "", caller=LOCAL)
    with pytest.raises(WrongState):
        await figures.comparison(job, with_upload=begun.id, caller=LOCAL)
    mallory = make_caller("mallory")
    theirs = await kiosk.upload(ome(IMAGE[0, 0], "YX"), "cells.tif", caller=mallory)
    with pytest.raises(NotFound):
        await figures.comparison(job, with_upload=theirs, caller=make_caller(""))
    with pytest.raises(NotFound):
        await figures.comparison(job, with_upload=theirs, caller=mallory)

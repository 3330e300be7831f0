"""Job type `mesmer`: label images of whole cells and of nuclei, as ark-analysis asks for them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import numpy as np
import pytest
import tifffile
from old_kiosk import downloaded, finished, kiosk_of, post, uploaded, working
from spots import tiff, zipped

from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest
from kiosk.exports import GROWN_NOTE
from kiosk.reading import InspectedImage, ReadOptions
from kiosk.settings import DEEPCELL_MODELS
from kiosk.testing import FakeKiosk
from kiosk.web.deepcell_requests import JobForm, PredictBody, axes_of, job_types, notes_of, wanted

TWO_NETWORKS = "segmentation=nuclei mesmer=cells"
KEYS = ["status", "progress", "output_url", "reason", "failures"]


def tissue(height: int = 96, width: int = 120) -> np.ndarray:
    """(2, y, x) uint16: nuclei, two of them near each other, and membranes around all three."""
    image = np.zeros((2, height, width), np.uint16)
    for y, x in ((20, 20), (20, 36), (60, 80)):
        image[0, y : y + 10, x : x + 10] = 3000
        image[1, y - 5 : y + 15, x - 3 : x + 13] = 2000
    return image


def ark_tiff(image: np.ndarray) -> bytes:
    """As ark-analysis saves its input: channels first, and no word of it in the file."""
    return tiff(image, compression="zlib", photometric="minisblack")


def images_of(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {name: tifffile.imread(io.BytesIO(data)) for name, data in files.items()}


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_of("nuclei", "cells")


@pytest.fixture
async def http(kiosk: FakeKiosk) -> AsyncIterator[aiohttp.ClientSession]:
    async with working(kiosk, DEEPCELL_MODELS) as session:
        yield session


async def as_ark(http: aiohttp.ClientSession, files: dict[str, bytes], scale: float = 1.0) -> Any:
    """What ark-analysis does for a zip of fields of view, until its job has ended."""
    form = aiohttp.FormData()
    form.add_field(
        "file", zipped(files), filename="fovs_batch_1.zip", content_type="application/zip"
    )
    async with http.post("/api/upload", data=form) as answer:
        upload = await answer.json()
    body = {
        "jobForm": {"scale": scale}, "imageName": "fovs_batch_1.zip",
        "imageUrl": upload["imageURL"], "jobType": "mesmer",
        "uploadedName": upload["uploadedName"],
    }  # fmt: skip
    job = (await post(http, "/api/predict", **body))["hash"]
    await finished(http, job)
    values = (await post(http, "/api/redis", hash=job, key=KEYS))["value"]
    # It counts the letters of the failures, so these must be a text.
    assert isinstance(values[4], str)
    assert 0 <= int(values[1]) <= 100
    return job, dict(zip(KEYS, values, strict=True))


async def test_ark_analysis(http: aiohttp.ClientSession) -> None:
    """Fields of view with dots in their names; two label images of each, and nothing else."""
    fovs = {"fov-1": tissue(), "scan.1 fov.2": tissue(100, 130)}
    job, told = await as_ark(http, {f"{name}.tiff": ark_tiff(fov) for name, fov in fovs.items()})
    assert (told["status"], told["progress"], told["failures"]) == ("done", "100", "")
    files = await downloaded(http, told["output_url"])
    assert set(files) == {f"{name}_feature_{n}.tif" for name in fovs for n in (0, 1)}
    images = images_of(files)
    for name, fov in fovs.items():
        cells, nuclei = (images[f"{name}_feature_{n}.tif"] for n in (0, 1))
        assert cells.shape == nuclei.shape == fov.shape[1:]
        assert cells.dtype == nuclei.dtype == np.uint16
        np.testing.assert_array_equal(np.unique(cells), [0, 1, 2, 3])
        np.testing.assert_array_equal(cells[nuclei > 0], nuclei[nuclei > 0])
        np.testing.assert_array_equal(nuclei > 0, fov[0] > 0)
        # 4 micrometres are 8 pixels of half a micrometre.
        assert (cells[12, 25], cells[11, 25]) == (nuclei[25, 25], 0)
        assert (cells[25, 32], cells[25, 33]) == (nuclei[25, 25], nuclei[25, 40])
    assert await post(http, "/api/redis/expire", hash=job, expireIn=90) == {"value": 1}


async def test_the_scale_says_how_many_pixels_cells_are_grown(http: aiohttp.ClientSession) -> None:
    """At twice the pixel size half as many."""
    _, told = await as_ark(http, {"fov.tiff": ark_tiff(tissue())}, scale=2.0)
    images = images_of(await downloaded(http, told["output_url"]))
    cells = images["fov_feature_0.tif"]
    assert (cells[16, 25] > 0, cells[15, 25]) == (True, 0)


async def test_an_image_that_cannot_be_used_is_named_and_the_others_done(
    http: aiohttp.ClientSession,
) -> None:
    broken = ark_tiff(tissue())[:300]
    _, told = await as_ark(http, {"good.tiff": ark_tiff(tissue()), "bad.tiff": broken})
    assert told["status"] == "done"
    assert list(parse_qs(told["failures"])) == ["bad.tiff"]
    files = await downloaded(http, told["output_url"])
    assert set(files) == {"good_feature_0.tif", "good_feature_1.tif"}


async def test_no_nuclei_no_cells(http: aiohttp.ClientSession) -> None:
    """ark-analysis leaves the first channel black where no nuclei were stained."""
    image = tissue()
    image[0] = 0
    _, told = await as_ark(http, {"fov.tiff": ark_tiff(image)})
    images = images_of(await downloaded(http, told["output_url"]))
    assert [image.max() for image in images.values()] == [0, 0]


async def test_it_is_said_that_cells_are_grown_nuclei(
    kiosk: FakeKiosk, http: aiohttp.ClientSession
) -> None:
    async with http.get("/api/jobtypes") as answer:
        told = await answer.json()
    assert told["jobTypes"] == ["segmentation", "cytoplasm", "mesmer", "caliban"]
    assert list(told["notes"]) == ["mesmer"]
    assert GROWN_NOTE in told["notes"]["mesmer"]
    job, _ = await as_ark(http, {"fov.tiff": ark_tiff(tissue())})
    assert GROWN_NOTE in (await kiosk.service.get_job(job, caller=LOCAL)).notes
    assert GROWN_NOTE in (await post(http, "/api/redis", hash=job, key="notes"))["value"]


@pytest.mark.parametrize(
    "fields",
    [
        # The command-line client, and the old page with a channel each.
        {"modelName": "MultiplexSegmentation", "modelVersion": "9", "dataRescale": "", "cuts": 0},
        {"jobForm": {"scale": 1, "selectedChannels": [0, 1], "dimensionOrder": "XYB"}},
        {"jobForm": {"selectedChannels": "0,"}},
        {"compartment": "nuclear"},
    ],
)
async def test_one_image(http: aiohttp.ClientSession, fields: dict[str, Any]) -> None:
    name = await uploaded(http, ark_tiff(tissue()), "a.b.tif")
    asked = {"jobType": "mesmer", "imageName": "a.b.tif", "uploadedName": name}
    job = (await post(http, "/api/predict", **asked, **fields))["hash"]
    assert await finished(http, job) == "done"
    url = (await post(http, "/api/redis", hash=job, key="output_url"))["value"]
    assert url.endswith("/a.b.zip")
    images = images_of(await downloaded(http, url))
    assert [image.max() for image in images.values()] == [3, 3]
    assert list(images) == ["a.b_feature_0.tif", "a.b_feature_1.tif"]


@pytest.fixture
async def two_networks(kiosk: FakeKiosk) -> AsyncIterator[aiohttp.ClientSession]:
    async with working(kiosk, TWO_NETWORKS) as session:
        yield session


async def test_a_network_of_whole_cells(two_networks: aiohttp.ClientSession) -> None:
    """Whole cells are those of its channel, nuclei those of the other one."""
    http = two_networks
    files = {f"{folder}/a.tiff": ark_tiff(tissue()) for folder in ("one", "other")}
    job, told = await as_ark(http, files)
    assert told["failures"] == ""
    images = images_of(await downloaded(http, told["output_url"]))
    assert set(images) == {f"{stem}_feature_{n}.tif" for stem in ("a", "a_2") for n in (0, 1)}
    for stem in ("a", "a_2"):
        np.testing.assert_array_equal(images[f"{stem}_feature_0.tif"] > 0, tissue()[1] > 0)
        np.testing.assert_array_equal(images[f"{stem}_feature_1.tif"] > 0, tissue()[0] > 0)
    told = (await post(http, "/api/redis", hash=job, key=["total_jobs", "children:done"]))["value"]
    assert (told[0], len(told[1].split(","))) == ("4", 4)


async def test_a_network_of_whole_cells_and_one_image(
    kiosk: FakeKiosk, two_networks: aiohttp.ClientSession
) -> None:
    http = two_networks
    name = await uploaded(http, ark_tiff(tissue()), "a.tif")
    asked = {"jobType": "mesmer", "imageName": "a.tif", "uploadedName": name}
    job = (await post(http, "/api/predict", **asked))["hash"]
    assert await finished(http, job) == "done"
    url = (await post(http, "/api/redis", hash=job, key="output_url"))["value"]
    assert list(await downloaded(http, url)) == ["a_feature_0.tif", "a_feature_1.tif"]
    # The nuclei are kept apart from whole cells when these are gone.
    group = await kiosk.service.groups.get(job, caller=LOCAL)
    assert [item.model for item in group.jobs] == ["cells", "nuclei"]
    assert dict(group.nuclei) == {group.jobs[1].id: group.jobs[0].id}
    form = {"selectedChannels": [0, 7]}
    await post(http, "/api/predict", 400, **asked, jobForm=form)


async def test_whole_cells_that_failed_leave_the_nuclei_where_they_belong(
    kiosk: FakeKiosk, two_networks: aiohttp.ClientSession
) -> None:
    """The second job of an image is named after it, be its first one gone."""
    http = two_networks
    files = {f"{folder}/a.tiff": ark_tiff(tissue(96 + n)) for n, folder in enumerate(("x", "y"))}
    job, told = await as_ark(http, files)
    group = await kiosk.service.groups.get(job, caller=LOCAL)
    await kiosk.service.delete_job(group.jobs[2].id, caller=LOCAL)
    images = images_of(await downloaded(http, told["output_url"]))
    assert {name: image.shape[0] for name, image in images.items()} == {
        "a_feature_0.tif": 96,
        "a_feature_1.tif": 96,
        "a_2_feature_1.tif": 97,
    }


# ---------------------------------------------------------------- what becomes what


def asked(models: str = DEEPCELL_MODELS, kind: str = "mesmer", **form: Any) -> Iterator[str]:
    """model:channel of the jobs of an image."""
    body = PredictBody(jobType=kind, imageName="a", jobForm=JobForm(**form))
    return (f"{job.model}:{job.channel}" for job in wanted(body, job_types(models)).jobs)


def test_channels_of_nuclei_and_of_whole_cells() -> None:
    assert list(asked()) == ["nuclei:0"]
    assert list(asked(selectedChannels=[2, 1])) == ["nuclei:2"]
    assert list(asked(TWO_NETWORKS)) == ["cells:1", "nuclei:0"]
    assert list(asked(TWO_NETWORKS, selectedChannels=[2, 0])) == ["cells:0", "nuclei:2"]
    assert list(asked(TWO_NETWORKS, selectedChannels=[2, ""])) == ["cells:2", "nuclei:2"]
    assert list(asked("mesmer=mine", kind="mesmer-zip")) == ["mine:0"]
    with pytest.raises(InvalidRequest, match="the channel that shows them"):
        asked(selectedChannels=["", 1])


def test_notes_on_job_types() -> None:
    assert notes_of(job_types("segmentation=nuclei")) == {}
    assert "'cells', nuclei by 'nuclei'" in notes_of(job_types(TWO_NETWORKS))["mesmer"]


@pytest.mark.parametrize(
    ("axes", "sizes", "order", "read"),
    [
        ("TYX", {"t": 2, "x": 90}, "", "CYX"),
        ("TYX", {"t": 90, "x": 2}, "", "YXC"),
        ("TYX", {"t": 5, "x": 90}, "", ""),  # a movie
        ("TYX", {"t": 2, "x": 90}, "XYB", "CYX"),
        ("TYX", {"t": 3, "x": 90}, "CXY", "CYX"),
        ("CYX", {"t": 1, "x": 90}, "", ""),
        ("YXS", {"t": 1, "x": 90}, "", ""),
        ("YX", {"t": 1, "x": 90}, "", ""),
    ],
)
def test_two_planes_are_two_channels(
    axes: str, sizes: dict[str, int], order: str, read: str
) -> None:
    body = PredictBody(jobType="mesmer", imageName="a", jobForm=JobForm(dimensionOrder=order))
    image = InspectedImage(reading=ReadOptions(), axes=axes, sizes=sizes, format="TIFF")
    assert axes_of(wanted(body, job_types(DEEPCELL_MODELS)), image) == read

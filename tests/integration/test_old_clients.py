"""Programs written for the DeepCell Kiosk: its command-line client and its ImageJ plugin."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import numpy as np
import pytest
import tifffile
from old_kiosk import downloaded, finished, kiosk_of, post, serving, uploaded, working
from spots import zipped

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.job_groups import JobGroup
from kiosk.jobs import Job, JobState, Stage
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_card, make_kiosk
from kiosk.testing.fake_inference import FakeInference
from kiosk.web.deepcell_files import lineage_json
from kiosk.web.deepcell_jobs import fields_of
from kiosk.web.deepcell_requests import (
    JobForm,
    PredictBody,
    job_types,
    wanted,
)

MODELS = "segmentation=nuclei cytoplasm=cells caliban=nuclei"
TIMES = [
    "created_at", "started_at", "finished_at", "updated_at", "total_time", "total_jobs",
    "upload_time", "download_time", "prediction_time", "postprocess_time", "cleanup_time",
]  # fmt: skip


def picture(*shape: int) -> np.ndarray:
    image = np.zeros(shape, np.uint16)
    image[..., 5:15, 5:15] = image[..., 20:28, 18:30] = 3000
    return image


def tiff(image: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, photometric="minisblack", **options)
    return file.getvalue()


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_of("nuclei", "cells")


@pytest.fixture
async def http(kiosk: FakeKiosk) -> AsyncIterator[aiohttp.ClientSession]:
    async with working(kiosk, MODELS) as session:
        yield session


async def test_the_command_line_client(http: aiohttp.ClientSession) -> None:
    """Upload, predict with all that it sends, poll, read times, expire, download, read the TIFF."""
    name = await uploaded(http, tiff(picture(32, 40)), "cells.tif")
    assert name.startswith("uploads/")
    assert name.endswith(".tif")
    answer = await post(
        http, "/api/predict",
        modelName="NuclearSegmentation", modelVersion="75", jobType="segmentation",
        postprocessFunction="deep_watershed", preprocessFunction="normalize",
        imageName="cells.tif", uploadedName=name, dataRescale="", dataLabel="", cuts=0,
    )  # fmt: skip
    job = answer["hash"]
    assert await finished(http, job) == "done"
    values = (await post(http, "/api/redis", hash=job, key=TIMES))["value"]
    told = dict(zip(TIMES, values, strict=True))
    for key in ("created_at", "started_at", "finished_at", "updated_at"):
        assert datetime.fromisoformat(told[key]).tzinfo is not None
    assert float(told["total_time"]) >= 0
    assert (told["total_jobs"], told["upload_time"]) == ("1", None)
    url = (await post(http, "/api/redis", hash=job, key="output_url"))["value"]
    files = await downloaded(http, url)
    assert list(files) == ["cells_feature_0.tif"]
    labels = tifffile.imread(io.BytesIO(files["cells_feature_0.tif"]))
    assert (labels.shape, labels.dtype, labels.max()) == ((32, 40), np.uint16, 2)
    assert await post(http, "/api/redis/expire", hash=job, expireIn=90) == {"value": 1}
    await post(http, "/api/redis/expire", 404, hash="0" * 26, expireIn=90)


async def test_the_imagej_plugin(http: aiohttp.ClientSession) -> None:
    """One value at a time: status, then where the result is, or the reason."""
    name = await uploaded(http, tiff(picture(32, 40)), "cells.tif")
    job = (
        await post(http, "/api/predict", jobType="segmentation", imageName="cells.tif",
                   uploadedName=name, jobForm={"scale": 1})
    )["hash"]  # fmt: skip
    assert await finished(http, job) == "done"
    assert await post(http, "/api/status", hash=job) == {"status": "done"}
    assert await post(http, "/api/redis", hash=job, key="reason") == {"value": None}
    url = (await post(http, "/api/redis", hash=job, key="output_url"))["value"]
    assert "cells_feature_0.tif" in await downloaded(http, url)
    # Words in front of the id, as the other kiosk's hashes have them.
    assert await post(http, "/api/status", hash=f"segmentation:cells.tif:{job}") == {
        "status": "done"
    }


async def test_a_zip_is_one_hash_and_its_bad_images_are_named(http: aiohttp.ClientSession) -> None:
    data = zipped(
        {
            "plate/a.tif": tiff(picture(32, 40)),
            "plate/b.tif": tiff(picture(33, 41)),
            "other/a.tif": tiff(picture(34, 42)),
            "plate/bad.tif": b"II*\x00 no image",
        }
    )
    name = await uploaded(http, data, "plate.zip")
    answer = await post(
        http, "/api/predict", jobType="segmentation", imageName="plate.zip", uploadedName=name
    )
    assert await finished(http, answer["hash"]) == "done"
    keys = ["status", "progress", "output_url", "reason", "failures", "dim_order", "total_jobs",
            "children:done"]  # fmt: skip
    values = (await post(http, "/api/redis", hash=answer["hash"], key=keys))["value"]
    told = dict(zip(keys, values, strict=True))
    assert (told["progress"], told["reason"], told["total_jobs"]) == ("100", None, "4")
    assert len(told["children:done"].split(",")) == 3
    assert list(parse_qs(told["failures"])) == ["plate/bad.tif"]
    files = await downloaded(http, told["output_url"])
    shapes = {name: tifffile.imread(io.BytesIO(file)).shape for name, file in files.items()}
    assert sorted(shapes.values()) == [(32, 40), (33, 41), (34, 42)]
    assert set(shapes) == {"a_feature_0.tif", "b_feature_0.tif", "a_2_feature_0.tif"}


async def test_a_movie_is_followed_through_time(http: aiohttp.ClientSession) -> None:
    name = await uploaded(http, tiff(picture(3, 32, 40)), "movie.tif")
    answer = await post(
        http, "/api/predict", jobType="caliban", imageName="movie.tif", uploadedName=name,
        jobForm={"dimensionOrder": "BXY", "selectedChannels": [0]},
    )  # fmt: skip
    assert await finished(http, answer["hash"]) == "done"
    url = (await post(http, "/api/redis", hash=answer["hash"], key="output_url"))["value"]
    files = await downloaded(http, url)
    labels = tifffile.imread(io.BytesIO(files["movie_feature_0.tif"]))
    assert labels.shape == (3, 32, 40)
    lineage = json.loads(files["lineage.json"])
    assert set(lineage) == {str(label) for label in np.unique(labels) if label}
    for track, told in lineage.items():
        assert told["frames"] == [t for t in range(3) if (labels[t] == int(track)).any()]


async def test_what_cannot_be_done_is_said(http: aiohttp.ClientSession) -> None:
    name = await uploaded(http, tiff(picture(32, 40)), "cells.tif")
    asked = {"imageName": "cells.tif", "uploadedName": name}
    for kind in ("polaris", "spot", "mesmer"):
        problem = await post(http, "/api/predict", 400, jobType=kind, **asked)
        assert f"no job type '{kind}'" in problem["detail"]
        assert "segmentation, cytoplasm, caliban" in problem["detail"]
    await post(http, "/api/predict", 400, jobType="segmentation", imageName="cells.tif")
    await post(http, "/api/predict", 400, imageName="cells.tif")
    gone = {"imageName": "cells.tif", "uploadedName": "uploads/nosuchupload.tif"}
    await post(http, "/api/predict", 404, jobType="segmentation", **gone)
    for key in ("requests", "ready:batch", "state"):
        await post(http, "/api/redis", 404, hash="backlog", key=key)
    rubbish = await uploaded(http, zipped({"a.tif": b"none"}), "a.zip")
    problem = await post(
        http, "/api/predict", 400, jobType="segmentation", imageName="a.zip", uploadedName=rubbish
    )
    assert problem["detail"].startswith("No image of the zip can be used.")


async def test_forms_without_a_whole_file_leave_nothing(
    kiosk: FakeKiosk, http: aiohttp.ClientSession
) -> None:
    before = set(kiosk.store.objects)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.tif"\r\n\r\n'
    for body in (
        b"",
        b"--x--\r\n",
        b"no form",
        head + b"bytes that do not end",
        b'--x\r\nContent-Disposition: form-data; name="a\x07"\r\n\r\n\r\n--x--\r\n',
        head.replace(b'name="file"', b'name="other"') + b"\r\n--x--\r\n",
        head.replace(b'"a.tif"', b'""') + b"abc\r\n--x--\r\n",
    ):
        async with http.post("/api/upload", data=body, headers=kind) as answer:
            assert answer.status == 400, body
    async with http.post(
        "/api/upload", data=head, headers={"Content-Type": "multipart/form-data"}
    ) as answer:
        assert answer.status == 400
    async with http.post("/api/upload", json={}) as answer:
        assert answer.status == 415
    async with http.post(
        "/api/upload", data=head + b"abc\r\n--x--\r\n", headers={**kind, "Origin": "http://evil"}
    ) as answer:
        assert answer.status == 403
    assert set(kiosk.store.objects) == before


async def test_a_file_that_is_too_large_is_refused_and_not_kept(
    kiosk: FakeKiosk, http: aiohttp.ClientSession
) -> None:
    form = aiohttp.FormData()
    form.add_field("file", bytes(kiosk.service.uploads.limit_bytes + 1), filename="a.tif")
    async with http.post("/api/upload", data=form) as answer:
        assert answer.status == 413
    assert kiosk.store.objects == {}


async def test_what_there_is(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/jobtypes") as answer:
        assert await answer.json() == {
            "jobTypes": ["segmentation", "cytoplasm", "caliban"],
            "notes": {},
        }
    async with http.get("/api/models") as answer:
        assert set((await answer.json())["models"]) == {"nuclei", "cells"}
    async with http.get("/api/health-check") as answer:
        assert answer.status == 200


async def test_it_can_be_switched_off(kiosk: FakeKiosk) -> None:
    server = await serving(kiosk, "")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
        async with http.get("/api/health-check") as answer:
            assert answer.status == 404
        async with http.post("/api/redis", json={"hash": "a", "key": "b"}) as answer:
            assert answer.status == 404
    await server.stop()


# ---------------------------------------------------------------- what becomes what


@pytest.mark.parametrize(
    ("form", "label", "model", "channel", "axes", "pixel_size_um"),
    [
        ({}, None, "nuclei", "", "", 0.0),
        ({"scale": "0.5"}, "", "nuclei", "", "", 0.25),
        ({"selectedChannels": [2, 1]}, None, "nuclei", "2", "", 0.0),
        ({"selectedChannels": "1,"}, 0, "nuclei", "1", "", 0.0),
        ({"selectedChannels": ["", 1]}, None, "cells", "1", "", 0.0),
        ({"selectedChannels": [0, 1], "segmentationType": "cytoplasm"}, None, "cells", "1", "", 0),
        ({}, 2, "cells", "", "", 0.0),
        ({"dimensionOrder": "CXYB"}, None, "nuclei", "", "CYXT", 0.0),
        ({"dimensionOrder": "bxy", "scale": None}, None, "nuclei", "", "TYX", 0.0),
    ],
)
def test_choices_of_the_old_page(
    form: dict[str, Any], label: Any, model: str, channel: str, axes: str, pixel_size_um: float
) -> None:
    body = PredictBody(
        jobType="Segmentation", imageName="a", dataLabel=label, jobForm=JobForm(**form)
    )
    found = wanted(body, job_types(MODELS))
    assert (found.model, found.channel, found.axes) == (model, channel, axes)
    assert found.pixel_size_um == pixel_size_um


def a_job(state: JobState, stage: Stage = Stage.PARTS, **changes: Any) -> Job:
    values: dict[str, Any] = {
        "id": "job", "pipeline": "segmentation", "upload_id": "u", "file_name": "a.tif",
        "model": "nuclei", "model_version": "1", "state": state, "stage": stage,
        "parts_done": 1, "parts_total": 4, "create_time_s": 1e9,
    }  # fmt: skip
    return Job(**{**values, **changes})


@pytest.mark.parametrize(
    ("state", "stage", "status"),
    [
        (JobState.QUEUED, Stage.WAITING, "new"),
        (JobState.RUNNING, Stage.PLANNING, "started"),
        (JobState.RUNNING, Stage.PARTS, "predicting"),
        (JobState.RUNNING, Stage.JOINING, "saving-results"),
        (JobState.SUCCEEDED, Stage.FINISHED, "done"),
        (JobState.FAILED, Stage.FINISHED, "failed"),
        (JobState.CANCELLED, Stage.FINISHED, "failed"),
    ],
)
def test_states_in_the_old_words(state: JobState, stage: Stage, status: str) -> None:
    group = JobGroup(jobs=[a_job(state, stage, error="Broken.")], refused={}, is_zip=False)
    told = fields_of(group, "http://kiosk/api/output/job/a.zip")
    assert told["status"] == status
    assert told.get("reason") == ("Broken." if status == "failed" else None)
    assert ("output_url" in told) is (status == "done")
    assert told["progress"] == ("100" if state.is_final else "25")


def test_a_zip_is_done_when_all_have_ended_and_one_has_succeeded() -> None:
    def told(*states: JobState) -> Any:
        jobs = [a_job(state, file_name=f"{n}.tif") for n, state in enumerate(states)]
        return fields_of(JobGroup(jobs=jobs, refused={}, is_zip=True), "http://k/a.zip")

    queued, failed, done = JobState.QUEUED, JobState.FAILED, JobState.SUCCEEDED
    assert told(queued, queued)["status"] == "new"
    assert told(queued, failed)["status"] == "waiting"
    assert told(done, failed)["status"] == "done"
    assert told(failed, failed)["status"] == "failed"
    assert told(queued, done)["progress"] == "50"
    assert list(parse_qs(told(done, failed)["failures"])) == ["1.tif"]


def test_lineage_of_the_table_of_tracks() -> None:
    header = "track_id,parent_id,daughter_1_id,daughter_2_id,first_frame,last_frame,frames,divides"
    rows = "1,0,2,3,0,1,2,1\n2,1,0,0,2,4,3,0\n3,1,0,0,2,2,1,0\n"
    assert lineage_json(f"{header}\n4,0,0,0,0,9999999,10000000,0\n") == b""
    found = json.loads(lineage_json(f"{header}\n{rows}"))
    assert found["1"] == {
        "label": 1, "frames": [0, 1], "parent": None, "daughters": [2, 3], "frame_div": 2,
        "capped": True,
    }  # fmt: skip
    assert found["2"]["parent"] == 1
    assert found["2"]["frames"] == [2, 3, 4]


async def test_a_zip_that_the_kiosk_has_no_room_for_is_not_begun_at_all() -> None:
    inference = FakeInference([make_card("nuclei")])
    queue = MemoryQueue(open_jobs=2)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), inference=inference, queue=queue)
    server = await serving(kiosk, MODELS)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as http:
        data = zipped({f"{n}.tif": tiff(picture(32, 40)) for n in range(3)})
        name = await uploaded(http, data, "plate.zip")
        asked = {"imageName": "plate.zip", "uploadedName": name}
        await post(http, "/api/predict", 429, jobType="segmentation", **asked)
    await server.stop()
    jobs, _ = await kiosk.service.list_jobs(caller=LOCAL)
    assert [job.state for job in jobs] == [JobState.CANCELLED] * 2

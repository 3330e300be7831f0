"""What a job may be asked for over HTTP: members, axes, regions, masks, formats."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from segmented import kiosk_with, ome, spots, tiff

from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.exports import FORMATS
from kiosk.settings import CHECKOUT
from kiosk.testing import FakeKiosk
from kiosk.web import make_app


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_with()


@pytest.fixture
async def web(kiosk: FakeKiosk) -> AsyncIterator[TestClient[Any, Any]]:
    tiles = kiosk.tiles()
    app = make_app(kiosk.service, tiles, Authentication(), CHECKOUT / "frontend")
    async with TestClient(TestServer(app)) as client:
        yield client


STACK = ome(spots((4, 60, 80)), "TYX")


def plate() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("f10.tif", "f2.tif"):
            archive.writestr(name, tiff(spots((50, 60))))
        archive.writestr("bad.tif", b"II*\0 no tiff")
    return file.getvalue()


async def images(web: TestClient[Any, Any], upload: str, query: str = "") -> list[dict[str, Any]]:
    answer = await web.get(f"/api/v1/uploads/{upload}/images?{query}")
    assert answer.status == 200, await answer.text()
    return list((await answer.json())["images"])


async def posted(web: TestClient[Any, Any], **body: object) -> tuple[int, dict[str, Any]]:
    answer = await web.post("/api/v1/jobs", json={"model": "bright", **body})
    return answer.status, await answer.json()


# ---------------------------------------------------------------------- images and formats


async def test_images_of_an_upload(web: TestClient[Any, Any], kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(plate(), "plate.zip")
    found = await images(web, upload, "thumbnail_px=32")
    assert [item["reading"]["member"] for item in found] == ["bad.tif", "f2.tif", "f10.tif"]
    assert found[0]["error"]["message"].endswith(".")
    assert (found[1]["size_x"], found[1]["axes"]) == (60, "YX")
    assert found[1]["thumbnail"]
    listed = await images(web, upload, "list_only=1")
    assert [item["size_x"] for item in listed] == [0, 0, 0]
    (one,) = await images(web, upload, "member=f2.tif&pixel_size_um=0.5")
    assert one["pixel_size_x_um"] == 0.5
    stack = await kiosk.upload(STACK)
    assert (await images(web, stack, "axes=zyx"))[0]["size_z"] == 4


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("series=one", "series"),
        ("series=-1", "series"),
        ("series=1e99", "series"),
        ("series=nan", "series"),
        ("thumbnail_px=inf", "thumbnail_px"),
        ("thumbnail_px=1000", "thumbnail_px"),
        ("pixel_size_um=-2", "pixel_size_um"),
        ("pixel_size_um=", "pixel_size_um"),
        ("axes=QQ", "axes"),
        ("axes=ZYYX", "axes"),
        ("list_only=yes", "list_only"),
        ("member=nothere.tif", "member"),
        ("series=3", "series"),
    ],
)
async def test_queries_that_cannot_be_meant(
    web: TestClient[Any, Any], kiosk: FakeKiosk, query: str, field: str
) -> None:
    upload = await kiosk.upload(STACK)
    answer = await web.get(f"/api/v1/uploads/{upload}/images?{query}")
    body = await answer.json()
    if answer.status == 200:  # there is no such image, which is an error of that image
        assert body["images"][0]["error"]["message"].endswith(".")
        return
    assert answer.status == 400
    assert body["errors"][0]["field"] == field
    assert body["detail"].endswith(".")


async def test_images_of_uploads_that_are_not_there(
    web: TestClient[Any, Any], kiosk: FakeKiosk
) -> None:
    assert (await web.get("/api/v1/uploads/nothere/images")).status == 404
    begun = await kiosk.service.uploads.create("a.tif", 10, "", caller=LOCAL)
    assert (await web.get(f"/api/v1/uploads/{begun.id}/images")).status == 409


async def test_formats_are_listed_for_a_choice(web: TestClient[Any, Any]) -> None:
    listed = (await (await web.get("/api/v1/formats")).json())["formats"]
    assert [item["name"] for item in listed] == [
        name for name, item in FORMATS.items() if not item.missing
    ]
    assert {item["name"] for item in listed if item["is_default"]} == {
        "labels",
        "table",
        "overlay",
    }
    assert all(item["description"].endswith(".") for item in listed)


# ---------------------------------------------------------------------- jobs


async def test_everything_that_may_be_asked(web: TestClient[Any, Any], kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(STACK, "stack.tif")
    mask = await kiosk.upload(tiff(np.ones((60, 80), np.uint8)), "mask.tif")
    status, job = await posted(
        web,
        upload=f"uploads/{upload}",
        reading={"axes": "ZYX", "pixel_size_um": 0.5, "z_step_um": 2.0},
        region={"max_y_px": 50, "max_x_px": 70},
        volume=True,
        formats=["labels", "table"],
        within=f"uploads/{mask}",
    )
    assert status == 202, job
    await kiosk.work()
    done = await (await web.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (done["state"], done.get("error")) == ("succeeded", None)
    results = (await (await web.get(f"/api/v1/jobs/{job['id']}/results")).json())["results"]
    assert [item["file_name"] for item in results] == [
        "stack_instances.csv",
        "stack_labels.tif",
        "stack_run.json",
    ]
    answer = await web.get(f"/api/v1/jobs/{job['id']}/results/stack_run.json")
    run = json.loads(await answer.read())
    assert run["image"]["sizes"]["z"] == 4
    assert run["region"] == {"min_y_px": 0, "min_x_px": 0, "max_y_px": 50, "max_x_px": 70}
    assert run["within"] == mask


async def test_a_member_of_a_zip(web: TestClient[Any, Any], kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(plate(), "plate.zip")
    status, problem = await posted(web, upload=upload)
    assert (status, problem["reason"]) == (400, "MEMBER_NEEDED")
    status, job = await posted(web, upload=upload, reading={"member": "f2.tif"})
    assert (status, job["file_name"]) == (202, "f2.tif")
    status, problem = await posted(web, upload=upload, reading={"member": "bad.tif"})
    assert status == 400
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reading": "ZYX"}, "reading"),
        ({"reading": {"axes": 3}}, "reading.axes"),
        ({"reading": {"axes": "XYZW"}}, "axes"),
        ({"reading": {"series": "1"}}, "reading.series"),
        ({"reading": {"series": 2**70}}, "series"),
        ({"reading": {"pixel_size_um": -1}}, "pixel_size_um"),
        ({"reading": {"colour": "red"}}, "reading.colour"),
        ({"region": [0, 0, 10, 10]}, "region"),
        ({"region": {"max_y_px": 10}}, "region.max_x_px"),
        ({"region": {"max_y_px": 10.5, "max_x_px": 10}}, "region.max_y_px"),
        ({"region": {"min_y_px": -1, "max_y_px": 10, "max_x_px": 10}}, "region"),
        ({"region": {"max_y_px": 61, "max_x_px": 80}}, "region"),
        ({"region": {"max_y_px": 2**80, "max_x_px": 80}}, "region"),
        ({"volume": "yes"}, "volume"),
        ({"volume": True}, "volume"),  # the stack has time points only
        ({"formats": "labels"}, "formats"),
        ({"formats": ["labels", 3]}, "formats.1"),
        ({"formats": ["gif"]}, "formats"),
        ({"within": 5}, "within"),
        ({"within": "uploads/nothere"}, ""),
        ({"within": "nothere"}, ""),
        ({"wihtin": "x"}, "wihtin"),
    ],
)
async def test_bad_requests_get_one_sentence(
    web: TestClient[Any, Any], kiosk: FakeKiosk, body: dict[str, object], field: str
) -> None:
    upload = await kiosk.upload(STACK)
    status, problem = await posted(web, upload=upload, **body)
    assert status in (400, 404), problem
    detail = problem["detail"]
    assert detail.endswith(".")
    assert "\n" not in detail
    assert len(detail) < 400
    if field:
        assert problem["errors"][0]["field"] == field


async def test_numbers_that_are_none(web: TestClient[Any, Any], kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(STACK)
    for number in ("NaN", "Infinity", "1e999"):
        text = (
            f'{{"model": "bright", "upload": "{upload}", "reading": {{"pixel_size_um": {number}}}}}'
        )
        answer = await web.post(
            "/api/v1/jobs", data=text, headers={"Content-Type": "application/json"}
        )
        assert answer.status == 400, number
        assert (await answer.json())["detail"].endswith(".")


async def test_unknown_fields_are_answered_with_the_known_ones(web: TestClient[Any, Any]) -> None:
    _, problem = await posted(web, upload="x", reading={"colour": 1})
    assert "member, series, axes, pixel_size_um, z_step_um" in problem["detail"]

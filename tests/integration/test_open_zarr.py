"""A job's image and labels as other programs read them over HTTP: OME-Zarr at a share link."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from aiohttp.test_utils import TestClient, TestServer
from alices import ALICE, MALLORY, UNTIL, Alices, make_alices, web_of
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.imaging.pyramids import mean, nearest
from kiosk.request import SegmentationRequest
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.web import make_app

PAGE_OF_OTHERS = {"Origin": "https://viewer.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def kiosk() -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()))


@pytest.fixture
async def web(kiosk: FakeKiosk) -> AsyncIterator[TestClient]:
    door = Authentication(kiosk.keys, shares=kiosk.service.shares, memory_s=0.0)
    app = make_app(kiosk.service, kiosk.tiles(), door, CHECKOUT / "frontend")
    async with TestClient(TestServer(app)) as client:
        yield client


async def shared(kiosk: FakeKiosk, image: np.ndarray, work: bool = True, **options: Any) -> str:
    """The address of a job's OME-Zarr."""
    file = io.BytesIO()
    tifffile.imwrite(file, image, ome=options.pop("ome", True), **options)
    upload = await kiosk.upload(file.getvalue(), "cells.tif")
    request = {"request": kiosk_request(image, options)}
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL, **request)
    if work:
        await kiosk.work()
    _, token = await kiosk.service.shares.create(job.id, time.time() + 60, caller=LOCAL)
    return f"/open/{token}/image.ome.zarr"


def kiosk_request(image: np.ndarray, options: dict[str, Any]) -> Any:
    has_channels = "C" in options.get("metadata", {}).get("axes", "")
    return SegmentationRequest(channel="0" if has_channels else "")


async def read(web: TestClient, address: str) -> Any:
    """All that is there, as the zarr library sees it: metadata first, then every chunk."""
    store = MemoryStore()

    async def fetch(path: str) -> bytes | None:
        answer = await web.get(f"{address}/{path}", headers=PAGE_OF_OTHERS)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        if answer.status == 404:
            return None
        assert answer.status == 200, (path, await answer.text())
        data = await answer.read()
        await store.set(path, default_buffer_prototype().buffer.from_bytes(data))
        return data

    documents = json.loads(await fetch(".zmetadata") or b"")["metadata"]
    for path, document in documents.items():
        assert json.loads(await fetch(path) or b"") == document
        if path.endswith(".zarray"):
            grid = [
                -(-length // chunk)
                for length, chunk in zip(document["shape"], document["chunks"], strict=True)
            ]
            for index in np.ndindex(*grid):
                await fetch(f"{path.removesuffix('.zarray')}{'/'.join(map(str, index))}")
    return zarr.open_group(store, mode="r", zarr_format=2)


def spots(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    image = np.random.default_rng(1).integers(0, 60, shape).astype(dtype)
    for top in range(5, shape[-2] - 20, 40):
        for left in range(5, shape[-1] - 20, 40):
            image[..., top : top + 12, left : left + 14] = 4000 if dtype != "uint8" else 250
    return image


@pytest.mark.parametrize(
    ("shape", "axes", "dtype"),
    [
        ((300, 270), "YX", "uint16"),
        ((2, 100, 120), "TYX", "uint8"),
        ((2, 2, 3, 60, 70), "TCZYX", "uint16"),
        ((2, 80, 90), "ZYX", "float32"),
    ],
)
async def test_what_zarr_reads_is_what_is_there(
    web: TestClient, kiosk: FakeKiosk, shape: tuple[int, ...], axes: str, dtype: str
) -> None:
    image = spots(shape, dtype)
    address = await shared(
        kiosk, image, metadata={"axes": axes, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    )
    group = await read(web, address)
    multiscale = group.attrs["multiscales"][0]
    # OME-TIFF is written with the axes in another order than OME-Zarr wants them.
    assert [axis["name"] for axis in multiscale["axes"]] == [axis.lower() for axis in axes]
    assert multiscale["version"] == "0.4"
    scale = multiscale["datasets"][0]["coordinateTransformations"][0]["scale"]
    assert scale[-2:] == [0.25, 0.5]
    assert group["0"].dtype == image.dtype
    np.testing.assert_array_equal(group["0"][:], image)
    key = next(key for key in kiosk.store.objects if key.endswith("_labels.tif"))
    stored = tifffile.imread(io.BytesIO(kiosk.store.objects[key]))
    labels = group["labels"]["cells"]
    assert group["labels"].attrs["labels"] == ["cells"]
    assert labels.attrs["image-label"]["source"] == {"image": "../../"}
    assert labels["0"].dtype == np.uint32
    np.testing.assert_array_equal(labels["0"][:].reshape(stored.shape), stored)
    assert stored.max() > 1


async def test_smaller_resolutions(web: TestClient, kiosk: FakeKiosk) -> None:
    image = spots((1100, 600))
    group = await read(web, await shared(kiosk, image))
    paths = [item["path"] for item in group.attrs["multiscales"][0]["datasets"]]
    assert paths == ["0", "1", "2"]
    np.testing.assert_array_equal(group["1"][:], mean(image))
    labels = group["labels"]["cells"]
    np.testing.assert_array_equal(labels["1"][:], nearest(labels["0"][:]))
    assert group.attrs["omero"]["channels"][0]["window"]["end"] > 60


async def test_colours_and_what_is_not_done_yet(web: TestClient, kiosk: FakeKiosk) -> None:
    image = np.random.default_rng(1).integers(0, 200, (40, 50, 3)).astype(np.uint8)
    address = await shared(kiosk, image, ome=False, photometric="rgb", work=False)
    group = await read(web, address)
    np.testing.assert_array_equal(group["0"][:], image.transpose(2, 0, 1))
    assert [c["color"] for c in group.attrs["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]
    assert "labels" not in group
    assert (await web.get(f"{address}/labels/cells/0/0/0/0")).status == 404


async def test_colours_of_the_file_are_told(web: TestClient, kiosk: FakeKiosk) -> None:
    blue = {"axes": "CYX", "Channel": {"Color": [0x0000FFFF, -1]}}
    group = await read(web, await shared(kiosk, spots((2, 40, 50)), metadata=blue))
    colours = [channel["color"] for channel in group.attrs["omero"]["channels"]]
    assert colours[0] == "0000FF"
    assert colours[1] != "FFFFFF"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, slice(0, 10)),
        ("bytes=5-", 206, slice(5, None)),
        ("bytes=-7", 206, slice(-7, None)),
        ("bytes=999999-", 416, None),
        ("nonsense", 200, slice(None)),
    ],
)
async def test_ranges(
    web: TestClient, kiosk: FakeKiosk, asked: str, status: int, part: slice | None
) -> None:
    chunk = f"{await shared(kiosk, spots((60, 70)))}/0/0/0"
    whole = await (await web.get(chunk)).read()
    head = await web.head(chunk, headers=PAGE_OF_OTHERS)
    assert (head.status, head.content_length) == (200, len(whole))
    assert "Content-Encoding" not in head.headers
    answer = await web.get(chunk, headers={**PAGE_OF_OTHERS, "Range": asked})
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    if part is not None:
        assert await answer.read() == whole[part]
    if status != 200:
        assert answer.headers["Content-Range"].endswith(f"/{len(whole)}")


async def test_preflights_are_answered(web: TestClient, kiosk: FakeKiosk) -> None:
    asked = {
        **PAGE_OF_OTHERS,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range",
    }
    answer = await web.options(f"{await shared(kiosk, spots((60, 70)))}/.zattrs", headers=asked)
    assert answer.status == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "GET" in answer.headers["Access-Control-Allow-Methods"]
    assert "Range" in answer.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "zarr.json",
        ".zarray",
        "3/.zarray",
        "0/0",
        "0/0/0/0",
        "0/0/9",
        "9/0/0",
        "0/-1/0",
        "0/0/0/../../.zattrs",
        "labels/other/.zattrs",
        "labels/cells/0/0/9",
        "labels/cells/.zattrsx",
    ],
)
async def test_nothing_else_is_there(web: TestClient, kiosk: FakeKiosk, path: str) -> None:
    address = await shared(kiosk, spots((60, 70)))
    answer = await web.get(f"{address}/{path}", headers=PAGE_OF_OTHERS)
    assert answer.status == 404
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


# ---------------------------------------------------------------- who may


@pytest.fixture
async def alices() -> Alices:
    return await make_alices()


@pytest.fixture
async def guarded(alices: Alices) -> AsyncIterator[TestClient]:
    async with web_of(alices) as client:
        yield client


async def test_the_link_is_enough_until_it_is_withdrawn(
    guarded: TestClient, alices: Alices
) -> None:
    address = f"/open/{alices.link}/image.ome.zarr"
    for path in (".zattrs", "0/0/0/0", "labels/cells/0/0/0/0"):
        assert (await guarded.get(f"{address}/{path}")).status == 200
        assert (await guarded.head(f"{address}/{path}")).status == 200
    await alices.fake.service.shares.delete(alices.done, alices.share, caller=ALICE)
    for path in (".zattrs", "0/0/0/0", "labels/cells/0/0/0/0"):
        assert (await guarded.get(f"{address}/{path}")).status == 404


async def test_what_is_no_link_opens_nothing(guarded: TestClient, alices: Alices) -> None:
    shares = alices.fake.service.shares
    _, ended = await shares.create(alices.done, time.time() + 0.05, caller=ALICE)
    _, deleted = await shares.create(alices.stopped, time.time() + 60, caller=ALICE)
    await alices.fake.service.delete_job(alices.stopped, caller=ALICE)
    await asyncio.sleep(0.06)
    bearer = {"Authorization": alices.bearer("alice")}
    for token in ("x", alices.link[:-2], alices.tokens["alice"], ended, deleted):
        for headers in ({}, bearer):
            answer = await guarded.get(f"/open/{token}/image.ome.zarr/.zattrs", headers=headers)
            assert answer.status == 404
    changed = await guarded.post(f"/open/{alices.link}/image.ome.zarr/.zattrs", headers=bearer)
    assert changed.status == 405


async def test_no_other_address_is_read_by_pages_of_others(
    guarded: TestClient, alices: Alices
) -> None:
    bearer = {**PAGE_OF_OTHERS, "Authorization": alices.bearer("alice")}
    for path in (
        *("/", "/api/v1/jobs", f"/api/v1/jobs/{alices.done}/image", "/api/v1/formats", "/nowhere"),
        *(f"/s/{alices.link}", f"/api/v1/jobs/{alices.done}/image/0/0/0/0/0/0", "/openx"),
    ):
        answer = await guarded.get(path, headers=bearer, allow_redirects=False)
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]
    options = await guarded.options("/api/v1/uploads", headers=PAGE_OF_OTHERS)
    assert not [name for name in options.headers if name.startswith("Access-Control-")]


async def test_the_link_is_in_no_log(
    guarded: TestClient,
    alices: Alices,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.WARNING, logger="aiohttp.access")  # as `configure_logging` has it
    caplog.set_level(logging.DEBUG)
    address = f"/open/{alices.link}/image.ome.zarr"
    for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE"):
        await guarded.request(method, f"{address}/.zattrs")

    async def broken(*arguments: Any, **options: Any) -> bytes:
        raise RuntimeError("broken")

    monkeypatch.setattr("kiosk.zarr_view.ZarrView.read", broken)
    assert (await guarded.get(f"{address}/.zattrs")).status == 500
    assert "broken" in caplog.text
    assert alices.link[-20:-1] not in caplog.text


async def test_the_address_is_told_with_the_link(guarded: TestClient, alices: Alices) -> None:
    bearer = {"Authorization": alices.bearer("alice")}
    path = f"/api/v1/jobs/{alices.done}/shares"
    made = await (await guarded.post(path, json=UNTIL, headers=bearer)).json()
    assert made["zarr_url"] == f"/open/{made['token']}/image.ome.zarr"
    assert (await guarded.get(f"{made['zarr_url']}/.zgroup")).status == 200
    listed = await (await guarded.get(path, headers=bearer)).json()
    assert all(share["zarr_url"] == "" for share in listed["shares"])
    assert MALLORY.owner not in str(listed)

"""Tables and plots over HTTP: what the page is sent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import numpy as np
import pytest
from aiohttp import ClientSession
from raw_http import serving
from segmented import kiosk_with, ome, spots
from tracked import ended, file_of, pictures, submitted, truth

from kiosk.callers import LOCAL
from kiosk.figures.instance_table import DescribedColumn, InstanceTable
from kiosk.testing import FakeKiosk
from kiosk.web import figures


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_with()


@pytest.fixture
async def web(kiosk: FakeKiosk) -> AsyncIterator[ClientSession]:
    async with serving(kiosk) as port, ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def test_a_segmented_stack(
    kiosk: FakeKiosk, web: ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "PIECE_ROWS", 4)
    upload = await kiosk.upload(ome(spots((2, 80, 90)), "ZYX"), "cells.tif")
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    at = f"/api/v1/jobs/{job.id}"
    assert (await web.get(f"{at}/instances")).status == 409
    await kiosk.work()
    answer = await web.get(f"{at}/instances?t=0&z=1")
    assert "immutable" in answer.headers["Cache-Control"]
    table = await answer.json()
    names = [column["name"] for column in table["columns"]]
    assert names[0] == "label"
    assert table["columns"][names.index("area_px")] == {
        "name": "area_px",
        "unit": "px²",
        "meaning": "area in pixels",
    }
    statistics = await (await web.get(f"{at}/statistics")).json()
    planes = statistics["planes"]
    assert [(plane["t"], plane["z"]) for plane in planes] == [(0, 0), (0, 1)]
    assert [row[0] for row in table["rows"]] == list(range(1, planes[1]["instances"] + 1))
    for item in statistics["histograms"]:
        assert len(item["edges"]) == len(item["counts"]) + 1
        assert sum(item["counts"]) == sum(plane["instances"] for plane in planes)
    for path, reason in (("/lineage", "NO_TRACKS"), ("/tracks", "NO_TRACKS")):
        answer = await web.get(at + path)
        assert (answer.status, (await answer.json())["reason"]) == (404, reason)


async def test_a_tracked_movie(kiosk: FakeKiosk, web: ClientSession) -> None:
    job = await ended(kiosk, await submitted(file_of(pictures(truth())), kiosk))
    at = f"/api/v1/jobs/{job.id}"
    tracks = (await (await web.get(f"{at}/lineage")).json())["tracks"]
    daughters = [track for track in tracks if track["parent"]]
    assert [(track["first_t"], track["last_t"]) for track in daughters] == [(3, 4), (3, 4)]
    ways = await (await web.get(f"{at}/tracks?first_t=1&last_t=2")).json()
    assert ways["track"] == [1, 1, 2, 2, 3, 3]
    assert ways["t"] == [1, 2] * 3
    assert len(ways["y_px"]) == len(ways["x_px"]) == 6
    table = await (await web.get(f"{at}/instances?t=0")).json()
    assert table["columns"][0]["name"] == "track"
    assert [row[0] for row in table["rows"]] == [1, 2, 3]
    names = [column["name"] for column in table["columns"]]
    assert [row[names.index("link_confidence")] for row in table["rows"]] == [None] * 3


@pytest.mark.parametrize("query", ["t=-1", "t=1.5", "z=x", "label=1e3", "t=%C2%B2", "t=9999999999"])
async def test_numbers_that_are_none(kiosk: FakeKiosk, web: ClientSession, query: str) -> None:
    answer = await web.get(f"/api/v1/jobs/{'0' * 26}/instances?{query}")
    assert answer.status == 400
    assert (await answer.json())["errors"][0]["field"] == query.split("=", maxsplit=1)[0]


def test_numbers_as_json() -> None:
    columns = [DescribedColumn(name, "", "") for name in "abc"]
    values = [np.array([1.0, 2.0]), np.array([np.nan, 0.25]), np.array([np.inf, 1e20])]
    packed = figures._instances_json(InstanceTable(columns, values, True))
    assert json.loads(packed)["rows"] == [[1, None, None], [2, 0.25, 1e20]]
    assert json.loads(packed)["truncated"] is True
    assert b"[1," in packed

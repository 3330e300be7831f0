"""Looking for jobs: every job that fits is found once, and no page looks at too many."""

from __future__ import annotations

from itertools import count

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kiosk import access
from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest
from kiosk.job_search import LONGEST_SEARCH, JobSearch, state_named
from kiosk.jobs import Job, JobState, page_token
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_caller, make_kiosk
from kiosk.web import make_app

NUMBERS = count()


def job(file_name: str = "cells.tif", *, owner: str = "", preview: bool = False) -> Job:
    return Job(
        id=f"job{next(NUMBERS):05d}",
        pipeline="segmentation",
        upload_id="upload",
        file_name=file_name,
        model="nuclei",
        model_version="2",
        owner=owner,
        parameters={"preview": True} if preview else {},
    )


@pytest.fixture
def kiosk() -> FakeKiosk:
    ticks = count(1_700_000_000.0, 0.001)
    queue = MemoryQueue(clock=lambda: next(ticks))
    return make_kiosk(ImageFileReader(LimitSettings()), queue=queue)


async def pages(kiosk: FakeKiosk, size: int, search: JobSearch) -> list[list[str]]:
    found, token = [], ""
    while True:
        jobs, token = await kiosk.service.list_jobs(size, token, caller=LOCAL, search=search)
        found.append([item.id for item in jobs])
        if not token:
            return found


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("PLATE", True),
        ("well nuclei:2", True),
        ("queued ann", True),
        ("well bob", False),
        ("succeeded", False),
        ("plate7\nwell", True),
    ],
)
def test_all_words_occur_somewhere(text: str, fits: bool) -> None:
    assert JobSearch(text=text).fits(job("Plate7_Well3.tif", owner="Ann")) is fits


def test_states_by_name() -> None:
    assert state_named("") is None
    assert state_named("failed") is JobState.FAILED
    with pytest.raises(InvalidRequest, match="queued, running"):
        state_named("broken")
    with pytest.raises(InvalidRequest, match="fewer words"):
        JobSearch(text="x" * (LONGEST_SEARCH + 1))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
@pytest.mark.parametrize("looked_at", [1, 10, 2000])
async def test_every_job_that_fits_is_found_once(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch, size: int, looked_at: int
) -> None:
    monkeypatch.setattr(access, "MOST_LOOKED_AT", looked_at)
    monkeypatch.setattr(access, "AT_A_TIME", 4)
    jobs = [
        await kiosk.queue.submit(job(f"{'odd' if n % 5 else 'rare'}{n}.tif", preview=n % 7 == 3))
        for n in range(40)
    ]
    for search in (JobSearch(), JobSearch(previews=True), JobSearch(text="rare")):
        found = await pages(kiosk, size, search)
        expected = [item.id for item in reversed(jobs) if search.fits(item)]
        assert [job_id for page in found for job_id in page] == expected
        assert max(map(len, found)) <= size


async def test_a_page_looks_at_a_bounded_number_of_jobs(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "MOST_LOOKED_AT", 20)
    monkeypatch.setattr(access, "AT_A_TIME", 10)
    for _ in range(50):
        await kiosk.queue.submit(job())
    jobs, token = await kiosk.service.list_jobs(5, caller=LOCAL, search=JobSearch(text="no such"))
    assert jobs == []
    newest, _ = await kiosk.service.list_jobs(20, caller=LOCAL)
    assert token == page_token(newest[-1])


async def test_nobody_finds_jobs_of_others(kiosk: FakeKiosk) -> None:
    await kiosk.queue.submit(job("secret.tif", owner="alice"))
    for owner, names in (("alice", ["secret.tif"]), ("mallory", [])):
        jobs, _ = await kiosk.service.list_jobs(
            caller=make_caller(owner), search=JobSearch(text="secret")
        )
        assert [item.file_name for item in jobs] == names


async def test_looking_for_jobs_over_http(kiosk: FakeKiosk) -> None:
    for name in ("a.tif", "b.tif", "c.tif"):
        last = await kiosk.queue.submit(job(name, preview=name == "b.tif"))
    await kiosk.queue.cancel(last.id)
    tiles = kiosk.tiles()
    app = make_app(kiosk.service, tiles, Authentication(), CHECKOUT / "frontend")

    async def names(query: str) -> list[str]:
        answer = await web.get(f"/api/v1/jobs?{query}")
        assert answer.status == 200
        return [item["file_name"] for item in (await answer.json())["jobs"]]

    async with TestClient(TestServer(app)) as web:
        assert await names("") == ["c.tif", "a.tif"]
        assert await names("previews=true") == ["c.tif", "b.tif", "a.tif"]
        assert await names("state=cancelled") == ["c.tif"]
        assert await names("search=A.TIF%20nuclei&state=queued") == ["a.tif"]
        wrong = await web.get("/api/v1/jobs?state=lost")
        assert wrong.status == 400
        assert (await wrong.json())["errors"][0]["field"] == "state"

"""What the kiosk does for its callers, and what it answers to wrong requests."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile

from kiosk import service
from kiosk import uploads as uploads_module
from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL, Scope
from kiosk.errors import (
    AlreadyExists,
    InvalidRequest,
    KioskError,
    NotFound,
    TransientError,
    WrongState,
)
from kiosk.jobs import Job, JobState
from kiosk.request import SegmentationRequest
from kiosk.settings import LimitSettings
from kiosk.testing import (
    FakeInference,
    FakeKiosk,
    MemoryQueue,
    make_caller,
    make_card,
    make_kiosk,
)
from kiosk.tracking_request import TrackingRequest

ADMIN = make_caller("me", Scope.ADMIN)
CARDS = [
    make_card("nuclei"),
    make_card("bright", accepts_rgb=False),
    make_card("links", pipeline="tracking"),
]


def tiff(*shape: int, **options: Any) -> bytes:
    plane = np.zeros(shape, np.uint8)
    plane[..., 4:8, 4:8] = 200
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, photometric="minisblack", **options)
    return buffer.getvalue()


@pytest.fixture
def now() -> list[float]:
    return [1_700_000_000.0]


@pytest.fixture
def kiosk(now: list[float]) -> FakeKiosk:
    return make_kiosk(
        ImageFileReader(LimitSettings()),
        queue=MemoryQueue(clock=lambda: now[0], retention_s=100.0),
        inference=FakeInference(CARDS),
    )


async def submitted(kiosk: FakeKiosk, **changes: Any) -> Job:
    upload_id = await kiosk.upload(tiff(16, 16), "cells.tif")
    request = SegmentationRequest(
        channel=changes.pop("channel", ""), postprocessing=changes.pop("parameters", {})
    )
    wanted = {"upload_id": upload_id, "model": "nuclei", "request": request, **changes}
    return await kiosk.service.segment(**{"caller": LOCAL, **wanted})


async def open_counts(kiosk: FakeKiosk) -> tuple[int, int]:
    """Parts and jobs that are open."""
    backlog = await kiosk.service.backlog(caller=LOCAL)
    return backlog.parts, backlog.jobs


async def refused(kiosk: FakeKiosk, **changes: Any) -> KioskError:
    with pytest.raises(KioskError) as error:
        await submitted(kiosk, **changes)
    assert await open_counts(kiosk) == (0, 0)
    assert error.value.message.endswith((".", "."))
    return error.value


# ---------------------------------------------------------------- models


async def test_models_by_name(kiosk: FakeKiosk) -> None:
    assert [c.name for c in await kiosk.service.list_models(caller=LOCAL)] == [
        "bright",
        "links",
        "nuclei",
    ]
    assert (await kiosk.service.get_model("nuclei", caller=LOCAL)).name == "nuclei"
    with pytest.raises(NotFound, match=r"no model 'cells'\. The models are: bright, links, nuclei"):
        await kiosk.service.get_model("cells", caller=LOCAL)


async def test_no_models_at_all(kiosk: FakeKiosk) -> None:
    kiosk.inference.cards = []
    with pytest.raises(NotFound, match="none at present"):
        await kiosk.service.get_model("nuclei", caller=LOCAL)


async def test_model_server_is_down(kiosk: FakeKiosk) -> None:
    kiosk.inference.is_down = True
    with pytest.raises(TransientError):
        await submitted(kiosk)


# ---------------------------------------------------------------- submitting


async def test_job_is_accepted_with_the_latest_version(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk, parameters={"min_area_px": 3.0}, caller=ADMIN)
    assert (
        job.pipeline,
        job.model,
        job.model_version,
        job.file_name,
        job.owner,
    ) == ("segmentation", "nuclei", "2", "cells.tif", "me")
    assert job.parameters == {"postprocessing": {"min_area_px": 3.0}}
    assert JobState.QUEUED is job.state
    assert job == await kiosk.service.get_job(job.id, caller=LOCAL)


async def test_version_of_choice(kiosk: FakeKiosk) -> None:
    assert (await submitted(kiosk, model_version="1")).model_version == "1"


@pytest.mark.parametrize(
    ("changes", "kind", "field", "sentence"),
    [
        ({"model": ""}, InvalidRequest, "model", "names no model"),
        ({"model": "cells"}, NotFound, "model", "no model 'cells'"),
        ({"model": "../nuclei"}, NotFound, "model", "no model"),
        ({"model": "links"}, InvalidRequest, "model", "is for tracking, not for segmentation"),
        ({"model_version": "3"}, NotFound, "model_version", "Its versions are: 1, 2"),
        ({"channel": "DAPI"}, InvalidRequest, "channel", "no channel 'DAPI'"),
        ({"channel": "1"}, InvalidRequest, "channel", "no channel '1'"),
        ({"channel": "-1"}, InvalidRequest, "channel", "no channel"),
        ({"channel": "²"}, InvalidRequest, "channel", "no channel"),
        ({"channel": "9" * 5000}, InvalidRequest, "channel", "no channel"),
        ({"parameters": {"speed": 1.0}}, InvalidRequest, "parameters", "no parameter 'speed'"),
        ({"parameters": {"merge_height": 1.1}}, InvalidRequest, "parameters", "from 0 to 1"),
        ({"parameters": {"min_area_px": -1.0}}, InvalidRequest, "parameters", "from 0"),
        ({"parameters": {"min_area_px": np.nan}}, InvalidRequest, "parameters", "not nan"),
        ({"parameters": {"min_area_px": np.inf}}, InvalidRequest, "parameters", "not inf"),
        ({"parameters": {"smoothing_px": 1e6}}, InvalidRequest, "parameters", "0 to 100"),
        ({"parameters": {"grid_px": 2.0}}, InvalidRequest, "parameters", "no parameter 'grid_px'"),
        ({"upload_id": "nosuch"}, NotFound, "", "no upload"),
        ({"upload_id": "../../jobs"}, NotFound, "", "no upload"),
        ({"upload_id": ""}, NotFound, "", "no upload"),
    ],
)
async def test_wrong_requests_are_answered_at_once(
    kiosk: FakeKiosk, changes: dict[str, Any], kind: type[KioskError], field: str, sentence: str
) -> None:
    error = await refused(kiosk, **changes)
    assert isinstance(error, kind)
    assert field == error.field
    assert sentence in error.message


async def test_incomplete_upload(kiosk: FakeKiosk) -> None:
    upload = await kiosk.service.uploads.create("cells.tif", 100, "", caller=LOCAL)
    error = await refused(kiosk, upload_id=upload.id)
    assert isinstance(error, WrongState)
    assert error.reason == "UPLOAD_INCOMPLETE"


async def test_file_that_is_no_image(kiosk: FakeKiosk) -> None:
    upload_id = await kiosk.upload(b"hello, this is a letter", "letter.tif")
    assert isinstance(await refused(kiosk, upload_id=upload_id), InvalidRequest)


async def test_several_channels_need_a_choice(kiosk: FakeKiosk) -> None:
    data = tiff(2, 16, 16, ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}})
    upload_id = await kiosk.upload(data)
    error = await refused(kiosk, upload_id=upload_id)
    assert (error.reason, error.field) == ("CHANNEL_NEEDED", "channel")
    assert "0: DAPI, 1: GFP" in error.message
    for choice in ("DAPI", "gfp", "1", "0"):
        job = await submitted(kiosk, upload_id=upload_id, channel=choice)
        assert choice == job.parameters["channel"]


async def test_request_id_makes_submitting_idempotent(kiosk: FakeKiosk) -> None:
    upload_id = await kiosk.upload(tiff(16, 16), "cells.tif")
    first = await submitted(kiosk, upload_id=upload_id, request_id="r1")
    again = await submitted(kiosk, upload_id=upload_id, request_id="r1")
    assert first.id == again.id
    assert await open_counts(kiosk) == (1, 1)
    with pytest.raises(AlreadyExists):
        await submitted(kiosk, upload_id=upload_id, request_id="r1", model="bright")


async def test_tracking_is_accepted_with_the_latest_version(kiosk: FakeKiosk) -> None:
    upload_id = await kiosk.upload(tiff(3, 16, 16), "movie.tif")
    job = await kiosk.service.track(
        upload_id=upload_id,
        model="nuclei",
        request=TrackingRequest(divisions=False),
        caller=ADMIN,
    )
    assert (
        job.pipeline,
        job.model,
        job.model_version,
        job.file_name,
        job.owner,
    ) == ("tracking", "nuclei", "2", "movie.tif", "me")
    assert job.parameters["tracking"] == {"divisions": False}
    assert job == await kiosk.service.get_job(job.id, caller=LOCAL)


async def test_tracking_of_labels_needs_no_model(kiosk: FakeKiosk) -> None:
    kiosk.inference.cards = []
    upload_id = await kiosk.upload(tiff(3, 16, 16), "movie.tif")
    job = await kiosk.service.track(
        upload_id=upload_id, request=TrackingRequest(labels=upload_id), caller=LOCAL
    )
    assert (job.model, job.model_version) == ("", "")


@pytest.mark.parametrize(
    ("changes", "kind", "field", "sentence"),
    [
        ({"model": ""}, InvalidRequest, "model", "names no model"),
        ({"model": "cells"}, NotFound, "model", "no model 'cells'"),
        ({"model_version": "3"}, NotFound, "model_version", "Its versions are: 1, 2"),
        ({"upload_id": "nosuch"}, NotFound, "", "no upload"),
        ({"request": {"labels": "nosuch"}}, NotFound, "", "no upload"),
        ({"request": {"labels": "UPLOAD", "tracks": "nosuch"}}, NotFound, "", "no upload"),
        ({"request": {"linker": "network"}}, NotFound, "linker", "hosts no linking network"),
    ],
)
async def test_wrong_requests_of_tracking(
    kiosk: FakeKiosk, changes: dict[str, Any], kind: type[KioskError], field: str, sentence: str
) -> None:
    upload_id = await kiosk.upload(tiff(3, 16, 16), "movie.tif")
    asked = {
        name: upload_id if value == "UPLOAD" else value
        for name, value in changes.pop("request", {}).items()
    }
    wanted = {"upload_id": upload_id, "model": "nuclei", "request": TrackingRequest(**asked)}
    with pytest.raises(kind) as caught:
        await kiosk.service.track(**{**wanted, **changes}, caller=LOCAL)
    assert field == caught.value.field
    assert sentence in caught.value.message
    assert await open_counts(kiosk) == (0, 0)


# ---------------------------------------------------------------- results


async def test_results_of_a_finished_job(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    results = await kiosk.service.list_results(job.id, caller=LOCAL)
    assert [result.file_name for result in results] == [
        "cells_instances.csv",
        "cells_labels.tif",
        "cells_overlay.jpg",
        "cells_run.json",
    ]
    assert [result.media_type for result in results] == [
        "text/csv",
        "image/tiff",
        "image/jpeg",
        "application/json",
    ]
    for result in results:
        assert result.description
        assert result.opens_with
        data = b"".join(
            [chunk async for chunk in await kiosk.service.read_result(result, caller=LOCAL)]
        )
        assert result.size_bytes == len(data)
        rest = b"".join(
            [chunk async for chunk in await kiosk.service.read_result(result, 5, caller=LOCAL)]
        )
        assert data[5:] == rest
        assert result == await kiosk.service.get_result(job.id, result.file_name, caller=LOCAL)


async def test_parts_are_removed_after_the_join(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    assert await kiosk.store.list(f"jobs/{job.id}/parts/") == []


@pytest.mark.parametrize("offset", [-1, 10**9])
async def test_offset_outside_of_a_result(kiosk: FakeKiosk, offset: int) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    result = (await kiosk.service.list_results(job.id, caller=LOCAL))[0]
    with pytest.raises(InvalidRequest, match="outside of the file"):
        await kiosk.service.read_result(result, offset, caller=LOCAL)


@pytest.mark.parametrize("file_name", ["", "no.csv", "../../uploads", "cells_labels.tif/"])
async def test_no_such_result(kiosk: FakeKiosk, file_name: str) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    with pytest.raises(NotFound):
        await kiosk.service.get_result(job.id, file_name, caller=LOCAL)


async def test_results_come_only_with_success(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    with pytest.raises(WrongState, match=r"queued and has no results\. Wait"):
        await kiosk.service.list_results(job.id, caller=LOCAL)
    await kiosk.service.cancel_job(job.id, caller=LOCAL)
    with pytest.raises(WrongState, match=r"cancelled and has no results\. It has none"):
        await kiosk.service.get_result(job.id, "cells_labels.tif", caller=LOCAL)


# ---------------------------------------------------------------- jobs


HOSTILE = ["", "nosuch", "../../etc", "a/b", "a b", "*", "\ud800", "x" * 10_000]


@pytest.mark.parametrize("job_id", HOSTILE)
async def test_hostile_job_ids(kiosk: FakeKiosk, job_id: str) -> None:
    await kiosk.store.put("jobs/other/results/x", b"x")
    service = kiosk.service
    steps: list[Callable[[], Any]] = [
        lambda: service.get_job(job_id, caller=LOCAL),
        lambda: service.cancel_job(job_id, caller=LOCAL),
        lambda: service.delete_job(job_id, caller=LOCAL),
        lambda: service.list_results(job_id, caller=LOCAL),
        lambda: service.get_result(job_id, "x", caller=LOCAL),
        lambda: service.watch_job(job_id, caller=LOCAL),
    ]
    for step in steps:
        with pytest.raises(NotFound):
            await step()
    assert await kiosk.store.get("jobs/other/results/x") == b"x"


@pytest.mark.parametrize("token", ["x", "-1", "²", "٣", "1.5", "9" * 5000, " 1", "1_000"])
async def test_odd_page_tokens_and_event_ids(kiosk: FakeKiosk, token: str) -> None:
    job = await submitted(kiosk)
    with pytest.raises(InvalidRequest, match="page token"):
        await kiosk.service.list_jobs(10, token, caller=LOCAL)
    for event_id in (token, f"{token}-1", f"1-{token}", "1-", "1-1"):
        with pytest.raises(InvalidRequest, match="event id"):
            await kiosk.service.watch_job(job.id, event_id, caller=LOCAL)


async def test_page_sizes(kiosk: FakeKiosk, now: list[float]) -> None:
    ids = []
    for _ in range(3):
        now[0] += 1
        ids.append((await submitted(kiosk)).id)
    jobs, token = await kiosk.service.list_jobs(2, caller=LOCAL)
    rest, end = await kiosk.service.list_jobs(2, token, caller=LOCAL)
    assert ids[::-1] == [job.id for job in [*jobs, *rest]]
    assert end == ""
    assert len((await kiosk.service.list_jobs(0, caller=LOCAL))[0]) == 3
    assert len((await kiosk.service.list_jobs(10**12, caller=LOCAL))[0]) == 3
    with pytest.raises(InvalidRequest, match="negative"):
        await kiosk.service.list_jobs(-1, caller=LOCAL)


async def test_watching_to_the_end(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    events = await kiosk.service.watch_job(job.id, caller=LOCAL)
    assert JobState.QUEUED is (await anext(events)).job.state
    await kiosk.work()
    states = [event.job.state async for event in events]
    assert JobState.SUCCEEDED is states[-1]
    assert states == sorted(states, key=["queued", "running", "succeeded"].index)


async def test_new_watchers_are_let_in_a_few_at_a_time(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await submitted(kiosk)
    get, asking, most = kiosk.queue.get, 0, 0

    async def counted(job_id: str) -> Job:
        nonlocal asking, most
        asking += 1
        most = max(most, asking)
        await asyncio.sleep(0)
        asking -= 1
        return await get(job_id)

    monkeypatch.setattr(kiosk.queue, "get", counted)
    await asyncio.gather(*(kiosk.service.watch_job(job.id, caller=LOCAL) for _ in range(50)))
    assert most == service.NEW_WATCHERS_AT_A_TIME


async def test_cancel_removes_what_the_parts_left(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.store.put(f"jobs/{job.id}/parts/000000/labels", b"x")
    assert JobState.CANCELLED is (await kiosk.service.cancel_job(job.id, caller=LOCAL)).state
    assert await kiosk.store.list(f"jobs/{job.id}/") == []


async def test_cancel_after_the_end_keeps_the_results(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    assert JobState.SUCCEEDED is (await kiosk.service.cancel_job(job.id, caller=LOCAL)).state
    assert len(await kiosk.service.list_results(job.id, caller=LOCAL)) == 4


async def test_delete_takes_the_results_along(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    with pytest.raises(WrongState):
        await kiosk.service.delete_job(job.id, caller=LOCAL)
    await kiosk.work()
    await kiosk.service.delete_job(job.id, caller=LOCAL)
    assert await kiosk.store.list(f"jobs/{job.id}/") == []
    with pytest.raises(NotFound):
        await kiosk.service.get_job(job.id, caller=LOCAL)


async def test_delete_that_fails_half_way_can_be_repeated(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer must not leave results that no job points at."""
    job = await submitted(kiosk)
    await kiosk.work()

    async def failing(prefix: str) -> None:
        raise TransientError("The object store failed.")

    with monkeypatch.context() as patch:
        patch.setattr(kiosk.store, "delete_prefix", failing)
        with pytest.raises(TransientError):
            await kiosk.service.delete_job(job.id, caller=LOCAL)
    await kiosk.service.delete_job(job.id, caller=LOCAL)
    assert await kiosk.store.list(f"jobs/{job.id}/") == []


# ---------------------------------------------------------------- upkeep


async def test_sweep_removes_expired_jobs_open_ones_too(kiosk: FakeKiosk, now: list[float]) -> None:
    done = await submitted(kiosk)
    await kiosk.work()
    stuck = await submitted(kiosk)
    now[0] += 50
    young = await submitted(kiosk)
    await kiosk.service.sweep()
    assert len((await kiosk.service.list_jobs(caller=LOCAL))[0]) == 3
    now[0] += 51
    await kiosk.service.sweep()
    assert [young.id] == [job.id for job in (await kiosk.service.list_jobs(caller=LOCAL))[0]]
    for job in (done, stuck):
        assert await kiosk.store.list(f"jobs/{job.id}/") == []
    assert await open_counts(kiosk) == (1, 1)


async def test_sweep_goes_on_past_a_failure(
    kiosk: FakeKiosk, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await submitted(kiosk), await submitted(kiosk)
    now[0] += 101
    delete_prefix = kiosk.store.delete_prefix

    async def failing(prefix: str) -> None:
        if first.id in prefix:
            raise TransientError("The object store failed.")
        await delete_prefix(prefix)

    with monkeypatch.context() as patch:
        patch.setattr(kiosk.store, "delete_prefix", failing)
        await kiosk.service.sweep()
    assert [first.id] == [job.id for job in (await kiosk.service.list_jobs(caller=LOCAL))[0]]
    await kiosk.service.sweep()
    assert await kiosk.service.list_jobs(caller=LOCAL) == ([], "")
    assert second.id != first.id


async def test_one_sweep_takes_all_however_many_are_told_at_a_time(
    kiosk: FakeKiosk, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        await submitted(kiosk)
    now[0] += 101
    told, pages = kiosk.queue.expired, []

    async def some() -> list[str]:
        pages.append((await told())[:2])
        return pages[-1]

    monkeypatch.setattr(kiosk.queue, "expired", some)
    await kiosk.service.sweep()
    assert (await kiosk.queue.list_jobs(10))[0] == []
    assert [len(page) for page in pages] == [2, 2, 1, 0]


async def test_sweep_takes_old_uploads(kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id = await kiosk.upload(tiff(16, 16))
    later = (await kiosk.service.uploads.get(upload_id, caller=LOCAL)).expire_time_s + 1
    monkeypatch.setattr(uploads_module.time, "time", lambda: later)
    await kiosk.service.sweep()
    with pytest.raises(NotFound):
        await kiosk.service.uploads.get(upload_id, caller=LOCAL)
    assert kiosk.store.objects == {}

"""The gRPC API and the client library against each other, over a real connection on loopback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from spots import spots, tiff

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.client import AsyncKiosk, Kiosk, Progress
from kiosk.errors import (
    InvalidRequest,
    JobFailed,
    NotFound,
    TransientError,
    WrongState,
)
from kiosk.grpc_api import GrpcServer
from kiosk.testing import FakeKiosk


async def test_an_array_becomes_labels_and_a_table(client: AsyncKiosk) -> None:
    steps: list[Progress] = []
    result = await client.segment(spots(5), model="bright", progress=steps.append)
    assert result.labels.shape == (100, 120)
    assert result.labels.max() == 5
    assert result.table["area_px"].tolist() == [150] * 5
    assert result.run["model"]["name"] == "bright"
    assert {step.stage for step in steps} >= {"uploading", "finished"}


async def test_a_file_keeps_its_name(client: AsyncKiosk, tmp_path: Path) -> None:
    path = tmp_path / "a, b (1).tif"
    path.write_bytes(tiff(spots(3)))
    result = await client.segment(path, model="bright")
    names = sorted(str(p.name) for p in result.save(tmp_path / "out"))
    assert names[0].startswith("a_ b (1)_")
    assert len(names) == 4


async def test_the_synchronous_client_does_the_same(server: GrpcServer) -> None:
    def use() -> tuple[int, list[str]]:
        with Kiosk(f"127.0.0.1:{server.port}") as kiosk:
            upload = kiosk.upload(spots(4))
            job = kiosk.submit(upload, model="bright")
            states = [pb.JobState.Name(step.state) for step in kiosk.watch(job.name)]
            return int(kiosk.fetch(job.name).labels.max()), states

    count, states = await asyncio.to_thread(use)
    assert count == 4
    assert states[-1] == "JOB_STATE_SUCCEEDED"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "EMPTY_FILE"),
        (b"this is not an image\n" * 10, "NOT_AN_IMAGE"),
        (tiff(spots())[:2000], "TRUNCATED_IMAGE"),
    ],
)
async def test_bad_files_get_one_sentence(
    client: AsyncKiosk, tmp_path: Path, data: bytes, reason: str
) -> None:
    path = tmp_path / "bad.tif"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest) as caught:
        await client.segment(path, model="bright")
    assert caught.value.reason == reason
    assert "Traceback" not in caught.value.message


async def test_unknown_names_get_typed_errors(client: AsyncKiosk) -> None:
    with pytest.raises(NotFound, match="no model 'nope'"):
        await client.segment(spots(), model="nope")
    with pytest.raises(NotFound, match="no version '9'"):
        await client.segment(spots(), model="bright", version="9")
    with pytest.raises(InvalidRequest, match="no channel 'red'"):
        await client.segment(spots(), model="bright", channel="red")
    with pytest.raises(InvalidRequest, match="no parameter 'sigma'"):
        await client.segment(spots(), model="bright", parameters={"sigma": 1})
    with pytest.raises(NotFound):
        await client.job("doesnotexist")
    with pytest.raises(InvalidRequest, match="cannot be read"):
        await client.segment("/no/such/file.tif")


async def test_errors_carry_google_rpc_details(stub: pb_grpc.KioskStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetModel(pb.GetModelRequest(name="models/nope"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(details)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("MODEL_NOT_FOUND", "kiosk")


async def test_a_tracking_goes_all_the_way(client: AsyncKiosk, stub: pb_grpc.KioskStub) -> None:
    upload = await client.upload(np.stack([spots(3)] * 4))
    request = pb.TrackRequest(upload=upload, model="bright", no_divisions=True, formats=["tracks"])
    job = await stub.Track(request)
    assert (job.pipeline, job.model, job.model_version) == ("tracking", "bright", "2")
    await client.wait(job.name)
    found = await client.fetch_tracking(job.name)
    assert sorted(found.files) == ["array_run.json", "array_tracks.csv"]
    assert found.tracks["track_id"].tolist() == [1, 2, 3] * 4
    assert found.run["linking"]["divisions"] is False
    listed = {item.file_name: item.media_type for item in await client.results(job.name)}
    assert listed["array_tracks.csv"] == "text/csv"


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.TrackRequest(), grpc.StatusCode.NOT_FOUND, "BAD_RESOURCE_NAME"),
        (pb.TrackRequest(labels="nothere"), grpc.StatusCode.NOT_FOUND, "BAD_RESOURCE_NAME"),
        (pb.TrackRequest(tracks="uploads/x"), grpc.StatusCode.INVALID_ARGUMENT, "NO_LABELS"),
        (pb.TrackRequest(linker="magic"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (pb.TrackRequest(reach_px=-1), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (
            pb.TrackRequest(longest_gap_frames=9),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        ),
    ],
)
async def test_trackings_that_cannot_be_meant(
    client: AsyncKiosk,
    stub: pb_grpc.KioskStub,
    request_: pb.TrackRequest,
    code: grpc.StatusCode,
    reason: str,
) -> None:
    if request_ != pb.TrackRequest():
        request_.upload = await client.upload(np.stack([spots(3)] * 2))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Track(request_)
    assert caught.value.code() is code
    details = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(info)
    assert info.reason == reason


async def test_an_upload_resumes_where_it_broke(stub: pb_grpc.KioskStub) -> None:
    data = tiff(spots())
    sha256 = hashlib.sha256(data).hexdigest()
    upload = await stub.CreateUpload(
        pb.CreateUploadRequest(file_name="x.tif", size_bytes=len(data), sha256=sha256)
    )

    async def messages(start: int, stop: int) -> AsyncIterator[pb.WriteUploadRequest]:
        yield pb.WriteUploadRequest(name=upload.name, offset_bytes=start, data=data[start:stop])

    half = await stub.WriteUpload(messages(0, 1000))
    assert (half.offset_bytes, half.complete) == (1000, False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.WriteUpload(messages(500, 2000))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    found = await stub.GetUpload(pb.GetUploadRequest(name=upload.name))
    whole = await stub.WriteUpload(messages(found.offset_bytes, len(data)))
    assert (whole.complete, whole.sha256) == (True, sha256)


async def test_the_same_request_id_gives_the_same_job(client: AsyncKiosk) -> None:
    upload = await client.upload(spots())
    first = await client.submit(upload, model="bright", request_id="r1")
    second = await client.submit(upload, model="bright", request_id="r1")
    assert first.name == second.name
    assert len(await client.jobs()) == 1


async def test_jobs_come_in_pages(client: AsyncKiosk, stub: pb_grpc.KioskStub) -> None:
    upload = await client.upload(spots())
    names = [(await client.submit(upload, model="bright")).name for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = await stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=token))
        seen += [job.name for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted(names)


async def test_watching_resumes_after_an_event(client: AsyncKiosk, stub: pb_grpc.KioskStub) -> None:
    upload = await client.upload(spots())
    job = await client.submit(upload, model="bright")
    events = [event async for event in stub.WatchJob(pb.WatchJobRequest(name=job.name))]
    assert events[-1].job.state == pb.JOB_STATE_SUCCEEDED
    again = stub.WatchJob(pb.WatchJobRequest(name=job.name, after_event_id=events[0].id))
    later = [event async for event in again]
    assert later[-1] == events[-1]
    assert events[0].id not in [event.id for event in later]


async def test_a_download_starts_at_an_offset(client: AsyncKiosk, stub: pb_grpc.KioskStub) -> None:
    result = await client.segment(spots(), model="bright")
    listed = await client.results(f"jobs/{result.job_id}")
    table = next(item for item in listed if item.file_name.endswith(".csv"))
    request = pb.DownloadResultRequest(name=table.name, offset_bytes=10)
    rest = b"".join([answer.data async for answer in stub.DownloadResult(request)])
    assert rest == result.files[table.file_name][10:]
    beyond = pb.DownloadResultRequest(name=table.name, offset_bytes=10**9)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(stub.DownloadResult(beyond)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_cancel_and_delete(client: AsyncKiosk, fake: FakeKiosk) -> None:
    fake.inference.is_down = False
    result = await client.segment(spots(), model="bright")
    cancelled = await client.cancel(result.job_id)
    assert cancelled.state == pb.JOB_STATE_SUCCEEDED  # it was final already
    await client.delete(result.job_id)
    with pytest.raises(NotFound):
        await client.job(result.job_id)
    assert not [key for key in fake.store.objects if key.startswith("jobs/")]


async def test_results_before_success_are_refused(client: AsyncKiosk, fake: FakeKiosk) -> None:
    fake.inference.failures = [TransientError("busy")] * 100
    upload = await client.upload(spots())
    job = await client.submit(upload, model="bright")
    with pytest.raises(WrongState, match="no results"):
        await client.results(job.name)


async def test_a_failed_job_says_why(client: AsyncKiosk, fake: FakeKiosk) -> None:
    fake.inference.failures = [ValueError("secret detail")] * 100
    fake.queue._delay_s = 0
    with pytest.raises(JobFailed) as caught:
        await client.segment(spots(), model="bright")
    assert caught.value.reason == "ATTEMPTS_EXHAUSTED"
    assert "secret detail" not in caught.value.message


async def test_health_and_reflection(server: GrpcServer) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service="kiosk.v1.Kiosk"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

        async def ask() -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
            yield reflection_pb2.ServerReflectionRequest(list_services="")

        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        async for reply in stub.ServerReflectionInfo(ask()):
            names = [service.name for service in reply.list_services_response.service]
            assert "kiosk.v1.Kiosk" in names
            break


async def test_no_kiosk_there_is_one_sentence() -> None:
    async with AsyncKiosk("127.0.0.1:1") as client:
        with pytest.raises(TransientError, match="Is it running"):
            await client.models()

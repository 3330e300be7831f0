"""Calls are counted by method and code, requests by route: never by what they are about."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import REGISTRY
from spots import spots, tiff

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.authentication import Authentication
from kiosk.grpc_api import GrpcServer
from kiosk.testing import FakeKiosk
from kiosk.web import make_app


def samples(name: str) -> dict[tuple[str, ...], float]:
    """Values of a metric by its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == name
    }


def grown(name: str, before: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    now = samples(name)
    return {key: now[key] - before.get(key, 0.0) for key in now if now[key] != before.get(key)}


async def test_calls_are_counted_with_the_code_that_they_end_with(
    fake: FakeKiosk, server: GrpcServer, stub: pb_grpc.KioskStub
) -> None:
    before = samples("kiosk_grpc_requests_total")
    upload = await fake.upload(tiff(spots(2)))
    request = pb.SegmentRequest(upload=f"uploads/{upload}", model="models/bright")
    job = await stub.Segment(request)
    async for _ in stub.WatchJob(pb.WatchJobRequest(name=job.name)):
        pass
    await stub.GetJob(pb.GetJobRequest(name=job.name))
    for call in (
        stub.GetJob(pb.GetJobRequest(name="jobs/nothing")),
        stub.Segment(pb.SegmentRequest(upload="uploads/nothing", model="models/bright")),
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    await server.stop(5)  # the last call is counted just after its caller has the answer
    assert grown("kiosk_grpc_requests_total", before) == {
        ("Segment", "OK"): 1,
        ("Segment", "NOT_FOUND"): 1,
        ("GetJob", "OK"): 1,
        ("GetJob", "NOT_FOUND"): 1,
        ("WatchJob", "OK"): 1,
    }
    assert ("WatchJob",) not in samples("kiosk_grpc_request_duration_seconds_count")


async def test_requests_are_counted_by_the_pattern_of_their_address(
    fake: FakeKiosk, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<html></html>")
    before = samples("kiosk_http_requests_total")
    app = make_app(fake.service, fake.tiles(), Authentication(), tmp_path)
    async with TestClient(TestServer(app)) as web:
        for path in ("/api/v1/jobs/a", "/api/v1/jobs/b", "/nowhere/at/all", "/s/a-token"):
            await web.get(path)
        await web.request("PROPFIND", "/api/v1/jobs")
    found = grown("kiosk_http_requests_total", before)
    assert found[("/api/v1/jobs/{id}", "GET", "404")] == 2
    assert found[("none", "GET", "404")] == 1
    assert found[("none", "other", "405")] == 1
    assert not [key for key in found if "a-token" in key[0]]
    assert sum(found.values()) == 5

"""A job is one trace: from the call that submits it, through the queue, to Triton."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp.test_utils import TestClient, TestServer
from fake_triton import FakeTriton, OverTheWire, fake_triton
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spots import spots, tiff

from kiosk import tracing
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.authentication import Authentication
from kiosk.grpc_api import GrpcServer
from kiosk.pipelines.context import SegmentationOptions
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk
from kiosk.web import make_app

CALLER = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), "test")
    return exporter


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    yield
    tracing.stop_tracing()


@pytest.fixture
async def triton() -> AsyncIterator[tuple[FakeTriton, OverTheWire]]:
    async with fake_triton() as both:
        yield both


@pytest.fixture(params=["memory", "redis"])
async def kiosk(
    request: pytest.FixtureRequest, redis_prefix: str, triton: tuple[FakeTriton, OverTheWire]
) -> AsyncIterator[FakeKiosk]:
    """Blocks of 64 px, so that an image of 100 x 120 px has a plan, parts and a join."""
    queue: Any = MemoryQueue()
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        queue = RedisQueue(url, QueuePolicy(retry_delay_s=0.01), redis_prefix)
    options = SegmentationOptions(block_px=64, block_halo_px=32)
    images = ImageFileReader(LimitSettings())
    yield make_kiosk(images, queue=queue, inference=triton[1], options=options)
    if request.param == "redis":
        await queue.close()


@pytest.fixture
async def stub(kiosk: FakeKiosk) -> AsyncIterator[pb_grpc.KioskStub]:
    server = GrpcServer(kiosk.service, Authentication(), "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield pb_grpc.KioskStub(channel)
    await server.stop(0)


async def submitted(kiosk: FakeKiosk, stub: pb_grpc.KioskStub, *heads: tuple[str, str]) -> str:
    """The id of a new job."""
    upload = await kiosk.upload(tiff(spots(4)))
    request = pb.SegmentRequest(upload=f"uploads/{upload}", model="models/bright")
    job = await stub.Segment(request, metadata=heads)
    return job.name.removeprefix("jobs/")


def by_name(spans: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [span for span in spans if span.name == name]


def parent_of(span: ReadableSpan, spans: tuple[ReadableSpan, ...]) -> str:
    """Name of the parent of a span; "" where it is none of these."""
    ids = {other.context.span_id: other.name for other in spans}
    return ids.get(span.parent.span_id, "") if span.parent else ""


async def test_a_job_is_one_trace_from_the_call_to_triton(
    exporter: InMemorySpanExporter,
    kiosk: FakeKiosk,
    stub: pb_grpc.KioskStub,
    triton: tuple[FakeTriton, OverTheWire],
) -> None:
    job = await submitted(kiosk, stub, ("traceparent", CALLER))
    await kiosk.work()
    spans = exporter.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {CALLER.split("-")[1]}
    (call,) = by_name(spans, "kiosk.v1.Kiosk/Segment")
    assert f"{call.parent.span_id:016x}" == CALLER.split("-")[2]
    parts = by_name(spans, "process part")
    assert len(parts) > 1
    for span in (*by_name(spans, "process plan"), *parts, *by_name(spans, "process join")):
        assert parent_of(span, spans) == call.name
        assert span.attributes["messaging.system"] == "redis"
        assert span.attributes["messaging.operation.type"] == "process"
        assert span.attributes["kiosk.job.id"] == job
        assert span.attributes["kiosk.model"] == "bright:2"
        assert span.attributes["kiosk.part.attempt"] == 1
        assert span.attributes["kiosk.outcome"] == "done"
    assert {span.attributes["kiosk.part.index"] for span in parts} == set(range(len(parts)))
    for name in ("read", "inference", "instances", "write"):
        assert {parent_of(span, spans) for span in by_name(spans, name)} == {"process part"}
    tiles = by_name(spans, "infer")
    assert {parent_of(span, spans) for span in tiles} <= {"inference", "plan"}
    told = {head["traceparent"].split("-")[2] for head in triton[0].heads}
    assert told == {f"{span.context.span_id:016x}" for span in tiles}
    assert len(triton[0].heads) == len(tiles)


async def test_a_part_that_fails_says_so_in_its_span(
    exporter: InMemorySpanExporter,
    kiosk: FakeKiosk,
    stub: pb_grpc.KioskStub,
    triton: tuple[FakeTriton, OverTheWire],
) -> None:
    triton[0].network.failures = [ValueError("no such tile")]
    await submitted(kiosk, stub)
    await kiosk.work()
    spans = exporter.get_finished_spans()
    (failed,) = [span for span in by_name(spans, "infer") if not span.status.is_ok]
    assert "does not answer as it should" in failed.status.description
    retried = [s for s in spans if s.attributes.get("kiosk.outcome") == "retried"]
    assert [span.status.is_ok for span in retried] == [False]


async def test_a_request_to_the_web_port_begins_a_trace_and_looking_does_not(
    exporter: InMemorySpanExporter, kiosk: FakeKiosk, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("<html></html>")
    upload = await kiosk.upload(tiff(spots(4)))
    app = make_app(kiosk.service, kiosk.tiles(), Authentication(), tmp_path)
    async with TestClient(TestServer(app)) as web:
        answer = await web.post("/api/v1/jobs", json={"upload": upload, "model": "bright"})
        job = await answer.json()
        assert (await web.get(f"/api/v1/jobs/{job['id']}")).status == 200
        assert len(exporter.get_finished_spans()) == 1
        await web.get("/api/v1/jobs", headers={"traceparent": CALLER})
    await kiosk.work()
    spans = exporter.get_finished_spans()
    (call,) = by_name(spans, "POST /api/v1/jobs")
    assert call.attributes["http.response.status_code"] == 202
    assert call.parent is None
    (looked,) = by_name(spans, "GET /api/v1/jobs")
    assert f"{looked.context.trace_id:032x}" in CALLER
    (plan,) = by_name(spans, "process plan")
    assert plan.context.trace_id == call.context.trace_id


async def test_what_was_not_chosen_leaves_no_span(kiosk: FakeKiosk, stub: pb_grpc.KioskStub):
    exporter = InMemorySpanExporter()
    tracing.trace_to(SimpleSpanProcessor(exporter), "test", sample_ratio=0.0)
    job = await submitted(kiosk, stub)
    await kiosk.work()
    assert exporter.get_finished_spans() == ()
    flags = (await kiosk.queue.get(job)).trace.split("-")[3]
    assert int(flags, 16) % 2 == 0  # not sampled, so consumers do not choose anew


async def test_without_an_endpoint_nothing_is_traced(kiosk: FakeKiosk, stub: pb_grpc.KioskStub):
    tracing.configure_tracing("server", "")
    job = await submitted(kiosk, stub, ("traceparent", CALLER))
    await kiosk.work()
    assert (await kiosk.queue.get(job)).trace == ""


class Collector(otlp_grpc.TraceServiceServicer):
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.came: list[otlp.ExportTraceServiceRequest] = []

    def Export(self, request, context):  # noqa: N802 - its name in the protocol
        self.came.append(request)
        return otlp.ExportTraceServiceResponse()


async def test_spans_arrive_at_a_collector(
    kiosk: FakeKiosk, stub: pb_grpc.KioskStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=lab")
    collector, server = Collector(), grpc.aio.server()
    otlp_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    tracing.configure_tracing("server", f"http://127.0.0.1:{port}")
    await submitted(kiosk, stub)
    await kiosk.work()
    await asyncio.to_thread(tracing.stop_tracing)
    await server.stop(0)
    resources = [spans for request in collector.came for spans in request.resource_spans]
    about = {item.key: item.value.string_value for item in resources[0].resource.attributes}
    assert about["service.name"] == "kiosk-server"
    assert about["deployment.environment"] == "lab"
    names = [s.name for r in resources for scope in r.scope_spans for s in scope.spans]
    assert {"kiosk.v1.Kiosk/Segment", "process plan", "infer"} <= set(names)


async def test_a_collector_that_does_not_answer_costs_a_line(
    kiosk: FakeKiosk, stub: pb_grpc.KioskStub, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, caplog.at_level(logging.WARNING):
        tracing.configure_tracing("server", f"http://127.0.0.1:{silent.getsockname()[1]}")
        job = await submitted(kiosk, stub)
        await kiosk.work()
        assert (await kiosk.queue.get(job)).state == "succeeded"
        await asyncio.to_thread(tracing.stop_tracing)
    assert tracing.traceparent() == ""

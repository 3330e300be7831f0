"""What belongs to others does not exist: every call of both APIs, with the ids of somebody else."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
import tifffile
from aiohttp.test_utils import TestClient, TestServer

from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import Caller, Scope
from kiosk.errors import Unauthenticated
from kiosk.grpc_api import GrpcServer
from kiosk.previews import Previews
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_caller, make_kiosk
from kiosk.web import make_app

ALICE, MALLORY = make_caller("alice"), make_caller("mallory")
CALLERS = {
    "alice": ALICE,
    "mallory": MALLORY,
    "reader": make_caller("alice", Scope.READ),
    "admin": make_caller("root", Scope.ADMIN),
    "monitor": make_caller("monitor", Scope.METRICS),
}


class ByName(Authentication):
    """Takes a name for credentials."""

    async def caller(self, credentials: str, address: str) -> Caller:
        if credentials not in CALLERS:
            raise Unauthenticated("Who are you?")
        return CALLERS[credentials].at(address)


@dataclass
class Alices:
    """What alice has: an upload, a finished job of it, one that waits, one that was
    cancelled, and an upload that began."""

    fake: FakeKiosk
    upload: str
    done: str
    open: str
    begun: str
    stopped: str


@pytest.fixture
async def alices() -> Alices:
    fake = make_kiosk(ImageFileReader(LimitSettings()))
    file = io.BytesIO()
    plane = np.zeros((2, 32, 32), np.uint8)
    plane[:, 4:12, 4:12] = 200
    tifffile.imwrite(file, plane, ome=True, metadata={"axes": "TYX"})
    upload = await fake.upload(file.getvalue(), "cells.tif", caller=ALICE)
    done = await fake.service.segment(upload_id=upload, model="bright", caller=ALICE)
    await fake.work()
    waiting = await fake.service.segment(upload_id=upload, model="bright", caller=ALICE)
    begun = await fake.service.uploads.create("more.tif", 10, "", caller=ALICE)
    stopped = await fake.service.segment(upload_id=upload, model="bright", caller=ALICE)
    await fake.service.cancel_job(stopped.id, caller=ALICE)
    return Alices(fake, upload, done.id, waiting.id, begun.id, stopped.id)


# ---------------------------------------------------------------- gRPC


@pytest.fixture
async def stub(alices: Alices) -> AsyncIterator[pb_grpc.KioskStub]:
    server = GrpcServer(alices.fake.service, ByName(), "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield pb_grpc.KioskStub(channel)
    await server.stop(0)


def result_name(has: Alices) -> str:
    return f"jobs/{has.done}/results/cells_instances.csv"


# RPC -> its request for what is alice's. OPEN are those that name nothing of anybody's.
NAMING: dict[str, Callable[[Alices], Any]] = {
    "GetUpload": lambda has: pb.GetUploadRequest(name=f"uploads/{has.begun}"),
    "WriteUpload": lambda has: iter(
        [pb.WriteUploadRequest(name=f"uploads/{has.begun}", data=b"1234567890")]
    ),
    "InspectUpload": lambda has: pb.InspectUploadRequest(name=f"uploads/{has.upload}"),
    "DeleteUpload": lambda has: pb.DeleteUploadRequest(name=f"uploads/{has.begun}"),
    "Segment": lambda has: pb.SegmentRequest(upload=f"uploads/{has.upload}", model="bright"),
    "Track": lambda has: pb.TrackRequest(upload=f"uploads/{has.upload}", model="bright"),
    "GetJob": lambda has: pb.GetJobRequest(name=f"jobs/{has.done}"),
    "WatchJob": lambda has: pb.WatchJobRequest(name=f"jobs/{has.done}"),
    "CancelJob": lambda has: pb.CancelJobRequest(name=f"jobs/{has.open}"),
    "RedriveJob": lambda has: pb.RedriveJobRequest(name=f"jobs/{has.stopped}"),
    "DeleteJob": lambda has: pb.DeleteJobRequest(name=f"jobs/{has.done}"),
    "ListResults": lambda has: pb.ListResultsRequest(job=f"jobs/{has.done}"),
    "DownloadResult": lambda has: pb.DownloadResultRequest(name=result_name(has)),
}
OPEN: dict[str, Callable[[Alices], Any]] = {
    "ListModels": lambda has: pb.ListModelsRequest(),
    "GetModel": lambda has: pb.GetModelRequest(name="models/bright"),
    "CreateUpload": lambda has: pb.CreateUploadRequest(file_name="a.tif", size_bytes=3),
    "ListJobs": lambda has: pb.ListJobsRequest(),
    "ListDeadLetters": lambda has: pb.ListDeadLettersRequest(),
}
OF_JOBS = {"Segment", "Track", "CancelJob", "RedriveJob", "DeleteJob"}
WRITING = {"WriteUpload", "DeleteUpload", *OF_JOBS}


async def status(stub: pb_grpc.KioskStub, method: str, request: Any, who: str = "") -> Any:
    """The status of a call and its sentence."""
    metadata = (("authorization", who),) if who else ()
    call = getattr(stub, method)(request, metadata=metadata)
    try:
        if method in ("WatchJob", "DownloadResult"):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def test_the_tables_have_every_method() -> None:
    service = pb.DESCRIPTOR.services_by_name["Kiosk"]
    assert {method.name for method in service.methods} == set(NAMING) | set(OPEN)


@pytest.mark.parametrize("method", NAMING)
async def test_methods_know_nothing_of_what_is_not_the_callers(
    stub: pb_grpc.KioskStub, alices: Alices, method: str
) -> None:
    code, sentence = await status(stub, method, NAMING[method](alices), "mallory")
    nowhere = Alices(alices.fake, *("0" * 26 for _ in range(5)))
    same, words = await status(stub, method, NAMING[method](nowhere), "mallory")
    assert code is same is grpc.StatusCode.NOT_FOUND
    for name in (alices.upload, alices.done, alices.open, alices.begun, alices.stopped):
        sentence = sentence.replace(name, "0" * 26)
    assert sentence == words
    assert (await status(stub, method, NAMING[method](alices), "alice"))[0] is grpc.StatusCode.OK


@pytest.mark.parametrize("method", [*NAMING, *OPEN])
async def test_methods_ask_who_calls(stub: pb_grpc.KioskStub, alices: Alices, method: str) -> None:
    request = {**NAMING, **OPEN}[method]
    assert (await status(stub, method, request(alices)))[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", [*NAMING, *OPEN])
async def test_methods_ask_for_scopes(stub: pb_grpc.KioskStub, alices: Alices, method: str) -> None:
    request = {**NAMING, **OPEN}[method]
    code, _ = await status(stub, method, request(alices), "reader")
    writes = method in WRITING or method == "CreateUpload"
    assert code is (grpc.StatusCode.PERMISSION_DENIED if writes else grpc.StatusCode.OK)
    code, _ = await status(stub, method, request(alices), "monitor")
    assert code is grpc.StatusCode.PERMISSION_DENIED
    code, _ = await status(stub, method, request(alices), "admin")
    assert code is grpc.StatusCode.OK


async def test_files_that_a_request_names_must_be_the_callers_too(
    stub: pb_grpc.KioskStub, alices: Alices
) -> None:
    plane = io.BytesIO()
    tifffile.imwrite(plane, np.zeros((32, 32), np.uint8))
    mine = f"uploads/{await alices.fake.upload(plane.getvalue(), caller=MALLORY)}"
    theirs = f"uploads/{alices.upload}"
    for method, request in (
        ("Segment", pb.SegmentRequest(upload=mine, model="bright", within=theirs)),
        ("Track", pb.TrackRequest(upload=mine, labels=theirs)),
        ("Track", pb.TrackRequest(upload=mine, labels=mine, tracks=theirs)),
    ):
        assert (await status(stub, method, request, "mallory"))[0] is grpc.StatusCode.NOT_FOUND


async def test_lists_hold_what_is_the_callers(stub: pb_grpc.KioskStub, alices: Alices) -> None:
    async def listed(who: str, **options: bool) -> set[str]:
        request = pb.ListJobsRequest(**options)
        answer = await stub.ListJobs(request, metadata=(("authorization", who),))
        return {job.name.removeprefix("jobs/") for job in answer.jobs}

    assert await listed("alice") == {alices.done, alices.open, alices.stopped}
    assert await listed("mallory") == set()
    assert await listed("admin") == set()
    assert await listed("admin", all_owners=True) == {alices.done, alices.open, alices.stopped}
    everybodys = pb.ListJobsRequest(all_owners=True)
    code, _ = await status(stub, "ListJobs", everybodys, "alice")
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_same_request_id_of_two_owners_is_two_jobs(
    stub: pb_grpc.KioskStub, alices: Alices
) -> None:
    image = await alices.fake.store.get(f"uploads/{alices.upload}/data")
    mine = await alices.fake.upload(image, "cells.tif", caller=MALLORY)
    names = set()
    for who, upload in (("alice", alices.upload), ("mallory", mine)):
        request = pb.SegmentRequest(upload=f"uploads/{upload}", model="bright", request_id="r")
        job = await stub.Segment(request, metadata=(("authorization", who),))
        names.add((job.name, job.owner))
    assert len(names) == 2
    assert {owner for _, owner in names} == {"alice", "mallory"}


# ---------------------------------------------------------------- HTTP


@pytest.fixture
async def web(alices: Alices) -> AsyncIterator[TestClient]:
    fake = alices.fake
    previews = Previews(queue=fake.queue, store=fake.store, images=fake.images)
    app = make_app(fake.service, previews, ByName(), CHECKOUT / "frontend")
    async with TestClient(TestServer(app)) as client:
        yield client


TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
NEW = {**TUS, "Upload-Length": "3", "Upload-Metadata": "filename YS50aWY="}
# (method, route) -> path and what goes with it. `{done}` and so on are ids of alice's.
Route = tuple[str, str]
NAMING_ROUTES: dict[Route, tuple[str, dict[str, Any]]] = {
    ("HEAD", "/uploads/{id}"): ("/uploads/{begun}", {"headers": TUS}),
    ("PATCH", "/uploads/{id}"): ("/uploads/{begun}", {"headers": PIECE, "data": b"1234567890"}),
    ("DELETE", "/uploads/{id}"): ("/uploads/{begun}", {"headers": TUS}),
    ("POST", "/uploads/{id}"): (
        "/uploads/{begun}",
        {"headers": {**TUS, "X-HTTP-Method-Override": "DELETE"}},
    ),
    ("GET", "/uploads/{id}/images"): ("/uploads/{upload}/images", {}),
    ("POST", "/jobs"): ("/jobs", {"json": {"upload": "{upload}", "model": "bright"}}),
    ("GET", "/jobs/{id}"): ("/jobs/{done}", {}),
    ("DELETE", "/jobs/{id}"): ("/jobs/{done}", {}),
    ("POST", "/jobs/{id}/cancel"): ("/jobs/{open}/cancel", {}),
    ("POST", "/jobs/{id}/redrive"): ("/jobs/{stopped}/redrive", {}),
    ("GET", "/jobs/{id}/events"): ("/jobs/{done}/events", {}),
    ("GET", "/jobs/{id}/results"): ("/jobs/{done}/results", {}),
    ("GET", "/jobs/{id}/results.zip"): ("/jobs/{done}/results.zip", {}),
    ("GET", "/jobs/{id}/results/{file}"): ("/jobs/{done}/results/cells_instances.csv", {}),
    ("GET", "/jobs/{id}/planes"): ("/jobs/{done}/planes", {}),
    ("GET", "/jobs/{id}/planes/{index}/picture.png"): ("/jobs/{done}/planes/0/picture.png", {}),
    ("GET", "/jobs/{id}/planes/{index}/labels"): ("/jobs/{done}/planes/0/labels", {}),
}
OPEN_ROUTES: dict[Route, tuple[str, dict[str, Any]]] = {
    ("POST", "/uploads"): ("/uploads", {"headers": NEW}),
    ("GET", "/models"): ("/models", {}),
    ("GET", "/jobs"): ("/jobs", {}),
    ("GET", "/dead-letters"): ("/dead-letters", {}),
    # Jobs of others are left out of the stream, like those that are not there.
    ("GET", "/events"): ("/events?job={done}", {}),
}
# What tells nothing of anybody: the page's files, result formats, whether the kiosk is well.
PUBLIC_ROUTES: set[Route] = {
    ("OPTIONS", "/uploads"),
    ("OPTIONS", "/uploads/{id}"),
    ("GET", "/formats"),
    ("GET", "/health"),
    ("GET", "//"),
    ("GET", "//jobs/{id}"),
    ("GET", "//static/{name}"),
}
METRICS_ROUTE: Route = ("GET", "//metrics")


async def answered(
    web: TestClient, route: Route, path: str, options: dict[str, Any], has: Alices, who: str
) -> tuple[int, dict[str, Any]]:
    """Status and problem of a request."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        return value.format(**vars(has)) if isinstance(value, str) else value

    headers = {**options.get("headers", {}), **({"Authorization": who} if who else {})}
    body = {key: filled(value) for key, value in options.items() if key != "headers"}
    answer = await web.request(route[0], f"/api/v1{filled(path)}", headers=headers, **body)
    is_problem = answer.content_type == "application/problem+json" and route[0] != "HEAD"
    return answer.status, await answer.json() if is_problem else {}


def test_the_tables_have_every_route(web: TestClient) -> None:
    assert web.app is not None
    known = set()
    for route in web.app.router.routes():
        path = route.resource.canonical if route.resource else ""
        known.add((route.method, path.removeprefix("/api/v1") if "/api/" in path else f"/{path}"))
    listed = {*NAMING_ROUTES, *OPEN_ROUTES, *PUBLIC_ROUTES, METRICS_ROUTE}
    assert {route for route in known - listed if route[0] != "HEAD"} == set()  # HEAD is as GET
    assert listed - known == set()


@pytest.mark.parametrize("route", NAMING_ROUTES, ids=" ".join)
async def test_routes_know_nothing_of_what_is_not_the_callers(
    web: TestClient, alices: Alices, route: Route
) -> None:
    path, options = NAMING_ROUTES[route]
    found, problem = await answered(web, route, path, options, alices, "mallory")
    nowhere = Alices(alices.fake, *("0" * 26 for _ in range(5)))
    missing, words = await answered(web, route, path, options, nowhere, "mallory")
    assert found == missing == 404
    sentence = problem.get("detail", "")
    for name in (alices.upload, alices.done, alices.open, alices.begun, alices.stopped):
        sentence = sentence.replace(name, "0" * 26)
    assert sentence == words.get("detail", "")
    assert (await answered(web, route, path, options, alices, "alice"))[0] < 300


@pytest.mark.parametrize("route", [*NAMING_ROUTES, *OPEN_ROUTES], ids=" ".join)
async def test_routes_ask_who_calls_and_for_scopes(
    web: TestClient, alices: Alices, route: Route
) -> None:
    path, options = {**NAMING_ROUTES, **OPEN_ROUTES}[route]
    assert (await answered(web, route, path, options, alices, ""))[0] == 401
    assert (await answered(web, route, path, options, alices, "nobody"))[0] == 401
    reads = route[0] in ("GET", "HEAD")
    code, _ = await answered(web, route, path, options, alices, "reader")
    assert code == 200 if reads else code == 403
    code, _ = await answered(web, route, path, options, alices, "monitor")
    assert code == 403
    code, _ = await answered(web, route, path, options, alices, "admin")
    assert code < 300


async def test_events_of_several_jobs_leave_out_those_of_others(
    web: TestClient, alices: Alices
) -> None:
    async def events(who: str) -> str:
        path = f"/api/v1/events?job={alices.done}"
        return await (await web.get(path, headers={"Authorization": who})).text()

    assert alices.done in await events("alice")
    assert alices.done not in await events("mallory")


async def test_lists_of_jobs_are_the_callers(web: TestClient, alices: Alices) -> None:
    async def listed(who: str, query: str = "") -> set[str]:
        answer = await web.get(f"/api/v1/jobs{query}", headers={"Authorization": who})
        return {job["id"] for job in (await answer.json())["jobs"]}

    assert await listed("alice") == {alices.done, alices.open, alices.stopped}
    assert await listed("mallory") == set()
    assert await listed("admin", "?all_owners=true") == {alices.done, alices.open, alices.stopped}


async def test_figures_and_health(web: TestClient) -> None:
    for who, code in (("", 401), ("monitor", 200), ("admin", 200)):
        headers = {"Authorization": who} if who else {}
        assert (await web.get("/metrics", headers=headers)).status == code
        health = await (await web.get("/api/v1/health", headers=headers)).json()
        assert ("backlog" in health) == (who != "")
    for path in ("/", "/api/v1/formats", "/static/main.js"):
        assert (await web.get(path)).status == 200
    assert (await web.get("/nowhere")).status == 404

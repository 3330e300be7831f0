"""What belongs to others does not exist: every call of both APIs, with the ids of somebody else."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
import tifffile
from aiohttp.test_utils import TestClient, TestServer
from alices import (
    MALLORY,
    METRICS_ROUTE,
    NAMING,
    NAMING_ROUTES,
    OPEN,
    OPEN_ROUTES,
    PUBLIC_ROUTES,
    WRITING,
    Alices,
    Route,
    answered,
    grpc_of,
    make_alices,
    status,
    web_of,
)

from kiosk import authentication
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.settings import CHECKOUT
from kiosk.web import make_app
from kiosk.web.answers import ASKING


@pytest.fixture
async def alices() -> Alices:
    return await make_alices()


# ---------------------------------------------------------------- gRPC


@pytest.fixture
async def stub(alices: Alices) -> AsyncIterator[pb_grpc.KioskStub]:
    async with grpc_of(alices) as stub:
        yield stub


def test_the_tables_have_every_method() -> None:
    service = pb.DESCRIPTOR.services_by_name["Kiosk"]
    assert {method.name for method in service.methods} == set(NAMING) | set(OPEN)


@pytest.mark.parametrize("method", NAMING)
async def test_methods_know_nothing_of_what_is_not_the_callers(
    stub: pb_grpc.KioskStub, alices: Alices, method: str
) -> None:
    code, sentence = await status(stub, method, NAMING[method](alices), alices.bearer("mallory"))
    nowhere = alices.nowhere()
    same, words = await status(stub, method, NAMING[method](nowhere), alices.bearer("mallory"))
    assert code is same is grpc.StatusCode.NOT_FOUND
    for name in (alices.upload, alices.done, alices.open, alices.begun, alices.stopped):
        sentence = sentence.replace(name, "0" * 26)
    assert sentence == words
    assert (await status(stub, method, NAMING[method](alices), alices.bearer("alice")))[
        0
    ] is grpc.StatusCode.OK


@pytest.mark.parametrize("method", [*NAMING, *OPEN])
async def test_methods_ask_who_calls(stub: pb_grpc.KioskStub, alices: Alices, method: str) -> None:
    request = {**NAMING, **OPEN}[method]
    assert (await status(stub, method, request(alices)))[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("method", [*NAMING, *OPEN])
async def test_methods_ask_for_scopes(stub: pb_grpc.KioskStub, alices: Alices, method: str) -> None:
    request = {**NAMING, **OPEN}[method]
    code, _ = await status(stub, method, request(alices), alices.bearer("reader"))
    writes = method in WRITING or method == "CreateUpload"
    assert code is (grpc.StatusCode.PERMISSION_DENIED if writes else grpc.StatusCode.OK)
    code, _ = await status(stub, method, request(alices), alices.bearer("monitor"))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    code, _ = await status(stub, method, request(alices), alices.bearer("admin"))
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
        assert (await status(stub, method, request, alices.bearer("mallory")))[
            0
        ] is grpc.StatusCode.NOT_FOUND


async def test_lists_hold_what_is_the_callers(stub: pb_grpc.KioskStub, alices: Alices) -> None:
    async def listed(who: str, **options: bool) -> set[str]:
        request = pb.ListJobsRequest(**options)
        answer = await stub.ListJobs(request, metadata=(("authorization", alices.bearer(who)),))
        return {job.name.removeprefix("jobs/") for job in answer.jobs}

    assert await listed("alice") == {alices.done, alices.open, alices.stopped}
    assert await listed("mallory") == set()
    assert await listed("admin") == set()
    assert await listed("admin", all_owners=True) == {alices.done, alices.open, alices.stopped}
    everybodys = pb.ListJobsRequest(all_owners=True)
    code, _ = await status(stub, "ListJobs", everybodys, alices.bearer("alice"))
    assert code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_same_request_id_of_two_owners_is_two_jobs(
    stub: pb_grpc.KioskStub, alices: Alices
) -> None:
    image = await alices.fake.store.get(f"uploads/{alices.upload}/data")
    mine = await alices.fake.upload(image, "cells.tif", caller=MALLORY)
    names = set()
    for who, upload in (("alice", alices.upload), ("mallory", mine)):
        request = pb.SegmentRequest(upload=f"uploads/{upload}", model="bright", request_id="r")
        job = await stub.Segment(request, metadata=(("authorization", alices.bearer(who)),))
        names.add((job.name, job.owner))
    assert len(names) == 2
    assert {owner for _, owner in names} == {"alice", "mallory"}


async def test_a_watch_ends_when_its_key_is_revoked(
    stub: pb_grpc.KioskStub, alices: Alices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "RECHECK_S", 0.01)
    metadata = (("authorization", alices.bearer("alice")),)
    call = stub.WatchJob(pb.WatchJobRequest(name=f"jobs/{alices.open}"), metadata=metadata)
    assert (await call.read()).job.owner == "alice"
    (key,) = [key for key in await alices.keys.list() if key.scopes == {Scope.READ, Scope.WRITE}
              and key.owner == "alice"]  # fmt: skip
    await alices.keys.revoke(key.id, 2.0)
    with pytest.raises(grpc.aio.AioRpcError, match="revoked") as caught:
        async with asyncio.timeout(10):
            await call.read()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


# ---------------------------------------------------------------- HTTP


@pytest.fixture
async def web(alices: Alices) -> AsyncIterator[TestClient]:
    async with web_of(alices) as client:
        yield client


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
    nowhere = alices.nowhere()
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
    reads = route[0] in ("GET", "HEAD") or route[1] in ASKING
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
        return await (await web.get(path, headers={"Authorization": alices.bearer(who)})).text()

    assert alices.done in await events("alice")
    assert alices.done not in await events("mallory")


async def test_lists_of_jobs_are_the_callers(web: TestClient, alices: Alices) -> None:
    async def listed(who: str, query: str = "") -> set[str]:
        answer = await web.get(
            f"/api/v1/jobs{query}", headers={"Authorization": alices.bearer(who)}
        )
        return {job["id"] for job in (await answer.json())["jobs"]}

    assert await listed("alice") == {alices.done, alices.open, alices.stopped}
    assert await listed("mallory") == set()
    assert await listed("admin", "?all_owners=true") == {alices.done, alices.open, alices.stopped}


async def test_what_is_refused_names_the_scheme(web: TestClient) -> None:
    answer = await web.get("/api/v1/jobs")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def signed_in(web: TestClient, alices: Alices, who: str = "alice") -> Any:
    answer = await web.post("/api/v1/session", json={"key": alices.tokens[who]})
    assert answer.status == 200, await answer.text()
    return answer


async def test_signing_in_and_out(web: TestClient, alices: Alices) -> None:
    assert (await web.get("/api/v1/session")).status == 401
    answer = await signed_in(web, alices)
    assert await answer.json() == {"owner": "alice", "scopes": ["read", "write"]}
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert alices.tokens["alice"].rpartition("_")[2] not in cookie
    listed = await (await web.get("/api/v1/jobs")).json()
    assert {job["id"] for job in listed["jobs"]} == {alices.done, alices.open, alices.stopped}
    assert (await web.get(f"/api/v1/jobs/{alices.done}/results.zip")).status == 200
    assert (await web.delete("/api/v1/session", headers=SAME)).status == 204
    assert (await web.get("/api/v1/jobs")).status == 401


SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    "body", ["", "{}", '{"key": 1}', '{"key": "x", "more": 1}', '{"key": "nonsense"}', "[]"]
)
async def test_sessions_begin_with_keys_only(web: TestClient, body: str) -> None:
    answer = await web.post(
        "/api/v1/session", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status in (400, 401)
    assert "Set-Cookie" not in answer.headers
    form = await web.post("/api/v1/session", data={"key": "x"})
    assert form.status == 415


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "OURS"}, False),
        ({"Origin": "OURS"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "http://evil.example@OURS"}, False),
        ({}, False),
    ],
)
async def test_pages_of_other_sites_change_nothing(
    web: TestClient, alices: Alices, headers: dict[str, str], is_ours: bool
) -> None:
    ours = f"http://{web.host}:{web.port}"
    sent = {name: value.replace("OURS", ours) for name, value in headers.items()}
    await signed_in(web, alices)
    answer = await web.post(f"/api/v1/jobs/{alices.open}/cancel", headers=sent)
    assert answer.status == (200 if is_ours else 403)
    if not is_ours:
        assert (await answer.json())["reason"] == "CROSS_SITE"
    # With a key of its own a program needs no such headers; a browser's are heeded all the same.
    bearer = {**sent, "Authorization": alices.bearer("alice")}
    answer = await web.post(f"/api/v1/jobs/{alices.open}/cancel", headers=bearer)
    assert answer.status == (200 if is_ours or not headers else 403)


async def test_tampered_cookies(web: TestClient, alices: Alices) -> None:
    await signed_in(web, alices)
    (cookie,) = [c for c in web.session.cookie_jar if c.key == "kiosk_session"]
    head, body, signature = cookie.value.removeprefix("session.").split(".")
    for value in (
        f"session.{head}.{body}.{signature[::-1]}",
        f"session.{head}.{body[:-1]}.{signature}",
        f"share.{head}.{body}.{signature}",
        alices.tokens["alice"][:-1],
        "session.",
        "x" * 3000,
    ):
        web.session.cookie_jar.clear()
        answer = await web.get("/api/v1/jobs", headers={"Cookie": f"kiosk_session={value}"})
        assert answer.status == 401


async def test_figures_and_health(web: TestClient, alices: Alices) -> None:
    for who, code in (("", 401), ("monitor", 200), ("admin", 200)):
        headers = {"Authorization": alices.bearer(who)} if who else {}
        assert (await web.get("/metrics", headers=headers)).status == code
        health = await (await web.get("/api/v1/health", headers=headers)).json()
        assert ("backlog" in health) == (who != "")
    for path in ("/", "/api/v1/formats", "/static/index.html"):
        assert (await web.get(path)).status == 200
    assert (await web.get("/nowhere")).status == 404


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("127.0.0.1:8080", True),
        ("localhost", True),
        ("[::1]:8080", True),
        ("kiosk.lab.example", True),  # the public one
        ("evil.example:8080", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("kiosk.lab.example.evil.example", False),
        ("[", False),
    ],
)
async def test_names_of_other_sites_do_not_lead_here(
    alices: Alices, host: str, is_ours: bool
) -> None:
    fake = alices.fake
    tiles = fake.tiles()
    app = make_app(
        fake.service,
        tiles,
        Authentication(),
        CHECKOUT / "frontend",
        "https://kiosk.lab.example",
        is_local=True,
    )
    async with TestClient(TestServer(app)) as web:
        for path in ("/api/v1/jobs", "/api/v1/health", "/"):
            answer = await web.get(path, headers={"Host": host})
            assert answer.status == (200 if is_ours else 403)


async def test_keys_are_in_no_log(
    stub: pb_grpc.KioskStub, web: TestClient, alices: Alices, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="aiohttp.access")  # as `configure_logging` has it
    caplog.set_level(logging.DEBUG)
    good = alices.bearer("alice")
    for bearer in (good, good[:-1], alices.bearer("mallory"), f"Bearer {alices.link}"):
        for method, request in (("GetJob", NAMING["GetJob"]), ("Segment", NAMING["Segment"])):
            await status(stub, method, request(alices), bearer)
        for path in (f"/api/v1/jobs/{alices.done}", "/api/v1/jobs", "/metrics"):
            await web.get(path, headers={"Authorization": bearer})
        await web.post("/api/v1/session", json={"key": bearer.removeprefix("Bearer ")})
    await web.get(f"/s/{alices.link}x")
    assert caplog.records
    for token in (alices.tokens["alice"], alices.tokens["mallory"], alices.link):
        assert token[-20:-1] not in caplog.text

"""Share links: one job, to look at, until they end or are withdrawn; and nothing else at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import grpc
import jwt
import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient
from alices import (
    ALICE,
    LABEL_TILE,
    MALLORY,
    NAMING,
    NAMING_ROUTES,
    OPEN,
    OPEN_ROUTES,
    PUBLIC_ROUTES,
    TILE,
    UNTIL,
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
from kiosk.errors import InvalidRequest, KioskError, NotFound, PermissionDenied, Unauthenticated
from kiosk.jobs import Job
from kiosk.testing import make_caller

DAY_S = 24 * 3600.0
# What a link may do with its own job; everything else it may not.
SHOWN = {"GetJob", "WatchJob", "ListResults", "DownloadResult"}
SHOWN_ROUTES = {
    ("GET", f"/jobs/{{id}}{rest}")
    for rest in (
        *("", "/events", "/results", "/results.zip", "/results/{file}"),
        *("/instances", "/statistics", "/lineage", "/tracks", "/comparison"),
        *("/image", TILE, LABEL_TILE),
    )
} | {
    ("GET", "/api/output/{id}/{file}"),
    *(("POST", f"/api/{name}") for name in ("status", "redis", "redis/expire")),
}


@pytest.fixture
async def alices() -> Alices:
    return await make_alices()


@pytest.fixture
async def stub(alices: Alices) -> AsyncIterator[pb_grpc.KioskStub]:
    async with grpc_of(alices) as stub:
        yield stub


@pytest.fixture
async def web(alices: Alices) -> AsyncIterator[TestClient]:
    async with web_of(alices, CookieJar(unsafe=True)) as client:
        yield client


def elsewhere(alices: Alices) -> Alices:
    """The same with alice's other job in place of the one that the link shows."""
    return replace(alices, done=alices.open)


# ---------------------------------------------------------------- what a link may do


@pytest.mark.parametrize("method", [*NAMING, *OPEN])
async def test_methods(stub: pb_grpc.KioskStub, alices: Alices, method: str) -> None:
    request = {**NAMING, **OPEN}[method]
    bearer = f"Bearer {alices.link}"
    code, _ = await status(stub, method, request(alices), bearer)
    if method in SHOWN:
        assert code is grpc.StatusCode.OK
        code, _ = await status(stub, method, request(elsewhere(alices)), bearer)
        assert code is grpc.StatusCode.NOT_FOUND
    else:
        assert code is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("route", [*NAMING_ROUTES, *OPEN_ROUTES], ids=" ".join)
async def test_routes(web: TestClient, alices: Alices, route: Route) -> None:
    path, options = {**NAMING_ROUTES, **OPEN_ROUTES}[route]
    has = alices

    async def asked(has: Alices) -> int:
        return (await answered(web, route, path, options, has, alices.link))[0]

    if route in SHOWN_ROUTES:
        assert await asked(has) == 200
        assert await asked(elsewhere(has)) == 404
    elif route == ("GET", "/events"):  # other jobs are left out; its own is none of the others
        assert await asked(has) == 200
    else:
        assert await asked(has) == 403


async def test_the_table_of_what_is_public_shows_no_job(alices: Alices) -> None:
    assert not PUBLIC_ROUTES & SHOWN_ROUTES


# ---------------------------------------------------------------- in a browser


async def followed(web: TestClient, token: str) -> Any:
    return await web.get(f"/s/{token}", allow_redirects=False)


async def test_following_a_link(web: TestClient, alices: Alices) -> None:
    answer = await followed(web, alices.link)
    assert (answer.status, answer.headers["Location"]) == (303, f"/jobs/{alices.done}")
    cookie = answer.headers["Set-Cookie"]
    assert f"Path=/api/v1/jobs/{alices.done}" in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert (await web.get(f"/api/v1/jobs/{alices.done}")).status == 200
    assert (await web.get(f"/api/v1/jobs/{alices.done}/results.zip")).status == 200
    assert (await web.get(f"/api/v1/jobs/{alices.open}")).status == 401
    assert (await web.get("/api/v1/jobs")).status == 401
    same = {"Sec-Fetch-Site": "same-origin"}
    for method, path in (
        ("DELETE", f"/api/v1/jobs/{alices.done}"),
        ("POST", f"/api/v1/jobs/{alices.done}/cancel"),
        ("DELETE", f"/api/v1/jobs/{alices.done}/shares/{alices.share}"),
    ):
        assert (await web.request(method, path, headers=same)).status == 401
    assert (await web.get(f"/api/v1/jobs/{alices.done}/shares")).status == 403


async def test_the_cookie_of_one_job_opens_no_other(web: TestClient, alices: Alices) -> None:
    headers = {"Cookie": f"kiosk_share={alices.link}"}
    assert (await web.get(f"/api/v1/jobs/{alices.done}", headers=headers)).status == 200
    assert (await web.get(f"/api/v1/jobs/{alices.open}", headers=headers)).status == 404
    answer = await web.delete(f"/api/v1/jobs/{alices.done}", headers=headers)
    assert answer.status == 401


async def test_whoever_is_signed_in_can_follow_a_link_too(web: TestClient, alices: Alices) -> None:
    await web.post("/api/v1/session", json={"key": alices.tokens["mallory"]})
    path = f"/api/v1/jobs/{alices.done}"
    assert (await web.get(path)).status == 404
    await followed(web, alices.link)
    assert (await web.get(path)).status == 200
    same = {"Sec-Fetch-Site": "same-origin"}
    assert (await web.delete(path, headers=same)).status == 404  # and it is not mallory's for that
    await alices.fake.service.shares.delete(alices.done, alices.share, caller=ALICE)
    assert (await web.get(path)).status == 404
    # The owner's own browser still deletes.
    await web.post("/api/v1/session", json={"key": alices.tokens["alice"]}, headers=same)
    assert (await web.delete(path, headers=same)).status == 204


async def test_links_that_lead_nowhere(web: TestClient, alices: Alices) -> None:
    head, body, signature = alices.link.removeprefix("share.").split(".")
    secret = await alices.keys.signing_secret()
    good = {"sub": alices.share, "job": alices.done, "aud": "share", "exp": time.time() + 60}
    forged = [
        f"share.{head}.{body}.{signature[::-1]}",
        f"share.{head}.{body}.",
        f"session.{head}.{body}.{signature}",
        "share." + jwt.encode(good, "x" * 64, "HS256"),
        "share." + jwt.encode(good, None, "none"),
        "share." + jwt.encode({**good, "exp": time.time() - 1}, secret, "HS256"),
        "share." + jwt.encode({**good, "aud": "session"}, secret, "HS256"),
        "share." + jwt.encode({**good, "job": alices.open}, secret, "HS256"),
        "share." + jwt.encode({**good, "job": "../jobs"}, secret, "HS256"),
        "share." + jwt.encode({**good, "sub": "0" * 26}, secret, "HS256"),
        "share.",
        "x",
        alices.tokens["alice"],  # a key is no link
    ]
    for token in forged:
        answer = await followed(web, token)
        assert answer.status == 401, token
        assert "Set-Cookie" not in answer.headers
        assert answer.content_type == "text/plain"


async def test_links_work_where_nobody_is_asked(alices: Alices) -> None:
    door = Authentication(alices.keys, shares=alices.fake.service.shares)
    guest = await door.caller(f"Bearer {alices.link}")
    assert (guest.job_id, guest.scopes) == (alices.done, {Scope.READ})
    with pytest.raises(PermissionDenied):
        await alices.fake.service.delete_job(alices.done, caller=guest)


# ---------------------------------------------------------------- their end


async def test_a_watch_ends_when_its_link_is_withdrawn(
    stub: pb_grpc.KioskStub, alices: Alices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "RECHECK_S", 0.01)
    shares = alices.fake.service.shares
    share, token = await shares.create(alices.open, time.time() + 60.0, caller=ALICE)
    metadata = (("authorization", f"Bearer {token}"),)
    call = stub.WatchJob(pb.WatchJobRequest(name=f"jobs/{alices.open}"), metadata=metadata)
    assert (await call.read()).job.state == pb.JOB_STATE_QUEUED
    await shares.delete(alices.open, share.id, caller=ALICE)
    with pytest.raises(grpc.aio.AioRpcError, match="withdrawn"):
        async with asyncio.timeout(10):
            await call.read()


async def test_with_its_job_a_link_is_gone(alices: Alices) -> None:
    door = alices.door
    await door.caller(f"Bearer {alices.link}")
    await alices.fake.service.delete_job(alices.done, caller=ALICE)
    with pytest.raises(Unauthenticated, match="job is gone"):
        await door.caller(f"Bearer {alices.link}")
    assert await alices.fake.store.list(f"jobs/{alices.done}/") == []


async def test_listed_and_withdrawn(alices: Alices) -> None:
    shares = alices.fake.service.shares
    more, _ = await shares.create(alices.done, time.time() + DAY_S, caller=ALICE)
    listed = await shares.list(alices.done, caller=ALICE)
    assert [share.id for share in listed] == [alices.share, more.id]
    assert {share.creator for share in listed} == {"alice"}
    await shares.delete(alices.done, more.id, caller=ALICE)
    with pytest.raises(NotFound):
        await shares.delete(alices.done, more.id, caller=ALICE)
    for name in ("", "..", "../results", "a/b", "*"):
        with pytest.raises(NotFound):
            await shares.delete(alices.done, name, caller=ALICE)
    assert len(await shares.list(alices.done, caller=ALICE)) == 1


@pytest.mark.parametrize("ends_in_s", [-1.0, 0.0, 31 * DAY_S, 1e12, float("inf"), float("nan")])
async def test_ends_that_are_none(alices: Alices, ends_in_s: float) -> None:
    with pytest.raises(InvalidRequest):
        await alices.fake.service.shares.create(alices.done, time.time() + ends_in_s, caller=ALICE)


async def test_who_may_make_links(alices: Alices) -> None:
    shares, until_s = alices.fake.service.shares, time.time() + 60.0
    reader = make_caller("alice", Scope.READ)
    refusals: list[tuple[Any, type[KioskError]]] = [
        (MALLORY, NotFound),
        (reader, PermissionDenied),
        (await alices.door.caller(f"Bearer {alices.link}"), PermissionDenied),
    ]
    for caller, kind in refusals:
        with pytest.raises(kind):
            await shares.create(alices.done, until_s, caller=caller)
    assert await shares.create(alices.done, until_s, caller=make_caller("root", Scope.ADMIN))


# ---------------------------------------------------------------- kept longer


async def test_a_job_is_kept_with_its_image(alices: Alices) -> None:
    service = alices.fake.service
    until_s = round(time.time() + 60 * DAY_S)
    job: Job = await service.extend_job(alices.done, until_s, caller=ALICE)
    assert job.expire_time_s == until_s
    upload = await service.uploads.get(alices.upload, caller=ALICE)
    assert upload.expire_time_s >= until_s
    # Two notes of an end, of which the first is stale.
    assert len(await alices.fake.store.list("expiring/")) == 3
    sooner = round(time.time() + DAY_S)
    assert (await service.extend_job(alices.done, sooner, caller=ALICE)).expire_time_s == sooner
    assert (await service.uploads.get(alices.upload, caller=ALICE)) == upload


async def test_without_its_image_a_job_is_kept_all_the_same(alices: Alices) -> None:
    service = alices.fake.service
    await service.uploads.delete(alices.upload, caller=ALICE)
    until_s = round(time.time() + 60 * DAY_S)
    job = await service.extend_job(alices.done, until_s, caller=ALICE)
    assert job.expire_time_s == until_s


@pytest.mark.parametrize("ends_in_s", [-1.0, 0.0, 366 * DAY_S, float("inf"), float("nan")])
async def test_times_until_which_nothing_is_kept(alices: Alices, ends_in_s: float) -> None:
    with pytest.raises(InvalidRequest):
        await alices.fake.service.extend_job(alices.done, time.time() + ends_in_s, caller=ALICE)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        '{"expire_time": 5}',
        '{"expire_time": "soon"}',
        '{"days": 3}',
        '{"expire_time": "2999-01-01T00:00:00"}',  # where?
        '{"expire_time": "2999-01-01T00:00:00Z"}',
        '{"expire_time": "0001-01-01T00:00:00Z"}',
    ],
)
async def test_bodies_that_say_no_time(web: TestClient, alices: Alices, body: str) -> None:
    headers = {"Authorization": alices.bearer("alice"), "Content-Type": "application/json"}
    for what in ("extend", "shares"):
        path = f"/api/v1/jobs/{alices.done}/{what}"
        assert (await web.post(path, data=body, headers=headers)).status == 400


async def test_a_job_says_until_when_it_is_kept(web: TestClient, alices: Alices) -> None:
    headers = {"Authorization": alices.bearer("alice")}
    path = f"/api/v1/jobs/{alices.done}"
    answer = await web.post(f"{path}/extend", json=UNTIL, headers=headers)
    extended = (await answer.json())["expire_time"]
    assert datetime.fromisoformat(extended) == datetime.fromisoformat(UNTIL["expire_time"])
    assert (await (await web.get(path, headers=headers)).json())["expire_time"] == extended


async def test_sweeping_heeds_the_longer_time(alices: Alices, monkeypatch: Any) -> None:
    service = alices.fake.service
    now = time.time()
    await service.uploads.extend(alices.upload, now + 10 * DAY_S, caller=ALICE)
    monkeypatch.setattr(time, "time", lambda: now + 5 * DAY_S)
    assert await service.uploads.sweep() == 1  # the upload that had begun
    assert (await service.uploads.get(alices.upload, caller=ALICE)).complete
    monkeypatch.setattr(time, "time", lambda: now + 11 * DAY_S)
    assert await service.uploads.sweep() == 1
    with pytest.raises(NotFound):
        await service.uploads.get(alices.upload, caller=ALICE)
    assert await alices.fake.store.list("expiring/") == []


async def test_health_is_for_everybody(web: TestClient, alices: Alices) -> None:
    for bearer in ("", f"Bearer {alices.link}", "Bearer nonsense"):
        headers = {"Authorization": bearer} if bearer else {}
        answer = await web.get("/api/v1/health", headers=headers)
        assert (answer.status, await answer.json()) == (200, {"status": "ok"})

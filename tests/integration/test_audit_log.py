"""Every call that changes something leaves one line in the audit log, and no other call does."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from alices import (
    NAMING,
    NAMING_ROUTES,
    OPEN,
    OPEN_ROUTES,
    TUS,
    WRITING,
    Alices,
    Route,
    answered,
    grpc_of,
    make_alices,
    status,
    web_of,
)

from kiosk import audit
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.errors import PermanentError
from kiosk.testing import make_caller
from kiosk.web.answers import ASKING

METHODS = {**NAMING, **OPEN}
MUTATING = WRITING | {"CreateUpload"}
ROUTES = {**NAMING_ROUTES, **OPEN_ROUTES}
FIELDS = {"time", "owner", "key", "share", "method", "resource", "peer", "outcome"}


@pytest.fixture
async def alices() -> Alices:
    return await make_alices()


@pytest.fixture
async def stub(alices: Alices) -> AsyncIterator[pb_grpc.KioskStub]:
    async with grpc_of(alices) as stub:
        yield stub


@pytest.fixture
async def web(alices: Alices) -> AsyncIterator[TestClient]:
    async with web_of(alices) as client:
        yield client


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The lines written so far; taking them forgets them."""
    audit.configure_audit(None)
    caplog.set_level(logging.INFO, logger="kiosk.audit")

    def take() -> list[dict[str, str]]:
        found = [json.loads(r.message) for r in caplog.records if r.name == "kiosk.audit"]
        caplog.clear()
        assert all(set(line) == FIELDS for line in found)
        return found

    return take


@pytest.mark.parametrize("method", METHODS)
async def test_methods(stub: pb_grpc.KioskStub, alices: Alices, lines: Any, method: str) -> None:
    request = METHODS[method]
    await status(stub, method, request(alices), alices.bearer("mallory"))
    refused = lines()
    await status(stub, method, request(alices))
    unknown = lines()
    await status(stub, method, request(alices), alices.bearer("alice"))
    done = lines()
    if method not in MUTATING:
        assert [refused, unknown, done] == [[], [], []]
        return
    assert [len(refused), len(unknown), len(done)] == [1, 1, 1]
    assert {line["method"] for line in (*refused, *unknown, *done)} == {method}
    if method != "CreateUpload":
        assert (refused[0]["owner"], refused[0]["outcome"]) == ("mallory", "NOT_FOUND")
        assert done[0]["resource"].startswith(("uploads/", "jobs/"))
    assert (unknown[0]["owner"], unknown[0]["outcome"]) == ("", "UNAUTHENTICATED")
    assert (done[0]["owner"], done[0]["outcome"]) == ("alice", "ok")
    assert done[0]["key"] == alices.tokens["alice"].split("_")[1]
    assert "127.0.0.1" in done[0]["peer"]
    assert "127.0.0.1" in unknown[0]["peer"]
    assert datetime.fromisoformat(done[0]["time"]).tzinfo is not None


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_routes(web: TestClient, alices: Alices, lines: Any, route: Route) -> None:
    path, options = ROUTES[route]
    await answered(web, route, path, options, alices, "mallory")
    refused = lines()
    await answered(web, route, path, options, alices, "")
    unknown = lines()
    await answered(web, route, path, options, alices, "alice")
    done = lines()
    if route[0] in ("GET", "HEAD") or route[1] in ASKING:
        assert [refused, unknown, done] == [[], [], []]
        return
    assert [len(refused), len(unknown), len(done)] == [1, 1, 1]
    assert (unknown[0]["owner"], unknown[0]["outcome"]) == ("", "UNAUTHENTICATED")
    assert (done[0]["owner"], done[0]["outcome"]) == ("alice", "ok")
    address = route[1] if route[1].startswith("/api/") else f"/api/v1{route[1]}"
    assert done[0]["method"].endswith(address)
    assert done[0]["resource"].startswith("/api/v1/")
    if route in NAMING_ROUTES:
        assert (refused[0]["owner"], refused[0]["outcome"]) == ("mallory", "NOT_FOUND")


async def test_signing_in(web: TestClient, alices: Alices, lines: Any) -> None:
    await web.post("/api/v1/session", json={"key": "kiosk_nonsense"})
    await web.post("/api/v1/session", json={"key": alices.tokens["alice"]})
    wrong, right = lines()
    assert (wrong["owner"], wrong["outcome"]) == ("", "UNAUTHENTICATED")
    assert (right["owner"], right["outcome"]) == ("alice", "ok")
    assert alices.tokens["alice"] not in json.dumps([wrong, right])


async def test_what_is_sent_cannot_write_lines_of_its_own(
    web: TestClient, alices: Alices, lines: Any, caplog: pytest.LogCaptureFixture
) -> None:
    evil = "a%0a%22outcome%22%3a%20%22ok%22%1b[31m%E2%80%AE"
    headers = {"Authorization": alices.bearer("alice"), **TUS}
    await web.delete(f"/api/v1/uploads/{evil}", headers=headers)
    (text,) = [r.message for r in caplog.records if r.name == "kiosk.audit"]
    assert text.isascii()
    assert text.isprintable()
    (line,) = lines()
    assert line["outcome"] == "NOT_FOUND"
    await web.post(f"/api/v1/jobs/{'x' * 5000}/cancel", headers=headers)
    assert len(lines()[0]["resource"]) <= audit.LONGEST_TEXT
    await web.post("/nowhere", headers=headers)
    assert lines() == []


async def test_names_of_files_and_keys_stay_out(
    stub: pb_grpc.KioskStub, alices: Alices, lines: Any
) -> None:
    request = pb.CreateUploadRequest(file_name="patient-0815.tif", size_bytes=3)
    await status(stub, "CreateUpload", request, alices.bearer("alice"))
    await status(stub, "CreateUpload", request, alices.bearer("alice")[:-1])
    written = json.dumps(lines())
    assert "patient" not in written
    assert alices.tokens["alice"].rpartition("_")[2][:8] not in written


def test_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    audit.configure_audit(file)
    try:
        audit.note(make_caller("älice\n"), "Segment", "jobs/1", audit.OK)
        file.rename(tmp_path / "audit.jsonl.1")  # as logrotate does
        audit.note(None, "Segment", "jobs/2", "NOT_FOUND", address="10.0.0.1")
    finally:
        audit.configure_audit(None)
    first, second = (json.loads(path.read_text()) for path in (tmp_path / "audit.jsonl.1", file))
    assert (first["owner"], first["resource"]) == ("älice\n", "jobs/1")
    assert (second["owner"], second["peer"], second["outcome"]) == ("", "10.0.0.1", "NOT_FOUND")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="KIOSK_LISTEN__AUDIT_FILE"):
        audit.configure_audit(tmp_path / "nowhere" / "audit.jsonl")
    audit.configure_audit(None)

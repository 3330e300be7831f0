"""Bodies, names and addresses that are meant to lead elsewhere, and pages of other sites."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import unicodedata
import zipfile
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from raw_http import BYTES, HOST, POST_JOB, TUS, connected, finished_job, serving, spots

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.jobs import plain_name, result_stem
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.uploads import LONGEST_FILE_NAME
from kiosk.web import make_app


@pytest.fixture
def kiosk() -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()))


@pytest.fixture
async def port(kiosk: FakeKiosk) -> AsyncIterator[int]:
    async with serving(kiosk) as number:
        yield number


# ------------------------------------------------------------------ bodies


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity"])
async def test_packed_bodies_are_refused(port: int, coding: str) -> None:
    """A kilobyte can unpack to a megabyte, and two servers can differ on which they have seen."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        headers = {"Content-Type": "application/json", "Content-Encoding": coding}
        async with http.post("/api/v1/jobs", data=gzip.compress(b"{}"), headers=headers) as answer:
            assert answer.status == 415
            assert (await answer.json(content_type=None))["detail"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"upload": "' + b"\\u0000" * 5000 + b'"}',
        b'{"upload": "a", "parameters": {"x": 1e999}}',
        b'{"upload": "a", "parameters": {"x": NaN}}',
        b'{"upload": "\\ud800", "model": "bright"}',
        b'{"upload": "a", "upload": "b", "model": "bright"}',
        b'\xff\xfe{"upload": "a"}',
        b"9" * 60_000,
        b'{"upload": "a", "reading": {"series": ' + b"9" * 5000 + b"}}",
    ],
    ids=["lists", "objects", "zeros", "1e999", "NaN", "half a pair", "twice", "not UTF-8", "number",
         "series"],
)  # fmt: skip
async def test_odd_json_gets_a_sentence(port: int, body: bytes) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        headers = {"Content-Type": "application/json"}
        async with http.post("/api/v1/jobs", data=body, headers=headers) as answer:
            problem = await answer.json(content_type=None)
            assert answer.status in (400, 404), problem
            assert answer.content_type == "application/problem+json"
            assert len(problem["detail"]) < 1100


async def test_large_bodies_are_refused_unread(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(POST_JOB + b"Content-Length: 100000000\r\n\r\n")
        assert await connection.status() == 413


# ------------------------------------------------------------------ names and addresses


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../../etc/passwd",
        "/static/..%2f..%2f..%2fetc%2fpasswd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/..",
        "/static/.",
        "/static//etc/passwd",
        "/static/%00",
        "/static/index.html%00.png",
        "/static/..%5c..%5cetc%5cpasswd",
        "/static/%c0%ae%c0%ae%2fetc%2fpasswd",
        "/api/v1/jobs/../../etc/passwd",
        "/api/v1/jobs/{job}/results/..%2f..%2f..%2fuploads%2fupload.json",
        "/api/v1/jobs/{job}/results/..",
        "/api/v1/jobs/{job}/results/%00",
        "/api/v1/jobs/%2e%2e%2fuploads/results",
        "/api/v1/jobs/*/results",
        "/api/v1/uploads/..%2f..",
        "/api/v1/uploads/%00",
        "/api/v1/jobs/" + "a" * 7000,
    ],
)
async def test_addresses_that_lead_elsewhere_lead_nowhere(kiosk: FakeKiosk, path: str) -> None:
    job = await finished_job(kiosk)
    target = path.replace("{job}", job).encode()
    async with serving(kiosk) as port, connected(port) as connection:
        for method in (b"GET", b"HEAD" if b"uploads" in target else b"GET"):
            await connection.send(
                method + b" " + target + b" HTTP/1.1\r\nTus-Resumable: 1.0.0\r\n" + HOST + b"\r\n"
            )
            assert await connection.status(method) in (400, 404, 405)


NAMES = [
    "../../etc/passwd",
    "..\\..\\windows\\system32",
    "/etc/passwd",
    "C:\\CON",
    "CON",
    "NUL.tif",
    "a\x00b.tif",
    "a\r\nSet-Cookie: x.tif",
    "a\u202egnp.exe",
    "<script>alert(1)</script>.tif",
    '"; rm -rf /; ".tif',
    "\U0001d52b Ångström 漢字.tif",
    "." * 300,
    "a" * 5000 + ".tif",
    "-rf",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_file_may_have_any_name_and_leads_nowhere(kiosk: FakeKiosk, name: str) -> None:
    """Through upload, job, results and their zip."""
    coded = base64.b64encode(name.encode()).decode()
    data = spots()
    headers = {**BYTES, "Upload-Length": str(len(data)), "Upload-Metadata": f"filename {coded}"}
    async with serving(kiosk) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        async with http.post("/api/v1/uploads", headers=headers, data=data) as answer:
            assert answer.status == 201
            upload = answer.headers["Location"].rpartition("/")[2]
        async with http.post("/api/v1/jobs", json={"upload": upload, "model": "bright"}) as answer:
            job = (await answer.json())["id"]
        await kiosk.work()
        async with http.get(f"/api/v1/jobs/{job}") as answer:
            assert (await answer.json())["state"] == "succeeded"
        async with http.get(f"/api/v1/jobs/{job}/results") as answer:
            names = [item["file_name"] for item in (await answer.json())["results"]]
        for item in names:
            assert not {"/", "\\", "\0", "\r", "\n"}.intersection(item)
            async with http.get(f"/api/v1/jobs/{job}/results/{quote(item, safe='')}") as answer:
                assert answer.status == 200
                assert "\n" not in answer.headers["Content-Disposition"]
        async with http.get(f"/api/v1/jobs/{job}/results.zip") as answer:
            with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
                assert sorted(archive.namelist()) == sorted(names)
    keys = [key for key, _ in await kiosk.store.list("")]
    assert all(key.split("/")[0] in ("uploads", "jobs", "expiring") for key in keys)
    assert not any(".." in key.split("/") for key in keys)


@given(st.text(max_size=400))
def test_names_of_results_are_names_of_files_everywhere(name: str) -> None:
    stem = result_stem(plain_name(name)[-LONGEST_FILE_NAME:])
    assert stem.lstrip(" .") == stem
    assert stem
    assert not set('/\\:*?"<>|').intersection(stem)
    assert all(unicodedata.category(letter)[0] != "C" for letter in stem)
    assert len(f"{stem}_track_summary.csv".encode()) <= 255


@pytest.mark.parametrize(
    "value",
    ["filename", "filename ===", "filename \xff", "a b c", ",,,,", "filename " + "A" * 8000,
     "filename /w==", "," * 4000, "sha256 " + base64.b64encode(b"x").decode()],
    ids=range(9),
)  # fmt: skip
async def test_odd_metadata_get_a_sentence(port: int, value: str) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        headers = {**TUS, "Upload-Length": "5", "Upload-Metadata": value}
        async with http.post("/api/v1/uploads", headers=headers) as answer:
            assert answer.status in (201, 400)
            if answer.status == 400 and answer.content_type != "text/plain":
                assert (await answer.json(content_type=None))["detail"].endswith(".")


# ------------------------------------------------------------------ pages of other sites


def changing_routes(app: web.Application) -> list[tuple[str, str]]:
    """(method, path) of every route that changes something."""
    found = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method not in ("GET", "HEAD", "OPTIONS")
    }
    return sorted(found)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"],
)
async def test_a_form_of_another_site_changes_nothing(kiosk: FakeKiosk, content_type: str) -> None:
    """Browsers send such requests across sites without asking. All routes, new ones too."""
    job = await finished_job(kiosk)
    upload = await kiosk.upload(spots())
    before = sorted(await kiosk.store.list(""))
    jobs = await kiosk.service.list_jobs(caller=LOCAL)
    headers = {"Content-Type": content_type, "Origin": "https://evil.example"}
    body = json.dumps({"upload": upload, "model": "bright"})
    async with serving(kiosk) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        tiles = kiosk.tiles()
        app = make_app(kiosk.service, tiles, Authentication(), CHECKOUT / "frontend")
        routes = changing_routes(app)
        assert ("POST", "/api/v1/jobs") in routes
        for _, path in routes:  # a form knows no method but POST
            known = upload if "uploads" in path else job
            target = re.sub(r"\{[^}]*\}", known, path)
            async with http.post(target, data=body, headers=headers) as answer:
                assert answer.status >= 400, (path, answer.status)
                assert "Access-Control-Allow-Origin" not in answer.headers
            async with http.options(target, headers=headers) as answer:
                assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert sorted(await kiosk.store.list("")) == before
    assert await kiosk.service.list_jobs(caller=LOCAL) == jobs


async def test_every_answer_has_the_headers_that_keep_a_page_to_itself(kiosk: FakeKiosk) -> None:
    job = await finished_job(kiosk)
    async with serving(kiosk) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        for path in (
            "/",
            f"/jobs/{job}",
            "/api/v1/health",
            "/nothing",
            f"/api/v1/jobs/{job}/results.zip",
        ):
            async with http.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert "form-action 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"

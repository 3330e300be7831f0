"""The HTTP API and the page, over a real service with fakes of the outside world."""

import asyncio
import base64
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.callers import LOCAL
from kiosk.errors import PermanentError
from kiosk.jobs import plain_name
from kiosk.queue_policy import QueuePolicy
from kiosk.request import SegmentationRequest
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.web import WebServer, events, make_app
from kiosk.web.answers import attachment

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
LIMIT_BYTES = 1_000_000


def stack(frames: int = 3) -> np.ndarray:
    """(t, y, x) with two bright squares in each frame."""
    image = np.full((frames, 64, 96), 100, np.uint16)
    image[:, 10:20, 10:20] = 4000
    image[:, 40:52, 60:80] = 4000
    return image


def tiff(image: np.ndarray, axes: str = "TYX") -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, ome=True, metadata={"axes": axes})
    return file.getvalue()


@pytest.fixture
def kiosk() -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()), upload_limit_bytes=LIMIT_BYTES)


@pytest.fixture
async def web(kiosk: FakeKiosk):
    tiles = kiosk.tiles()
    app = make_app(kiosk.service, tiles, Authentication(), CHECKOUT / "frontend")
    async with TestClient(TestServer(app)) as client:
        yield client


def metadata(**values: str) -> str:
    coded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return ",".join(f"{key} {value}" for key, value in coded.items())


def checksum(algorithm: str, data: bytes) -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


async def create(web: TestClient, size: int | None, name: str = "a.tif", **values: str) -> str:
    length = {"Upload-Defer-Length": "1"} if size is None else {"Upload-Length": str(size)}
    named = {"Upload-Metadata": metadata(filename=name, **values)}
    answer = await web.post("/api/v1/uploads", headers={**TUS, **length, **named})
    assert answer.status == 201, await answer.text()
    return answer.headers["Location"]


async def finished_job(kiosk: FakeKiosk, name: str = "movie.tif", data: bytes = b"") -> str:
    upload = await kiosk.upload(data or tiff(stack()), name)
    job = await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    await kiosk.work()
    return job.id


async def problem(answer, status: int) -> dict:
    body = await answer.json()
    assert answer.status == status, body
    assert answer.content_type == "application/problem+json"
    assert body["status"] == status
    assert body["detail"]
    return body


class TestTus:
    async def test_options_name_what_is_there(self, web):
        answer = await web.options("/api/v1/uploads")
        assert answer.status == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(LIMIT_BYTES)
        assert "creation-with-upload" in answer.headers["Tus-Extension"]
        assert "checksum" in answer.headers["Tus-Extension"]
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
    async def test_each_request_may_be_checked_by_itself(self, web, algorithm):
        data = tiff(stack())
        url, half = await create(web, len(data)), len(data) // 2
        right = {"Upload-Checksum": checksum(algorithm, data[:half])}
        first = await web.patch(
            url, data=data[:half], headers={**BYTES, **right, "Upload-Offset": "0"}
        )
        assert (first.status, first.headers["Upload-Offset"]) == (204, str(half))
        place = {**BYTES, "Upload-Offset": str(half)}
        wrong = await web.patch(url, data=data[half:], headers={**place, **right})
        assert (await problem(wrong, 460))["reason"] == "CHECKSUM_MISMATCH"
        assert (await web.head(url, headers=TUS)).headers["Upload-Offset"] == str(half)
        right = {"Upload-Checksum": checksum(algorithm, data[half:])}
        last = await web.patch(url, data=data[half:], headers={**place, **right})
        assert (last.status, last.headers["Upload-Offset"]) == (204, str(len(data)))

    @pytest.mark.parametrize("odd", ["crc32 AAAA", "", "sha1", "sha1 %%", "sha1 AAAA", "SHA1 AAAA"])
    async def test_odd_checksums_are_refused(self, web, odd):
        url = await create(web, 4)
        headers = {**BYTES, "Upload-Offset": "0", "Upload-Checksum": odd}
        await problem(await web.patch(url, data=b"abcd", headers=headers), 400)
        assert (await web.head(url, headers=TUS)).headers["Upload-Offset"] == "0"

    async def test_a_creation_whose_bytes_are_damaged_leaves_nothing(self, web, kiosk):
        headers = {**BYTES, "Upload-Length": "4", "Upload-Metadata": metadata(filename="a.tif")}
        for coded, status in ((checksum("md5", b"xyz"), 460), ("crc32 AAAA", 400)):
            before = set(kiosk.store.objects)
            answer = await web.post(
                "/api/v1/uploads", data=b"abcd", headers={**headers, "Upload-Checksum": coded}
            )
            await problem(answer, status)
            assert set(kiosk.store.objects) == before

    async def test_file_in_two_pieces_completes(self, web, kiosk):
        data = tiff(stack())
        url = await create(web, len(data), sha256=hashlib.sha256(data).hexdigest())
        half = len(data) // 2
        first = await web.patch(url, data=data[:half], headers={**BYTES, "Upload-Offset": "0"})
        assert (first.status, first.headers["Upload-Offset"]) == (204, str(half))
        head = await web.head(url, headers=TUS)
        assert head.status == 200
        assert head.headers["Upload-Offset"] == str(half)
        assert head.headers["Upload-Length"] == str(len(data))
        assert head.headers["Cache-Control"] == "no-store"
        rest = await web.patch(url, data=data[half:], headers={**BYTES, "Upload-Offset": str(half)})
        assert rest.headers["Upload-Offset"] == str(len(data))
        assert rest.headers["Tus-Resumable"] == "1.0.0"
        assert (await kiosk.service.uploads.get(url.split("/")[-1], caller=LOCAL)).complete

    async def test_creation_with_the_whole_file(self, web, kiosk):
        headers = {**BYTES, "Upload-Length": "5", "Upload-Metadata": metadata(filename="a.tif")}
        answer = await web.post("/api/v1/uploads", data=b"12345", headers=headers)
        assert (answer.status, answer.headers["Upload-Offset"]) == (201, "5")
        upload = await kiosk.service.uploads.get(
            answer.headers["Location"].split("/")[-1], caller=LOCAL
        )
        assert upload.complete

    async def test_empty_file_is_complete_at_once(self, web, kiosk):
        url = await create(web, 0)
        assert (await kiosk.service.uploads.get(url.split("/")[-1], caller=LOCAL)).complete

    async def test_deferred_length_comes_with_the_last_piece(self, web, kiosk):
        url = await create(web, None)
        head = await web.head(url, headers=TUS)
        assert head.headers["Upload-Defer-Length"] == "1"
        assert "Upload-Length" not in head.headers
        await web.patch(url, data=b"123", headers={**BYTES, "Upload-Offset": "0"})
        last = {**BYTES, "Upload-Offset": "3", "Upload-Length": "5"}
        answer = await web.patch(url, data=b"45", headers=last)
        assert (answer.status, answer.headers["Upload-Offset"]) == (204, "5")
        assert (await kiosk.service.uploads.get(url.split("/")[-1], caller=LOCAL)).complete

    async def test_deferred_length_that_is_exceeded_is_413(self, web):
        url = await create(web, None)
        headers = {**BYTES, "Upload-Offset": "0", "Upload-Length": "2"}
        await problem(await web.patch(url, data=b"123", headers=headers), 413)

    async def test_404_for_an_upload_that_is_not_there(self, web):
        for method in ("HEAD", "PATCH", "DELETE"):
            headers = {**BYTES, "Upload-Offset": "0"}
            answer = await web.request(method, "/api/v1/uploads/nothere", headers=headers)
            assert answer.status == 404

    async def test_409_for_a_wrong_offset(self, web):
        url = await create(web, 5)
        answer = await web.patch(url, data=b"45", headers={**BYTES, "Upload-Offset": "3"})
        assert (await problem(answer, 409))["reason"] == "OFFSET_MISMATCH"

    async def test_412_for_another_version_of_the_protocol(self, web):
        url = await create(web, 5)
        for headers in ({}, {"Tus-Resumable": "0.2.2"}):
            for method, path in (("POST", "/api/v1/uploads"), ("PATCH", url), ("DELETE", url)):
                answer = await web.request(method, path, headers=headers)
                await problem(answer, 412)
                assert answer.headers["Tus-Version"] == "1.0.0"

    async def test_413_for_what_is_announced_or_sent_beyond_the_limit(self, web):
        named = {"Upload-Metadata": metadata(filename="a.tif")}
        headers = {**TUS, **named, "Upload-Length": str(LIMIT_BYTES + 1)}
        await problem(await web.post("/api/v1/uploads", headers=headers), 413)
        url = await create(web, 2)
        answer = await web.patch(url, data=b"123", headers={**BYTES, "Upload-Offset": "0"})
        await problem(answer, 413)
        url = await create(web, None)
        large = b"0" * (LIMIT_BYTES + 1)
        answer = await web.patch(url, data=large, headers={**BYTES, "Upload-Offset": "0"})
        await problem(answer, 413)

    async def test_415_for_bytes_of_another_kind(self, web):
        url = await create(web, 5)
        headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/octet-stream"}
        await problem(await web.patch(url, data=b"12345", headers=headers), 415)
        headers = {**TUS, "Upload-Length": "5", "Content-Type": "text/plain"}
        await problem(await web.post("/api/v1/uploads", data=b"12345", headers=headers), 415)

    async def test_460_for_a_wrong_checksum_and_the_upload_is_gone(self, web):
        url = await create(web, 3, sha256="0" * 64)
        answer = await web.patch(url, data=b"123", headers={**BYTES, "Upload-Offset": "0"})
        assert (await problem(answer, 460))["reason"] == "CHECKSUM_MISMATCH"
        assert (await web.head(url, headers=TUS)).status == 404

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Upload-Length": "-1"},
            {"Upload-Length": "1e3"},
            {"Upload-Length": "\u0663"},
            {"Upload-Length": "9" * 40},
            {"Upload-Length": "5", "Upload-Defer-Length": "1"},
            {"Upload-Defer-Length": "yes"},
            {"Upload-Length": "5", "Upload-Metadata": "filename not-base64!"},
            {"Upload-Length": "5", "Upload-Metadata": "filename /w=="},  # not UTF-8
            {"Upload-Length": "5", "Upload-Metadata": "other YQ=="},
            {"Upload-Length": "5", "Upload-Metadata": metadata(filename="a", sha256="12")},
        ],
    )
    async def test_400_for_headers_that_make_no_sense(self, web, headers):
        await problem(await web.post("/api/v1/uploads", headers={**TUS, **headers}), 400)

    async def test_delete_ends_an_upload(self, web):
        url = await create(web, 5)
        assert (await web.delete(url, headers=TUS)).status == 204
        assert (await web.head(url, headers=TUS)).status == 404

    async def test_method_override_for_narrow_proxies(self, web):
        url = await create(web, 3)
        headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        assert (await web.post(url, data=b"123", headers=headers)).status == 204
        await problem(await web.post(url, headers=TUS), 405)

    async def test_what_came_before_a_break_is_kept(self, web):
        url = await create(web, 10)
        _, writer = await asyncio.open_connection(web.host, web.port)
        lines = [f"PATCH {url} HTTP/1.1", "Host: x", "Content-Length: 10", "Upload-Offset: 0"]
        lines += [f"{key}: {value}" for key, value in BYTES.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + b"1234")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        for _ in range(200):
            if (await web.head(url, headers=TUS)).headers["Upload-Offset"] == "4":
                break
            await asyncio.sleep(0.02)
        answer = await web.patch(url, data=b"567890", headers={**BYTES, "Upload-Offset": "4"})
        assert answer.headers["Upload-Offset"] == "10"


class TestJobs:
    async def test_submitted_job_is_listed_watched_cancelled_and_deleted(self, web, kiosk):
        upload = await kiosk.upload(tiff(stack()), "movie.tif")
        asked = {"upload": upload, "model": "bright", "parameters": {"min_area_px": 3}}
        answer = await web.post("/api/v1/jobs", json=asked)
        job = await answer.json()
        assert answer.status == 202
        assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
        assert job["state"] == "queued"
        assert job["model_version"] == "2"
        listed = await (await web.get("/api/v1/jobs?page_size=1")).json()
        assert [item["id"] for item in listed["jobs"]] == [job["id"]]
        path = answer.headers["Location"]
        assert (await problem(await web.delete(path), 409))["reason"] == "WRONG_STATE"
        assert (await (await web.post(f"{path}/cancel")).json())["state"] == "cancelled"
        assert (await web.delete(path)).status == 204
        await problem(await web.get(path), 404)

    async def test_same_request_id_gives_the_same_job(self, web, kiosk):
        upload = await kiosk.upload(tiff(stack()))
        asked = {"upload": f"uploads/{upload}", "model": "models/bright", "request_id": "r1"}
        first = await (await web.post("/api/v1/jobs", json=asked)).json()
        again = await (await web.post("/api/v1/jobs", json=asked)).json()
        assert first["id"] == again["id"]
        other = await web.post("/api/v1/jobs", json={**asked, "channel": "0"})
        await problem(other, 409)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"modle": "x"}, "modle"),
            ({"channel": 1}, "channel"),
            ({"parameters": {"min_area_px": "12"}}, "parameters.min_area_px"),
            ({"parameters": {"min_size": 1}}, "parameters"),
            ({"parameters": {"min_area_px": -1}}, "parameters"),
            ({"channel": "7"}, "channel"),
        ],
    )
    async def test_what_is_wrong_with_a_request_is_named(self, web, kiosk, changes, field):
        asked = {"upload": await kiosk.upload(tiff(stack())), "model": "bright", **changes}
        body = await problem(await web.post("/api/v1/jobs", json=asked), 400)
        assert body["errors"][0]["field"] == field

    async def test_requests_that_are_no_job(self, web):
        await problem(await web.post("/api/v1/jobs", data="x=1"), 415)
        kind = {"Content-Type": "application/json"}
        await problem(await web.post("/api/v1/jobs", data="{", headers=kind), 400)
        await problem(await web.post("/api/v1/jobs", data="[]", headers=kind), 400)
        body = await problem(await web.post("/api/v1/jobs", json={"model": "bright"}), 400)
        assert body["detail"] == "The field 'upload' is missing."
        await problem(await web.post("/api/v1/jobs", data="0" * 100_000, headers=kind), 413)

    async def test_unknown_model_and_unfinished_upload(self, web, kiosk):
        upload = await kiosk.upload(tiff(stack()))
        body = await problem(
            await web.post("/api/v1/jobs", json={"upload": upload, "model": "x"}), 404
        )
        assert body["reason"] == "MODEL_NOT_FOUND"
        url = await create(web, 5)
        asked = {"upload": url.split("/")[-1], "model": "bright"}
        body = await problem(await web.post("/api/v1/jobs", json=asked), 409)
        assert body["reason"] == "UPLOAD_INCOMPLETE"

    async def test_bad_pages_are_refused(self, web):
        for query in ("page_size=x", "page_size=-1", "page_token=x"):
            await problem(await web.get(f"/api/v1/jobs?{query}"), 400)

    async def test_models_health_and_metrics(self, web, kiosk):
        await kiosk.service.segment(
            upload_id=await kiosk.upload(tiff(stack())), model="bright", caller=LOCAL
        )
        models = (await (await web.get("/api/v1/models")).json())["models"]
        assert models[0]["default_parameters"] == {"smoothing_px": 0.0, "min_area_px": 1.0}
        health = await (await web.get("/api/v1/health")).json()
        assert health == {"status": "ok", "backlog": {"parts": 1, "jobs": 1}}
        metrics = await web.get("/metrics")
        assert metrics.content_type == "text/plain"
        assert "kiosk_queue_backlog_jobs 1.0" in await metrics.text()

    async def test_model_server_that_is_away_is_503_with_retry_after(self, web, kiosk):
        kiosk.inference.is_down = True
        answer = await web.get("/api/v1/models")
        await problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0

    async def test_full_queue_is_429_with_retry_after(self, web, kiosk):
        kiosk.queue._policy = QueuePolicy(open_jobs=0)
        asked = {"upload": await kiosk.upload(tiff(stack())), "model": "bright"}
        answer = await web.post("/api/v1/jobs", json=asked)
        await problem(answer, 429)
        assert "Retry-After" in answer.headers

    async def test_bug_is_a_500_that_tells_nothing_of_the_inside(self, web, kiosk, monkeypatch):
        async def broken():
            raise ValueError("secret")

        monkeypatch.setattr(kiosk.inference, "models", broken)
        body = await problem(await web.get("/api/v1/models"), 500)
        assert "secret" not in json.dumps(body)

    async def test_addresses_that_are_not_there(self, web):
        for path in (
            "/nothing",
            "/api/v1/nothing",
            "/static/nothing.js",
            "/static/../pyproject.toml",
        ):
            await problem(await web.get(path), 404)
        answer = await web.put("/api/v1/jobs")
        await problem(answer, 405)
        assert "POST" in answer.headers["Allow"]


def parsed(stream: str) -> list[dict[str, str]]:
    blocks = [block for block in stream.split("\n\n") if "data: " in block]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


class TestEvents:
    async def test_stream_ends_with_the_final_event_and_resumes_after_an_id(self, web, kiosk):
        job_id = await finished_job(kiosk)
        answer = await web.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": "1"})
        assert answer.content_type == "text/event-stream"
        assert "no-transform" in answer.headers["Cache-Control"]
        found = parsed(await answer.text())
        assert int(found[0]["id"]) > 1
        states = [json.loads(event["data"])["state"] for event in found]
        assert states[-1] == "succeeded"
        last = found[-1]["id"]
        again = await web.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last})
        assert [json.loads(e["data"])["state"] for e in parsed(await again.text())] == ["succeeded"]

    async def test_silent_stream_is_kept_alive(self, web, kiosk, monkeypatch):
        monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.01)
        job = await kiosk.service.segment(
            upload_id=await kiosk.upload(tiff(stack())), model="bright", caller=LOCAL
        )
        async with web.get(f"/api/v1/jobs/{job.id}/events") as answer:
            async with asyncio.timeout(5):
                while await answer.content.readline() != b": still here\n":
                    pass
            await kiosk.service.cancel_job(job.id, caller=LOCAL)
            assert '"state": "cancelled"' in await answer.text()

    async def test_a_queued_job_is_told_how_many_go_before_it(self, web, kiosk, monkeypatch):
        monkeypatch.setattr(events, "POSITION_S", 0.01)
        upload = await kiosk.upload(tiff(stack()))
        first, second = [
            await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
            for _ in range(2)
        ]

        async def next_position(answer) -> dict[str, int]:
            async with asyncio.timeout(5):
                while await answer.content.readline() != b"event: position\n":
                    pass
                return json.loads((await answer.content.readline()).removeprefix(b"data: "))

        # Also for who comes back and is told no event that it knows.
        for headers in ({}, {"Last-Event-ID": "1"}):
            address = f"/api/v1/jobs/{second.id}/events"
            async with web.get(address, headers=headers) as answer:
                assert await next_position(answer) == {"jobs_ahead": 1}
        async with web.get(f"/api/v1/jobs/{second.id}/events") as answer:
            assert await next_position(answer) == {"jobs_ahead": 1}
            lease = await kiosk.queue.lease("c", 0)
            assert lease.job.id == first.id
            assert await next_position(answer) == {"jobs_ahead": 0}
            await kiosk.queue.lease("d", 0)
            await kiosk.service.cancel_job(second.id, caller=LOCAL)
            rest = await answer.text()
        assert "position" not in rest
        assert '"state": "cancelled"' in rest

    async def test_several_jobs_on_one_connection(self, web, kiosk):
        ids = [await finished_job(kiosk, f"{i}.tif") for i in range(3)]
        query = "&".join(f"job={job_id}" for job_id in [*ids, "gone"])
        answer = await web.get(f"/api/v1/events?{query}")
        found = parsed(await answer.text())
        assert sorted(json.loads(event["data"])["id"] for event in found) == sorted(ids)
        assert all("id" not in event for event in found)

    async def test_stream_ends_when_its_job_is_deleted(self, web, kiosk):
        job = await kiosk.service.segment(
            upload_id=await kiosk.upload(tiff(stack())), model="bright", caller=LOCAL
        )
        async with web.get(f"/api/v1/jobs/{job.id}/events") as answer:
            while not (await answer.content.readline()).startswith(b"data"):
                pass
            del kiosk.queue._records[job.id]
            await kiosk.queue._notify()
            assert b'"state"' not in await answer.content.read()

    async def test_what_cannot_be_watched(self, web):
        await problem(await web.get("/api/v1/jobs/gone/events"), 404)
        await problem(await web.get("/api/v1/events"), 400)
        many = "&".join(f"job={number}" for number in range(17))
        await problem(await web.get(f"/api/v1/events?{many}"), 400)
        answer = await web.get("/api/v1/jobs/x/events", headers={"Last-Event-ID": "x"})
        await problem(answer, 400)

    async def test_stopping_the_server_ends_streams(self, kiosk):
        tiles = kiosk.tiles()
        server = WebServer(
            kiosk.service, tiles, Authentication(), CHECKOUT / "frontend", "127.0.0.1", 0
        )
        await server.start()
        job = await kiosk.service.segment(
            upload_id=await kiosk.upload(tiff(stack())), model="bright", caller=LOCAL
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = f"GET /api/v1/jobs/{job.id}/events HTTP/1.1"
        writer.write(f"{request}\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"data: ")
        async with asyncio.timeout(1.5):
            await server.stop()
        writer.close()


class TestResults:
    async def test_what_has_not_changed_is_not_sent_again(self, web, kiosk):
        job_id = await finished_job(kiosk)
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/results", "/jobs"):
            first = await web.get(f"/api/v1{path}")
            assert first.headers["Cache-Control"] == "private, no-cache"
            known = {"If-None-Match": first.headers["ETag"]}
            again = await web.get(f"/api/v1{path}", headers=known)
            assert (again.status, await again.read()) == (304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]
            for other in ('"abc"', "abc", ""):
                answer = await web.get(f"/api/v1{path}", headers={"If-None-Match": other})
                assert await answer.json() == await first.json()
        known = {"If-None-Match": (await web.get(f"/api/v1/jobs/{job_id}")).headers["ETag"]}
        await kiosk.queue.extend(job_id, 4e9)
        assert (await web.get(f"/api/v1/jobs/{job_id}", headers=known)).status == 200

    async def test_every_result_says_what_opens_it(self, web, kiosk):
        job_id = await finished_job(kiosk)
        answer = await (await web.get(f"/api/v1/jobs/{job_id}/results")).json()
        told = {item["file_name"]: item["opens_with"] for item in answer["results"]}
        assert told["movie_labels.tif"] == "Open in Fiji, napari or QuPath"
        assert all(told.values())

    async def test_results_before_the_end_are_a_409(self, web, kiosk):
        job = await kiosk.service.segment(
            upload_id=await kiosk.upload(tiff(stack())), model="bright", caller=LOCAL
        )
        for ending in ("results", "results.zip", "results/x", "labels/0/0/0/0/0"):
            body = await problem(await web.get(f"/api/v1/jobs/{job.id}/{ending}"), 409)
            assert body["reason"] == "NO_RESULTS"

    async def test_download_whole_and_in_part(self, web, kiosk):
        job_id = await finished_job(kiosk)
        results = (await (await web.get(f"/api/v1/jobs/{job_id}/results")).json())["results"]
        assert "movie_labels.tif" in [item["file_name"] for item in results]
        path = f"/api/v1/jobs/{job_id}/results/movie_run.json"
        whole = await web.get(path)
        data = await whole.read()
        assert whole.headers["Content-Length"] == str(len(data))
        assert whole.headers["X-Content-Type-Options"] == "nosniff"
        assert json.loads(data)["job"] == job_id
        head = await web.head(path)
        assert head.headers["Content-Length"] == str(len(data))
        end = len(data) - 1
        for asked, start, stop in (
            ("bytes=10-", 10, end),
            ("bytes=10-19", 10, 19),
            ("bytes=-5", len(data) - 5, end),
            (f"bytes=10-{10**12}", 10, end),
        ):
            part = await web.get(path, headers={"Range": asked})
            assert part.status == 206
            assert part.headers["Content-Range"] == f"bytes {start}-{stop}/{len(data)}"
            assert await part.read() == data[start : stop + 1]

    async def test_ranges_that_are_not_given(self, web, kiosk):
        job_id = await finished_job(kiosk)
        path = f"/api/v1/jobs/{job_id}/results/movie_run.json"
        size = len(await (await web.get(path)).read())
        beyond = await web.get(path, headers={"Range": f"bytes={size}-"})
        await problem(beyond, 416)
        assert beyond.headers["Content-Range"] == f"bytes */{size}"
        for headers in (
            {"Range": "bytes=1-2,4-5"},
            {"Range": "lines=1-2"},
            {"Range": "bytes=5-", "If-Range": '"another"'},
        ):
            answer = await web.get(path, headers=headers)
            assert (answer.status, len(await answer.read())) == (200, size)

    @pytest.mark.parametrize(
        "name",
        [
            '../../etc/pass"wd\r\nX-Evil: 1.tif',
            "<img src=x onerror=alert(1)>.tif",
            "Zelle µm 細胞 \u202egnp.tif",
            "a;b=c%00%2e%2e.tif",
            "..tif",
        ],
    )
    async def test_hostile_names_stay_names(self, web, kiosk, name):
        data = tiff(stack(1)[0], "YX")
        url = await create(web, len(data), name)
        await web.patch(url, data=data, headers={**BYTES, "Upload-Offset": "0"})
        asked = {"upload": url.split("/")[-1], "model": "bright"}
        job = await (await web.post("/api/v1/jobs", json=asked)).json()
        assert job["file_name"] == plain_name(name)
        await kiosk.work()
        results = (await (await web.get(f"/api/v1/jobs/{job['id']}/results")).json())["results"]
        assert len(results) == 4
        for result in results:
            answer = await web.get(URL(f"/api/v1/jobs/{job['id']}/results") / result["file_name"])
            assert answer.status == 200, result
            assert answer.headers["Content-Disposition"].startswith("attachment; ")
            assert "X-Evil" not in answer.headers
        archive = zipfile.ZipFile(
            io.BytesIO(await (await web.get(f"/api/v1/jobs/{job['id']}/results.zip")).read())
        )
        assert archive.testzip() is None
        assert not any("/" in entry or "\\" in entry for entry in archive.namelist())

    async def test_zip_holds_every_result(self, web, kiosk):
        job_id = await finished_job(kiosk)
        answer = await web.get(f"/api/v1/jobs/{job_id}/results.zip")
        assert "movie_results.zip" in answer.headers["Content-Disposition"]
        archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
        listed = await (await web.get(f"/api/v1/jobs/{job_id}/results")).json()
        assert archive.namelist() == [item["file_name"] for item in listed["results"]]
        direct = await web.get(f"/api/v1/jobs/{job_id}/results/movie_instances.csv")
        assert archive.read("movie_instances.csv") == await direct.read()

    async def test_download_that_fails_half_way_is_not_taken_for_whole(self, web, kiosk):
        job_id = await finished_job(kiosk)

        async def broken(key, offset=0, length=None):
            yield b"1"
            raise ValueError("the disk is gone")

        kiosk.store.read = broken
        for path in ("results/movie_run.json", "results.zip"):
            with pytest.raises(Exception, match=r"payload|disconnected|reset"):  # noqa: PT012
                answer = await web.get(f"/api/v1/jobs/{job_id}/{path}")
                await answer.read()


@given(st.text(min_size=1))
def test_disposition_is_one_ascii_line_for_any_name(name):
    value = attachment(name.encode("utf-8", "replace").decode())["Content-Disposition"]
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2


class TestTiles:
    async def test_info_image_and_labels_lie_over_each_other(self, web, kiosk):
        job_id = await finished_job(kiosk)
        info = await (await web.get(f"/api/v1/jobs/{job_id}/image")).json()
        assert info["sizes"] == {"t": 3, "c": 1, "z": 1, "y": 64, "x": 96}
        assert info["levels"] == [{"width_px": 96, "height_px": 64}]
        assert info["has_labels"]
        assert info["has_instances"]
        assert not info["has_tracks"]
        assert info["label_planes"] is None
        answer = await web.get(f"/api/v1/jobs/{job_id}/image/0/2/0/0/0/0")
        assert "immutable" in answer.headers["Cache-Control"]
        pixels = np.frombuffer(await answer.read(), "<u2").reshape(64, 96)
        np.testing.assert_array_equal(pixels, stack(3)[2])
        answer = await web.get(f"/api/v1/jobs/{job_id}/labels/0/2/0/0/0")
        labels = np.frombuffer(await answer.read(), "<u4").reshape(66, 98)
        assert set(np.unique(labels)) == {0, 1, 2}
        np.testing.assert_array_equal(labels[1:-1, 1:-1] > 0, pixels > 1000)

    async def test_the_image_is_there_before_the_results(self, web, kiosk):
        image = np.stack([np.zeros((32, 32), np.uint16), stack(1)[0][:32, :32]])
        upload = await kiosk.upload(tiff(image, "CYX"))
        request = SegmentationRequest(channel="1")
        job = await kiosk.service.segment(
            upload_id=upload, model="bright", request=request, caller=LOCAL
        )
        kiosk.inference.is_down = True  # the model server is not needed to look at an image
        info = await (await web.get(f"/api/v1/jobs/{job.id}/image")).json()
        assert info["shown_channels"] == [1]
        assert not info["has_labels"]
        assert (await web.get(f"/api/v1/jobs/{job.id}/image/0/0/0/1/0/0")).status == 200
        body = await problem(await web.get(f"/api/v1/jobs/{job.id}/labels/0/0/0/0/0"), 409)
        assert body["reason"] == "NO_RESULTS"

    async def test_tiles_that_are_not_there(self, web, kiosk):
        job_id = await finished_job(kiosk)
        for path in (
            *("image/0/3/0/0/0/0", "image/0/0/1/0/0/0", "image/0/0/0/1/0/0", "image/1/0/0/0/0/0"),
            *("image/0/0/0/0/1/0", "image/0/0/0/0/0/1", "image/x/0/0/0/0/0", "image/0/0/0/0/0"),
            *("labels/0/3/0/0/0", "labels/0/0/0/0/1", "labels/-1/0/0/0/0"),
        ):
            await problem(await web.get(f"/api/v1/jobs/{job_id}/{path}"), 404)
        await problem(await web.get("/api/v1/jobs/gone/image"), 404)
        await problem(await web.get("/api/v1/uploads/gone/image"), 404)

    async def test_an_upload_is_shown_as_it_is_read(self, web, kiosk):
        upload = await kiosk.upload(tiff(stack(3)), "cells.tif")
        at = f"/api/v1/uploads/{upload}"
        read = "axes=ZYX&pixel_size_um=0.5"
        info = await (await web.get(f"{at}/image?{read}")).json()
        assert info["sizes"] == {"t": 1, "c": 1, "z": 3, "y": 64, "x": 96}
        assert info["pixel_size_um"] == [0.5, 0.5]
        answer = await web.get(f"{at}/image/0/0/2/0/0/0?{read}")
        pixels = np.frombuffer(await answer.read(), "<u2").reshape(64, 96)
        np.testing.assert_array_equal(pixels, stack(3)[2])
        answer = await web.get(f"{at}/labels/0/0/2/0/0?{read}")
        labels = np.frombuffer(await answer.read(), "<u4").reshape(66, 98)
        np.testing.assert_array_equal(labels, np.pad(pixels, 1))
        await problem(await web.get(f"{at}/image?axes=Q"), 400)
        await problem(await web.get(f"{at}/image?series=x"), 400)

    async def test_an_upload_that_has_not_arrived_has_no_image(self, web):
        path = await create(web, 100)
        body = await problem(await web.get(f"{path}/image"), 409)
        assert body["reason"] == "UPLOAD_INCOMPLETE"

    async def test_labels_stay_when_the_image_is_gone(self, web, kiosk):
        job_id = await finished_job(kiosk)
        for key in [key for key in kiosk.store.objects if key.endswith("data")]:
            del kiosk.store.objects[key]
        info = await (await web.get(f"/api/v1/jobs/{job_id}/image")).json()
        assert (info["channels"], info["has_labels"]) == ([], True)
        assert info["sizes"] == {"t": 3, "c": 0, "z": 1, "y": 64, "x": 96}
        assert (await web.get(f"/api/v1/jobs/{job_id}/labels/0/2/0/0/0")).status == 200
        body = await problem(await web.get(f"/api/v1/jobs/{job_id}/image/0/0/0/0/0/0"), 404)
        assert body["reason"] == "UPLOAD_GONE"

    async def test_image_and_results_that_are_gone_are_a_404(self, web, kiosk):
        job_id = await finished_job(kiosk)
        for key in [key for key in kiosk.store.objects if key.endswith(("data", "labels.tif"))]:
            del kiosk.store.objects[key]
        body = await problem(await web.get(f"/api/v1/jobs/{job_id}/image"), 404)
        assert body["reason"] == "UPLOAD_GONE"
        body = await problem(await web.get(f"/api/v1/jobs/{job_id}/labels/0/0/0/0/0"), 404)
        assert body["reason"] == "NO_LABELS"


class TestPage:
    async def test_server_without_the_page_still_has_its_api(self, kiosk, tmp_path: Path):
        tiles = kiosk.tiles()
        app = make_app(kiosk.service, tiles, Authentication(), tmp_path / "not there")
        async with TestClient(TestServer(app)) as web:
            assert "KIOSK_FRONTEND" in (await problem(await web.get("/"), 404))["detail"]
            assert (await web.get("/api/v1/health")).status == 200

    async def test_port_in_use_is_told_in_one_sentence(self, kiosk):
        tiles = kiosk.tiles()
        first = WebServer(
            kiosk.service, tiles, Authentication(), CHECKOUT / "frontend", "127.0.0.1", 0
        )
        await first.start()
        second = WebServer(kiosk.service, tiles, Authentication(), Path(), "127.0.0.1", first.port)
        with pytest.raises(PermanentError, match="--web-port"):
            await second.start()
        await first.stop()

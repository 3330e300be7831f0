"""Every operation of the HTTP API asked at random, and its answers held to its own document.

The real web server over fakes runs in a thread of its own. `make fuzz` asks more
(`HYPOTHESIS_PROFILE=search`).
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from raw_http import finished_job, web_server
from schemathesis.checks import CHECKS, load_all_checks

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import NotFound
from kiosk.settings import LimitSettings
from kiosk.testing import make_kiosk
from kiosk.web.answers import UPLOADS
from kiosk.web.openapi import document
from kiosk.wire import rfc3339

EXAMPLES = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "search" else 15
# What a request needs that is not in its schema is answered with 400, which is documented.
LEFT_OUT = {
    "positive_data_acceptance",
    "negative_data_rejection",  # more is taken than the document says, where it harms nobody
    "missing_required_header",
    "unsupported_method",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
}


class Running:
    """A server in a thread, and what there is in it to ask for."""

    def __init__(self) -> None:
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._kiosk = make_kiosk(ImageFileReader(LimitSettings()))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])
        self.url, self._job, self._upload, self._token = "", "", "", ""
        # How often each operation was answered with each status.
        self.answers: Counter[tuple[str, int]] = Counter()
        self._thread.start()
        assert self._ready.wait(30)

    async def _run(self) -> None:
        async with web_server(self._kiosk, idle_s=2.0) as server:
            self.url = f"http://127.0.0.1:{server.port}"
            self._ready.set()
            await self._stop.wait()

    def known(self, path: str) -> dict[str, Any]:
        """Parameters of an address that lead somewhere."""
        work = self._found(path)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _found(self, path: str) -> dict[str, Any]:
        """What has been deleted meanwhile is made anew."""
        service = self._kiosk.service
        if "uploads" in path and not any(part in path for part in ("/image", "/labels")):
            try:
                await service.uploads.get(self._upload, caller=LOCAL)
            except NotFound:
                upload = await service.uploads.create("begun.tif", 1000, "", caller=LOCAL)
                self._upload = upload.id
            return {"id": self._upload}
        try:
            job = await service.get_job(self._job, caller=LOCAL)
        except NotFound:
            self._job = await finished_job(self._kiosk)
            job = await service.get_job(self._job, caller=LOCAL)
        known: dict[str, Any] = {"id": job.upload_id if "uploads" in path else job.id}
        shares = await service.shares.list(job.id, caller=LOCAL)
        if not shares:
            share, self._token = await service.shares.create(
                job.id, time.time() + 600, caller=LOCAL
            )
            shares = [share]
        known |= dict.fromkeys(("level", "t", "z", "c", "row", "column"), 0)
        known |= {"share": shares[0].id, "token": self._token, "path": ".zattrs"}
        return {**known, "file": "cells_labels.tif"}

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


api = schemathesis.openapi.from_dict(document())
load_all_checks()
WANTED = [check for check in CHECKS.get_all() if check.__name__ not in LEFT_OUT]


@schemathesis.serializer("application/offset+octet-stream")
def as_bytes(context: Any, value: Any) -> bytes:
    """Any bytes: what they are is not in the document."""
    return json.dumps(value).encode()


@api.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_answers_keep_to_the_document(case: Any, running: Running) -> None:
    """Whatever is asked, also of what is there: no failure of ours, nothing undescribed."""
    path, given = case.operation.path, case.path_parameters
    if len(str(given.get("id", given.get("token", "")))) % 2:
        given.update({k: v for k, v in running.known(path).items() if k in given})
    if path.endswith("/comparison") and len(str(given.get("id", ""))) % 2 == 0:
        case.query["with"] = f"jobs/{given['id']}"
    if isinstance(case.body, dict) and len(str(case.body.get("upload", ""))) % 2:
        upload = running.known("/uploads/{id}/images")["id"]
        case.body |= {"upload": upload, "model": "bright", "model_version": ""}
    if isinstance(case.body, dict) and len(str(case.body.get("hash", ""))) % 2:
        case.body |= {"hash": running.known("/jobs/{id}")["id"]}
    if isinstance(case.body, dict) and len(str(case.body.get("uploadedName", ""))) % 2 == 0:
        upload = running.known("/uploads/{id}/images")["id"]
        old = {"jobType": "segmentation", "modelName": "bright", "jobForm": None}
        case.body |= {"uploadedName": upload, **old} if "jobType" in case.body else {}
    if path == UPLOADS and len(str(case.body)) % 2:
        case.headers.update({"Upload-Length": "1000", "Upload-Metadata": "filename YS50aWY="})
        case.headers.pop("Upload-Defer-Length", None)
    if isinstance(case.body, dict) and len(str(case.body.get("expire_time", ""))) % 2:
        case.body["expire_time"] = rfc3339(round(time.time() + 600))
    answer = case.call_and_validate(base_url=running.url, checks=WANTED, timeout=20)
    running.answers[f"{case.operation.method.upper()} {path}", answer.status_code] += 1


def test_what_was_asked_at_random_was_also_answered(running: Running) -> None:
    """Or the test above would have tried doors only that do not open."""
    asked = {operation for operation, _ in running.answers}
    done = {operation for operation, status in running.answers if status < 300}
    print("\n".join(f"{op:50} {status} {n}" for (op, status), n in sorted(running.answers.items())))
    assert len(asked) == len([m for methods in document()["paths"].values() for m in methods])
    assert len(done) >= len(asked) - 4, asked - done

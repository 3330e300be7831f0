"""A bucket that answers 500, answers nothing or is slow; a folder whose disk is full."""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import DISK_FULL, STORE_AWAY, NotFound, Outage
from kiosk.settings import LimitSettings

CHECKOUT = Path(__file__).resolve().parents[2]


class Bucket(http.server.ThreadingHTTPServer):
    """An S3 server of a few lines whose next answers can be made bad."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.status = 0  # what is answered in place of what was asked for
        self.bad_answers = 0  # so often; then all is well again
        self.pause_s = 0.0
        self.asked = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _handle(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        server.asked += 1
        time.sleep(server.pause_s)
        if server.bad_answers:
            server.bad_answers -= 1
            self._answer(server.status)
            return
        if self.command == "PUT":
            server.objects[self.path] = sent
            self._answer(200)
        elif self.path not in server.objects:
            self._answer(404)
        else:
            self._send(server.objects[self.path])

    def _send(self, data: bytes) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, data)
            return
        first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        span = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        self._answer(206, part, Content_Range=span)

    do_PUT = do_GET = do_HEAD = _handle  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Bucket]:
    bucket = Bucket()
    thread = threading.Thread(target=bucket.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield bucket
    bucket.shutdown()
    thread.join()
    bucket.server_close()


@pytest.fixture
def store(server: Bucket, monkeypatch: pytest.MonkeyPatch) -> ObstoreObjectStore:
    variables = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    variables |= {"ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "ALLOW_HTTP": "true"}
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return ObstoreObjectStore("s3://bucket/prefix", retry_s=1.0)


async def test_a_few_bad_answers_are_bridged(store: ObstoreObjectStore, server: Bucket) -> None:
    server.status, server.bad_answers = 500, 2
    await store.put("a/b", b"data")
    assert server.asked == 3
    server.status, server.bad_answers = 503, 2
    assert await store.get("a/b") == b"data"


@pytest.mark.parametrize("status", [500, 503, 403])
async def test_a_bucket_that_goes_on_to_refuse_is_an_outage(
    store: ObstoreObjectStore, server: Bucket, status: int
) -> None:
    server.status, server.bad_answers = status, 1000
    with pytest.raises(Outage) as error:
        await store.put("a/b", b"data")
    assert error.value.reason == STORE_AWAY
    assert "\n" not in error.value.message
    assert server.objects == {}
    with pytest.raises(Outage):
        await store.check()


async def test_a_bucket_that_fails_while_an_image_is_read_does_not_make_it_a_damaged_image(
    store: ObstoreObjectStore, server: Bucket
) -> None:
    await store.put("a/b", b"II*\0" + bytes(1_000_000))
    file = store.open("a/b")
    server.status, server.bad_answers = 500, 1000
    with pytest.raises(Outage) as error:
        ImageFileReader(LimitSettings()).open(file, "cells.tif")
    assert error.value.reason == STORE_AWAY


async def test_a_slow_bucket_is_only_slow(store: ObstoreObjectStore, server: Bucket) -> None:
    server.pause_s = 0.3
    await store.put("a/b", b"data")
    assert await store.get("a/b") == b"data"


async def test_a_missing_object_is_no_outage(store: ObstoreObjectStore) -> None:
    with pytest.raises(NotFound):
        await store.get("a/b")


# ---------------------------------------------------------------- a full disk

TINY_BYTES = 1_000_000
# Runs where it may mount: a disk of one megabyte that nobody else sees.
ON_A_TINY_DISK = """
import asyncio, io, pathlib, subprocess, sys
folder, size = pathlib.Path(sys.argv[1]), sys.argv[2]
folder.mkdir()
if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]).returncode:
    sys.exit(77)
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import Outage

async def main():
    store = ObstoreObjectStore(str(folder / "objects"))
    await store.put("jobs/1/results/before", b"x" * 1000)
    for put in (
        lambda: store.put("jobs/1/results/large", bytes(3 * int(size))),
        lambda: store.put_file("jobs/1/results/large", io.BytesIO(bytes(30 * int(size)))),
        lambda: store.put("jobs/1/results/before", bytes(3 * int(size))),
        store.check,
    ):
        try:
            await put()
        except Outage as error:
            print(error.reason)
    print(await store.list("jobs/1/"), await store.get("jobs/1/results/before") == b"x" * 1000)
    print(sorted(path.name for path in folder.rglob("*") if path.is_file()))

asyncio.run(main())
"""


def test_on_a_full_disk_an_object_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    command = ["unshare", "--mount", sys.executable, "-c", ON_A_TINY_DISK]
    done = subprocess.run(
        [*command, str(tmp_path / "disk"), str(TINY_BYTES)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("a disk may not be mounted here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:6] == [
        *[DISK_FULL] * 4,
        "[('jobs/1/results/before', 1000)] True",
        "['before']",
    ]

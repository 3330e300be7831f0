"""What strangers send to the HTTP port: requests that mean two things and requests that never end,
spoken to the real server byte by byte.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from raw_http import (
    CHUNKED,
    HEALTH,
    HOST,
    JSON,
    POST_JOB,
    Connection,
    connected,
    finished_job,
    serving,
    web_server,
)

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.web import pace


@pytest.fixture
def kiosk() -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()))


@pytest.fixture
async def port(kiosk: FakeKiosk) -> AsyncIterator[int]:
    async with serving(kiosk) as number:
        yield number


# ------------------------------------------------------------------ requests that mean two things

TWO_MEANINGS = {
    "length and chunks": b"Content-Length: 5\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HEALTH,
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "the same length twice": b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "a negative length": b"Content-Length: -2\r\n\r\n{}",
    "a length in hex": b"Content-Length: 0x2\r\n\r\n{}",
    "a length without end": b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "another coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HEALTH,
    "chunks and then none": CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a chunk with a prefix": b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk without end": CHUNKED + b"\r\n" + b"f" * 20 + b"\r\n{}\r\n0\r\n\r\n",
    "a line feed in a chunk": b"Transfer-Encoding: chunked\r\n\r\n2;a\nx\r\n{}\r\n0\r\n\r\n",
    "a folded line": b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a zero byte": b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "a bare carriage return": b"X: a\rContent-Length: 9\r\nContent-Length: 2\r\n\r\n{}",
    "no name": b": a\r\nContent-Length: 2\r\n\r\n{}",
    "another host": b"Host: other\r\nContent-Length: 2\r\n\r\n{}",
}  # fmt: skip


@pytest.mark.parametrize("what", TWO_MEANINGS)
async def test_a_request_that_means_two_things_ends_its_connection(port: int, what: str) -> None:
    """What follows it may be a request of its own for one server and a body for another."""
    async with connected(port) as connection:
        await connection.send(POST_JOB + TWO_MEANINGS[what] + HEALTH)
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.0 400 "), answer[:100]
    assert answer.count(b"HTTP/1.") == 1
    assert b"backlog" not in answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST, 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200, 400),
        (b"GET / HTTP/1.1\r\n", 400),
        (b"POST /api/v1/jobs HTTP/1.0\r\n" + JSON + b"Transfer-Encoding: chunked\r\n", 400),
        (b"TRACE / HTTP/1.1\r\n" + HOST, 405),
    ],
    ids=["long address", "long field", "many fields", "no host", "chunks in HTTP/1.0", "TRACE"],
)
async def test_heads_that_are_refused(port: int, head: bytes, status: int) -> None:
    async with connected(port) as connection:
        await connection.send(head + b"\r\n")
        assert await connection.status() == status


# ------------------------------------------------------------------ requests that never end


@pytest.mark.parametrize(
    ("begun", "drop"),
    [(b"", b""), (b"GET /api/v1/hea", b"x"), (HEALTH[:-2] + b"X: ", b"x"), (HEALTH, b"\r\n")],
    ids=["nothing", "address", "field", "between requests"],
)
async def test_a_head_that_never_ends_is_cut_off_though_it_dribbles(
    kiosk: FakeKiosk, begun: bytes, drop: bytes
) -> None:
    async def dribble(connection: Connection) -> None:
        while True:
            await asyncio.sleep(0.05)
            await connection.send(drop)

    async with serving(kiosk, idle_s=1.0) as port, connected(port) as connection:
        await connection.send(begun)
        sender = asyncio.create_task(dribble(connection))
        answer = await connection.rest()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
    assert answer.count(b"HTTP/1.") == begun.count(b"\r\n\r\n")


@pytest.mark.parametrize("length", [b"Content-Length: 20", b"Transfer-Encoding: chunked"])
async def test_a_small_body_that_never_ends_is_answered(kiosk: FakeKiosk, length: bytes) -> None:
    async with serving(kiosk, idle_s=0.3) as port, connected(port) as connection:
        await connection.send(POST_JOB + length + b"\r\n\r\n")
        assert await connection.status() == 408


async def test_an_upload_that_dribbles_is_ended_and_goes_on_where_it_was(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "LEAST_BYTES", 100)
    upload = await kiosk.service.uploads.create("a.tif", 1000, "", caller=LOCAL)
    head = (
        f"PATCH /api/v1/uploads/{upload.id} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n"
        "Upload-Offset: 0\r\nContent-Length: 1000\r\n"
        "Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    async with serving(kiosk, idle_s=0.5) as port, connected(port) as connection:
        await connection.send(head.encode())
        await connection.send(bytes(150))
        await connection.send(bytes(7))
        assert await connection.status() == 408
    stands = await kiosk.service.uploads.get(upload.id, caller=LOCAL)
    assert 150 <= stands.offset_bytes <= 157


async def test_an_answer_that_nobody_takes_is_cut_off(kiosk: FakeKiosk) -> None:
    job = await finished_job(kiosk)
    await kiosk.store.put(f"jobs/{job}/results/large.bin", bytes(50_000_000))
    request = f"GET /api/v1/jobs/{job}/results/large.bin HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with web_server(kiosk, idle_s=0.3) as server:
        listening = server._runner.server
        assert listening is not None
        with socket.create_connection(("127.0.0.1", server.port)) as ours:
            ours.sendall(request.encode())
            while not listening.requests_count:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert len(listening.connections) == 1
            async with asyncio.timeout(10):
                while listening.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

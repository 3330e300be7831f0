"""Uploads: pieces, breaks, checks, and what is swept."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kiosk import uploads as module
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.callers import LOCAL
from kiosk.checksums import Checksum
from kiosk.errors import InvalidRequest, NotFound, TooLarge, TransientError, WrongState
from kiosk.jobs import upload_key
from kiosk.ports import ObjectStore
from kiosk.testing import MemoryStore, make_caller
from kiosk.uploads import EXTRA_RETENTION_S, Uploads

DATA = bytes(range(256)) * 4
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return MemoryStore() if request.param == "memory" else ObstoreObjectStore(str(tmp_path))


@pytest.fixture
def uploads(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Uploads:
    """Takes at most 2,000 bytes, and writes a piece for every 100."""
    monkeypatch.setattr(module, "PIECE_BYTES", 100)
    return Uploads(store, limit_bytes=2000, retention_s=3600.0)


async def chunks(
    data: bytes, size: int = 33, fail: Exception | None = None
) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
    if fail is not None:
        raise fail


@pytest.mark.parametrize("fault", ["wrong", "broken", "too long"])
async def test_bytes_with_a_checksum_are_kept_whole_or_not_at_all(
    uploads: Uploads, fault: str
) -> None:
    """Also those that are many pieces."""
    upload = await uploads.create("cells.tif", len(DATA), "", caller=LOCAL)
    await uploads.append(upload.id, 0, chunks(DATA[:50]), caller=LOCAL)
    rest = DATA[50:]
    sent, error, kind = {
        "wrong": (rest[:-1] + b"x", None, InvalidRequest),
        "broken": (rest[:700], TransientError("broken"), TransientError),
        "too long": (rest + b"more", None, TooLarge),
    }[fault]
    right = Checksum("sha256", hashlib.sha256(rest).digest())
    with pytest.raises(kind):
        await uploads.append(upload.id, 50, chunks(sent, fail=error), caller=LOCAL, checksum=right)
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes == 50
    done = await uploads.append(upload.id, 50, chunks(rest), caller=LOCAL, checksum=right)
    assert (done.complete, done.sha256) == (True, SHA256)


@pytest.mark.parametrize("chunk_bytes", [1, 33, 100, 101, 5000])
async def test_whole_file_in_one_go(uploads: Uploads, store: ObjectStore, chunk_bytes: int) -> None:
    upload = await uploads.create("cells.tif", len(DATA), SHA256.upper(), caller=make_caller("me"))
    assert (upload.offset_bytes, upload.complete) == (0, False)
    done = await uploads.append(upload.id, 0, chunks(DATA, chunk_bytes), caller=LOCAL)
    assert (True, len(DATA), len(DATA), SHA256) == (
        done.complete,
        done.size_bytes,
        done.offset_bytes,
        done.sha256,
    )
    assert done == await uploads.get(upload.id, caller=LOCAL)
    assert await store.get(upload_key(upload.id)) == DATA
    assert await store.list(f"uploads/{upload.id}/pieces/") == []


async def test_upload_goes_on_after_a_break(uploads: Uploads, store: ObjectStore) -> None:
    """What has arrived before the connection broke need not be sent again."""
    upload = await uploads.create("cells.tif", len(DATA), SHA256, caller=LOCAL)
    with pytest.raises(ConnectionResetError):
        await uploads.append(
            upload.id, 0, chunks(DATA[:250], fail=ConnectionResetError()), caller=LOCAL
        )
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes == 250
    half = await uploads.append(upload.id, 250, chunks(DATA[250:600]), caller=LOCAL)
    assert (half.offset_bytes, half.complete) == (600, False)
    # Another server takes over.
    other = Uploads(store, limit_bytes=2000, retention_s=3600.0)
    assert (await other.append(upload.id, 600, chunks(DATA[600:]), caller=LOCAL)).complete
    assert await store.get(upload_key(upload.id)) == DATA


async def test_cancelled_request_keeps_what_came_in(uploads: Uploads) -> None:
    upload = await uploads.create("cells.tif", len(DATA), "", caller=LOCAL)
    waiting = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield DATA[:150]
        yield DATA[150:170]
        waiting.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(uploads.append(upload.id, 0, hanging(), caller=LOCAL))
    await waiting.wait()
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes == 170
    assert (await uploads.append(upload.id, 170, chunks(DATA[170:]), caller=LOCAL)).complete


async def test_unknown_size_ends_when_the_sender_says(uploads: Uploads, store: ObjectStore) -> None:
    upload = await uploads.create("cells.tif", -1, "", caller=LOCAL)
    assert not (await uploads.append(upload.id, 0, chunks(DATA[:300]), caller=LOCAL)).complete
    done = await uploads.append(upload.id, 300, chunks(DATA[300:]), finish=True, caller=LOCAL)
    assert (True, len(DATA), SHA256) == (done.complete, done.size_bytes, done.sha256)
    assert await store.get(upload_key(upload.id)) == DATA


async def test_empty_file(uploads: Uploads, store: ObjectStore) -> None:
    upload = await uploads.create("empty.tif", 0, "", caller=LOCAL)
    done = await uploads.append(upload.id, 0, chunks(b""), finish=True, caller=LOCAL)
    assert (done.complete, done.size_bytes) == (True, 0)
    assert await store.get(upload_key(upload.id)) == b""


async def test_lost_answer_to_the_last_byte_can_be_repeated(uploads: Uploads) -> None:
    """All pieces are there, but the server died before it put them together."""
    upload = await uploads.create("cells.tif", 300, "", caller=LOCAL)
    for offset in (0, 100, 200):
        await uploads._write_piece(upload.id, offset, DATA[offset : offset + 100])
    assert ((await uploads.get(upload.id, caller=LOCAL)).offset_bytes, False) == (300, False)
    assert (await uploads.append(upload.id, 300, chunks(b""), caller=LOCAL)).complete


@pytest.mark.parametrize("offset", [0, 99, 101, -1, 10**9])
async def test_wrong_offset_is_refused_with_the_right_one(uploads: Uploads, offset: int) -> None:
    upload = await uploads.create("cells.tif", len(DATA), "", caller=LOCAL)
    await uploads.append(upload.id, 0, chunks(DATA[:100]), caller=LOCAL)
    with pytest.raises(WrongState, match="next byte expected is 100") as error:
        await uploads.append(upload.id, offset, chunks(DATA), caller=LOCAL)
    assert error.value.reason == "OFFSET_MISMATCH"
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes == 100


async def test_damaged_file_is_refused_and_removed(uploads: Uploads, store: ObjectStore) -> None:
    upload = await uploads.create("cells.tif", len(DATA), SHA256, caller=LOCAL)
    with pytest.raises(InvalidRequest, match="SHA-256") as error:
        await uploads.append(upload.id, 0, chunks(DATA[:-1] + b"!"), caller=LOCAL)
    assert error.value.reason == "CHECKSUM_MISMATCH"
    with pytest.raises(NotFound):
        await uploads.get(upload.id, caller=LOCAL)
    assert await store.list("uploads/") == []


async def test_finishing_too_early_is_refused_and_can_go_on(uploads: Uploads) -> None:
    upload = await uploads.create("cells.tif", len(DATA), "", caller=LOCAL)
    with pytest.raises(InvalidRequest, match="1024 bytes, but 100 arrived"):
        await uploads.append(upload.id, 0, chunks(DATA[:100]), finish=True, caller=LOCAL)
    assert (await uploads.append(upload.id, 100, chunks(DATA[100:]), caller=LOCAL)).complete


@pytest.mark.parametrize(
    ("size", "reason"), [(50, "MORE_THAN_ANNOUNCED"), (-1, "UPLOAD_TOO_LARGE")]
)
async def test_too_many_bytes_are_stopped_as_they_come(
    uploads: Uploads, size: int, reason: str
) -> None:
    upload = await uploads.create("cells.tif", size, "", caller=LOCAL)
    with pytest.raises(TooLarge) as error:
        await uploads.append(upload.id, 0, chunks(bytes(3000)), finish=True, caller=LOCAL)
    assert reason == error.value.reason
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes <= 2000


async def test_announced_size_over_the_limit(uploads: Uploads) -> None:
    with pytest.raises(TooLarge, match=r"1\.95 KiB.*KIOSK_LIMITS__UPLOAD_BYTES"):
        await uploads.create("cells.tif", 2001, "", caller=LOCAL)


@pytest.mark.parametrize("file_name", ["", "   ", "\n"])
async def test_upload_needs_a_name(uploads: Uploads, file_name: str) -> None:
    with pytest.raises(InvalidRequest, match="no file name"):
        await uploads.create(file_name, 1, "", caller=LOCAL)


@pytest.mark.parametrize("sha256", ["ab", "g" * 64, "0" * 65, "é" * 64])
async def test_odd_checksum(uploads: Uploads, sha256: str) -> None:
    with pytest.raises(InvalidRequest, match="64 hexadecimal"):
        await uploads.create("cells.tif", 1, sha256, caller=LOCAL)


async def test_odd_names_can_be_written_everywhere(uploads: Uploads) -> None:
    long = await uploads.create("x" * 1000 + ".tif", 1, "", caller=LOCAL)
    assert len(long.file_name) == 255
    assert long.file_name.endswith(".tif")
    half = await uploads.create("\ud83d.tif", 1, "", caller=LOCAL)
    assert half.file_name.encode()
    assert half == await uploads.get(half.id, caller=LOCAL)


@pytest.mark.parametrize("upload_id", ["", "nosuch", "../x", "a/b", "a b", "\ud800", "a\x00"])
async def test_no_such_upload(uploads: Uploads, upload_id: str) -> None:
    steps: list[Callable[[], object]] = [
        lambda: uploads.get(upload_id, caller=LOCAL),
        lambda: uploads.append(upload_id, 0, chunks(DATA), caller=LOCAL),
        lambda: uploads.delete(upload_id, caller=LOCAL),
    ]
    for step in steps:
        with pytest.raises(NotFound):
            await step()  # type: ignore[misc]


async def test_complete_upload_takes_no_more(uploads: Uploads) -> None:
    upload = await uploads.create("cells.tif", 3, "", caller=LOCAL)
    await uploads.append(upload.id, 0, chunks(b"abc"), caller=LOCAL)
    with pytest.raises(WrongState, match="complete already"):
        await uploads.append(upload.id, 3, chunks(b"d"), caller=LOCAL)


async def test_second_writer_is_refused_until_the_first_is_through(uploads: Uploads) -> None:
    upload = await uploads.create("cells.tif", len(DATA), SHA256, caller=LOCAL)
    go_on, first_came = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield DATA[:10]
        first_came.set()
        await go_on.wait()
        yield DATA[10:]

    first = asyncio.create_task(uploads.append(upload.id, 0, slow(), caller=LOCAL))
    await first_came.wait()
    with pytest.raises(WrongState, match="Another connection"):
        await uploads.append(upload.id, 0, chunks(DATA), caller=LOCAL)
    go_on.set()
    assert (await first).complete


async def test_failing_store_is_a_break_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 100)
    store = MemoryStore()
    uploads = Uploads(store, limit_bytes=2000, retention_s=3600.0)
    upload = await uploads.create("cells.tif", len(DATA), SHA256, caller=LOCAL)
    put, left = store.put, [3]

    async def failing(key: str, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TransientError("The disk of the object store is full.")
        await put(key, data)

    monkeypatch.setattr(store, "put", failing)
    with pytest.raises(TransientError):
        await uploads.append(upload.id, 0, chunks(DATA), caller=LOCAL)
    monkeypatch.setattr(store, "put", put)
    arrived = (await uploads.get(upload.id, caller=LOCAL)).offset_bytes
    assert 300 <= arrived < len(DATA)
    assert (await uploads.append(upload.id, arrived, chunks(DATA[arrived:]), caller=LOCAL)).complete


async def test_piece_beyond_a_gap_is_not_counted(uploads: Uploads) -> None:
    upload = await uploads.create("cells.tif", len(DATA), SHA256, caller=LOCAL)
    await uploads.append(upload.id, 0, chunks(DATA[:100]), caller=LOCAL)
    await uploads._write_piece(upload.id, 500, DATA[500:])
    assert (await uploads.get(upload.id, caller=LOCAL)).offset_bytes == 100


async def test_delete(uploads: Uploads, store: ObjectStore) -> None:
    upload = await uploads.create("cells.tif", 3, "", caller=LOCAL)
    await uploads.append(upload.id, 0, chunks(b"abc"), caller=LOCAL)
    await uploads.delete(upload.id, caller=LOCAL)
    with pytest.raises(NotFound):
        await uploads.get(upload.id, caller=LOCAL)
    assert await store.list("") == []


async def test_sweep_takes_what_has_expired_and_leaves_no_trace(
    uploads: Uploads, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    old = await uploads.create("old.tif", 3, "", caller=LOCAL)
    await uploads.append(old.id, 0, chunks(b"abc"), caller=LOCAL)
    now[0] += 1000
    young = await uploads.create("young.tif", 3, "", caller=LOCAL)
    assert old.create_time_s + 3600 + EXTRA_RETENTION_S == old.expire_time_s
    assert await uploads.sweep() == 0
    now[0] = old.expire_time_s + 1
    assert await uploads.sweep() == 1
    with pytest.raises(NotFound):
        await uploads.get(old.id, caller=LOCAL)
    assert young == await uploads.get(young.id, caller=LOCAL)
    assert await uploads.sweep() == 0
    assert len(await store.list("expiring/")) == 1


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_what_a_server_leaves_that_dies_while_it_begins_an_upload_expires(
    monkeypatch: pytest.MonkeyPatch, linked: bool, steps: int
) -> None:
    store = MemoryStore()
    uploads = Uploads(store, 2000, 3600.0, allowed_urls="file:///data/")
    put, left = store.put, steps

    async def dying(key: str, data: bytes) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        await put(key, data)

    monkeypatch.setattr(store, "put", dying)
    with suppress(KeyboardInterrupt):
        if linked:
            await uploads.link("file:///data/cells.tif", caller=LOCAL)
        else:
            await uploads.create("cells.tif", 10, "", caller=LOCAL)
    later = time.time() + 3600.0 + EXTRA_RETENTION_S + 1
    monkeypatch.setattr(module.time, "time", lambda: later)
    await uploads.sweep()
    assert store.objects == {}

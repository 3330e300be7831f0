"""The promises of `ports.ObjectStore`, kept alike by the fake in memory, a folder and S3."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from kiosk.adapters import object_store
from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.errors import NotFound
from kiosk.ports import ObjectStore
from kiosk.testing import MemoryStore

ODD_KEYS = [
    "jobs/1/results/cells of Ängström 漢字.tif",
    "jobs/1/results/100%25 (a+b)_=.png",
    "jobs/1/results/it's #1? [x]; a&b.csv",
    "jobs/1/results/" + "x" * 200,
]


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "s3":
        return ObstoreObjectStore(f"{request.getfixturevalue('bucket')}/prefix")
    return ObstoreObjectStore(str(tmp_path / "objects"))


async def joined(store: ObjectStore, key: str, *span: int) -> bytes:
    return b"".join([chunk async for chunk in store.read(key, *span)])


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 40], ids=len)
async def test_what_was_put_is_got(store: ObjectStore, data: bytes) -> None:
    await store.put("a/b", data)
    assert data == await store.get("a/b")
    assert len(data) == await store.size("a/b")
    assert data == await joined(store, "a/b")


async def test_second_put_replaces_the_first(store: ObjectStore) -> None:
    await store.put("a/b", b"long, long ago")
    await store.put("a/b", b"now")
    assert await store.get("a/b") == b"now"
    assert await store.list("a/") == [("a/b", 3)]


async def test_file_is_stored_from_its_beginning(store: ObjectStore) -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(7)
    await store.put_file("a/file", file)
    assert await store.get("a/file") == b"0123456789"


@pytest.mark.parametrize("offset", [0, 1, 4, 5, 9, 10])
@pytest.mark.parametrize("length", [None, 0, 1, 4, 100])
async def test_read_from_an_offset(
    store: ObjectStore, offset: int, length: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In chunks of four bytes, so that ends and chunk borders meet."""
    monkeypatch.setattr(object_store, "READ_CHUNK_BYTES", 4)
    data = b"0123456789"
    await store.put("a/b", data)
    expected = data[offset:] if length is None else data[offset : offset + length]
    found = [chunk async for chunk in store.read("a/b", offset, length)]
    assert expected == b"".join(found)


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_work_everywhere(store: ObjectStore, key: str) -> None:
    await store.put(key, b"data")
    assert await store.get(key) == b"data"
    assert await joined(store, key, 2) == b"ta"
    assert [(key, 4)] == await store.list("jobs/1/results/")
    with store.open(key) as file:
        assert file.read() == b"data"
    await store.delete_prefix("jobs/1/")
    assert await store.list("jobs/") == []


async def test_list_is_sorted_and_stays_below_its_prefix(store: ObjectStore) -> None:
    for key in ("jobs/2/a", "jobs/10/a", "jobs/1/b", "jobs/1/a/deep", "uploads/1"):
        await store.put(key, b"x")
    assert [key for key, _ in await store.list("jobs/1/")] == ["jobs/1/a/deep", "jobs/1/b"]
    assert [key for key, _ in await store.list("jobs/")] == [
        "jobs/1/a/deep",
        "jobs/1/b",
        "jobs/10/a",
        "jobs/2/a",
    ]
    assert len(await store.list("")) == 5
    assert await store.list("jobs/3/") == []
    assert await store.list("jo") == []


async def test_delete_takes_what_is_below_and_nothing_else(store: ObjectStore) -> None:
    for key in ("jobs/1/a", "jobs/1/b/c", "jobs/10/a"):
        await store.put(key, b"x")
    await store.delete_prefix("jobs/1/")
    assert await store.list("") == [("jobs/10/a", 1)]
    await store.delete_prefix("jobs/1/")  # nothing there is no error


async def test_delete_of_an_exact_key(store: ObjectStore) -> None:
    """As the sweeping of uploads does with its markers."""
    await store.put("expiring/1-a", b"")
    await store.put("expiring/1-ab", b"")
    await store.delete_prefix("expiring/1-a")
    assert await store.list("expiring/") == [("expiring/1-ab", 0)]


async def test_what_is_not_there_is_not_found(store: ObjectStore) -> None:
    await store.put("a/b", b"x")
    for key in ("no/such", "a", "a/bc"):
        with pytest.raises(NotFound):
            await store.get(key)
        with pytest.raises(NotFound):
            await store.size(key)
        with pytest.raises(NotFound):
            await joined(store, key)
        with pytest.raises(NotFound):
            store.open(key)


async def test_open_reads_seeks_and_tells_like_a_file(store: ObjectStore) -> None:
    data = bytes(range(100))
    await store.put("a/b", data)
    file = store.open("a/b")
    assert file.read(0) == b""
    assert (data[:3], 3) == (file.read(3), file.tell())
    assert file.seek(50) == 50
    assert data[50:52] == file.read(2)
    assert file.seek(3, io.SEEK_CUR) == 55
    assert file.seek(-5, io.SEEK_END) == 95
    assert data[95:] == file.read(50)
    assert file.read() == b""
    assert file.seek(0) == 0
    assert data == file.read()
    assert (file.readable(), file.seekable()) == (True, True)
    file.close()
    assert file.closed


async def test_readinto_fills_what_there_is(store: ObjectStore) -> None:
    await store.put("a/b", b"0123456789")
    file = store.open("a/b")
    file.seek(6)
    buffer = bytearray(b"......")
    assert file.readinto(buffer) == 4  # type: ignore[attr-defined]
    assert bytes(buffer) == b"6789.."
    assert file.readinto(buffer) == 0  # type: ignore[attr-defined]


async def test_open_file_outlives_the_deletion_of_its_object(store: ObjectStore) -> None:
    """A consumer keeps images open; the sweeper does not ask it first."""
    await store.put("a/b", b"0123456789")
    file = store.open("a/b")
    assert file.read(2) == b"01"
    await store.delete_prefix("a/")
    with pytest.raises(NotFound):
        await store.get("a/b")


async def test_folder_of_the_store_is_private_and_survives_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "objects"
    await ObstoreObjectStore(str(folder)).put("a/b", b"x")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert await ObstoreObjectStore(str(folder)).get("a/b") == b"x"


async def test_what_was_flushed_is_still_there(store: ObjectStore) -> None:
    await store.put("jobs/1/results/a b.csv", b"data")
    await store.put("jobs/1/results/deep/c", b"")
    await store.flush("jobs/1/results/")
    await store.flush("jobs/2/")  # nothing there is no error
    assert await store.get("jobs/1/results/a b.csv") == b"data"

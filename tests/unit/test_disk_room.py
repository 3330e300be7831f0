"""Nothing new is taken while the disk is nearly full."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
from segmented import spots, tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.disk_room import DiskRoom
from kiosk.errors import Overloaded
from kiosk.jobs import JobState
from kiosk.settings import LimitSettings
from kiosk.testing import MemoryStore, make_kiosk
from kiosk.uploads import PIECE_BYTES, Uploads

SPARE = 1000


class Usage(NamedTuple):
    """As shutil.disk_usage gives it."""

    free: int


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Bytes free by folder, to be set."""
    found = {"/one": SPARE, "/two": SPARE}
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(found[str(folder)]))
    return found


@pytest.fixture
def room() -> DiskRoom:
    return DiskRoom([Path("/one"), Path("/two")], SPARE)


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield bytes(PIECE_BYTES)


def test_every_disk_needs_room(free: dict[str, int], room: DiskRoom) -> None:
    room.check()
    with pytest.raises(Overloaded, match=r"nearly full\. Delete jobs and uploads") as error:
        room.check(1)
    assert error.value.reason == "DISK_NEARLY_FULL"
    assert "/one" not in error.value.message  # callers are told nothing of the folders
    free |= {"/one": 2 * SPARE, "/two": SPARE - 1}
    with pytest.raises(Overloaded):
        room.check()


def test_nothing_is_checked_where_nobody_wants_it(free: dict[str, int]) -> None:
    free["/one"] = 0
    DiskRoom([Path("/one")], 0).check(10**18)


async def test_an_upload_that_does_not_fit_is_refused_before_a_byte_is_sent(
    free: dict[str, int], room: DiskRoom
) -> None:
    store = MemoryStore()
    uploads = Uploads(store, 10**9, 3600.0, room=room)
    free |= {"/one": SPARE + 20, "/two": SPARE + 20}
    await uploads.create("small.tif", 10, "", caller=LOCAL)  # its pieces and the whole
    before = dict(store.objects)
    with pytest.raises(Overloaded):
        await uploads.create("large.tif", 11, "", caller=LOCAL)
    assert store.objects == before


async def test_an_upload_that_fills_the_disk_stops_and_goes_on_later(
    free: dict[str, int], room: DiskRoom
) -> None:
    uploads = Uploads(MemoryStore(), 10**9, 3600.0, room=room)
    upload = await uploads.create("unknown size.tif", -1, "", caller=LOCAL)

    async def filling() -> AsyncIterator[bytes]:
        async for chunk in chunks(3):
            yield chunk
            free["/two"] -= 1

    with pytest.raises(Overloaded):
        await uploads.append(upload.id, 0, filling(), caller=LOCAL)
    kept = (await uploads.get(upload.id, caller=LOCAL)).offset_bytes
    free["/two"] = SPARE
    done = await uploads.append(upload.id, kept, chunks(1), finish=True, caller=LOCAL)
    assert done.complete
    assert done.size_bytes == kept + PIECE_BYTES


async def test_no_job_is_taken_and_those_that_run_go_on(
    free: dict[str, int], room: DiskRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk = make_kiosk(ImageFileReader(LimitSettings()))
    monkeypatch.setattr(kiosk.service, "_room", room)
    upload_id = await kiosk.upload(tiff(spots((40, 40))))
    job = await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    free["/one"] = 0
    with pytest.raises(Overloaded):
        await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    monkeypatch.undo()
    await kiosk.work()
    assert JobState.SUCCEEDED is (await kiosk.queue.get(job.id)).state

"""Temporary files: where they lie, and what is said when there is no room."""

from __future__ import annotations

import errno
import fcntl
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from segmented import spots, tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import DISK_FULL, Outage, PermanentError, TransientError
from kiosk.jobs import JobState
from kiosk.pipelines.context import SegmentationOptions
from kiosk.scratch import (
    ENOUGH_BYTES,
    PREFIX,
    check_scratch,
    choose_scratch,
    no_room,
    scratch_folder,
    sweep_scratch,
)
from kiosk.settings import LimitSettings
from kiosk.testing import make_kiosk


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())


def test_temporary_files_go_where_they_are_told(tmp_path: Path) -> None:
    choose_scratch(tmp_path / "disk")
    with scratch_folder("test") as folder, tempfile.NamedTemporaryFile() as file:
        assert folder.parent == Path(file.name).parent == tmp_path / "disk"
        (folder / "labels").write_bytes(b"1")
    assert not any((tmp_path / "disk").iterdir())


def test_nothing_said_is_the_folder_of_the_system() -> None:
    before = tempfile.gettempdir()
    choose_scratch(None)
    assert before == tempfile.gettempdir()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PermanentError, match="KIOSK_SCRATCH_DIR"):
        choose_scratch(tmp_path / "file" / "folder")


def test_too_little_room_is_said_before() -> None:
    message = r"needs 1073741824.0 GiB for temporary files and .* GiB left"
    with pytest.raises(Outage, match=message), scratch_folder("test", 2**60):
        pytest.fail("there cannot be so much")


def test_a_disk_that_runs_full() -> None:
    with pytest.raises(Outage, match="is full; make room"), scratch_folder("test"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_counts_as_usable_again_when_there_is_some_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free=ENOUGH_BYTES - 1))
    with pytest.raises(Outage) as error:
        check_scratch()
    assert error.value.reason == DISK_FULL
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free=ENOUGH_BYTES))
    check_scratch()


def test_only_a_full_disk_is_an_outage() -> None:
    full = no_room(OSError(errno.ENOSPC, "No space left on device"), "There is no room.")
    assert (type(full), full.reason, full.message) == (Outage, DISK_FULL, "There is no room.")
    assert type(no_room(OSError(errno.EFBIG, "File too large"), "No room.")) is TransientError


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    choose_scratch(tmp_path)
    abandoned = tmp_path / f"{PREFIX}join-1"
    (abandoned / "inner").mkdir(parents=True)
    (tmp_path / "somebody's").mkdir()
    with scratch_folder("join") as folder:
        (folder / "labels").touch()
        assert sweep_scratch() == 1
        assert (folder / "labels").exists()
        assert not abandoned.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody's"]


def test_a_folder_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_scratch(tmp_path)
    real, swept = fcntl.flock, []

    def late(lock: int, operation: int) -> None:
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].rmdir()
        real(lock, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with scratch_folder("join") as folder:
        assert folder.is_dir()
        assert folder not in swept


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(IsADirectoryError), scratch_folder("test") as folder:
        folder.write_bytes(b"")


async def test_a_job_without_room_for_its_labels_waits_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Labels of planes in blocks are written to the disk, four bytes for each pixel."""
    kiosk = make_kiosk(
        ImageFileReader(LimitSettings()),
        options=SegmentationOptions(block_px=64, block_halo_px=16),
    )
    upload_id = await kiosk.upload(tiff(spots((200, 200))), "cells.tif")
    job = await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free=4 * 200 * 200 - 1))
    await kiosk.work()
    waiting = await kiosk.service.get_job(job.id, caller=LOCAL)
    assert JobState.RUNNING is waiting.state
    assert "KIOSK_SCRATCH_DIR" in waiting.waiting_for


class Usage(NamedTuple):
    """As shutil.disk_usage gives it."""

    free: int

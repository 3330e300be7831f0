"""Temporary files: where they lie, and what is said when there is no room for them.

Labels of large planes, results while they are written, uploads while they are put together and
unpacked members of archives all go to Python's folder for temporary files, which is set here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kiosk.errors import DISK_FULL, Outage, PermanentError, TransientError
from kiosk.settings import GIB, MIB

PREFIX = "kiosk-scratch-"
"""First letters of the names of our folders, which may be swept."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
ENOUGH_BYTES = 64 * MIB
"""A disk that was full counts as usable again with so much room: some parts need no more."""


def choose_scratch(folder: Path | None) -> None:
    """Put the temporary files of this process into a folder; None = where the system says.

    Raises:
        PermanentError: it cannot be used.
    """
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermanentError(
            f"Temporary files cannot be written to {folder}: {error.strerror}. Choose another"
            " folder with KIOSK_SCRATCH_DIR."
        ) from error
    tempfile.tempdir = str(folder.absolute())


def check_scratch() -> None:
    """Raises Outage while there is hardly any room for temporary files."""
    place = tempfile.gettempdir()
    if shutil.disk_usage(place).free < ENOUGH_BYTES:
        raise _full(place)


def no_room(error: OSError, message: str) -> TransientError:
    """What is told of temporary bytes that could not be written: an outage, if the disk is full."""
    if error.errno in _NO_ROOM:
        return Outage(message, reason=DISK_FULL)
    return TransientError(message)


def _full(place: str) -> Outage:
    return Outage(
        f"The disk with the temporary files, {place}, is full; make room or choose another folder"
        " with KIOSK_SCRATCH_DIR.",
        reason=DISK_FULL,
    )


@contextmanager
def scratch_folder(purpose: str, needed_bytes: int = 0) -> Iterator[Path]:
    """A folder of its own for temporary files, deleted at the end.

    Args:
        purpose: a word for its name.
        needed_bytes: what will be written at most, as far as that is known before.

    Raises:
        Outage: there is not so much room, or what there was has run out.
    """
    place = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(place).free
    if needed_bytes > free_bytes:
        raise Outage(
            f"This image needs {needed_bytes / GIB:.1f} GiB for temporary files and {place} has"
            f" {free_bytes / GIB:.1f} GiB left; make room or choose another folder with"
            " KIOSK_SCRATCH_DIR.",
            reason="NO_ROOM_FOR_IMAGE",
        )
    try:
        with _claimed_folder(purpose) as folder:
            yield folder
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _full(place) from error


@contextmanager
def _claimed_folder(purpose: str) -> Iterator[Path]:
    """A temporary folder that is locked for as long as its process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-"))
        lock = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # on some network disks; then nobody can sweep there either
            fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():  # else it was taken for abandoned before it was locked
            break
        os.close(lock)
    try:
        yield folder
    finally:
        # A thread that was given up may still be writing; what it leaves is swept later.
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep_scratch() -> int:
    """Delete the temporary folders of processes that were killed; returns how many.

    The kernel takes the lock of a folder away when its process ends, however that happens. Unlike
    an id, it tells apart processes of different containers that share a disk.
    """
    swept = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                swept += 1
            finally:
                os.close(lock)
    return swept

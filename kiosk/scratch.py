"""Temporary files: where they lie, and what is said when there is no room for them.

Labels of large planes, results while they are written, uploads while they are put together and
unpacked members of archives all go to Python's folder for temporary files, which is set here.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiosk.errors import PermanentError, TransientError
from kiosk.settings import GIB


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


@contextmanager
def scratch_folder(prefix: str, needed_bytes: int = 0) -> Iterator[Path]:
    """A folder of its own for temporary files, deleted at the end.

    Args:
        needed_bytes: what will be written at most, as far as that is known before.

    Raises:
        TransientError: there is not so much room, or what there was has run out.
    """
    place = tempfile.gettempdir()
    free_bytes = shutil.disk_usage(place).free
    if needed_bytes > free_bytes:
        raise TransientError(
            f"This image needs {needed_bytes / GIB:.1f} GiB for temporary files and {place} has"
            f" {free_bytes / GIB:.1f} GiB left; make room or choose another folder with"
            " KIOSK_SCRATCH_DIR."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise TransientError(
            f"The disk with the temporary files, {place}, is full; make room or choose another"
            " folder with KIOSK_SCRATCH_DIR."
        ) from error

"""A folder as one file: an OME-Zarr is zipped, without compression, to be uploaded.

Light on imports, because the client library uses it.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from kiosk.errors import InvalidRequest

# Files that mark a folder as part of a Zarr hierarchy, of format 2 and 3.
ZARR_MARKS = (".zattrs", ".zgroup", ".zarray", "zarr.json")
_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini", ".ds_store"})


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """A sort key for the order that people expect: "f2" before "f10", case left aside."""
    parts = re.split(r"(\d+)", text.casefold())
    return [
        (0, int(part[:4000]), "") if part[0].isdecimal() else (1, 0, part) for part in parts if part
    ]


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is an operating system's own."""
    return name.casefold() in _JUNK or name.startswith("._")


def is_ome_zarr(path: str | Path) -> bool:
    """Whether a path is a folder that begins a Zarr hierarchy."""
    folder = Path(path)
    return folder.is_dir() and any((folder / mark).is_file() for mark in ZARR_MARKS)


@contextlib.contextmanager
def zipped_folder(path: str | Path) -> Iterator[BinaryIO]:
    """A seekable file, positioned at its start, with the OME-Zarr folder zipped into it.

    The chunks are compressed already, so they are stored as they are. The file is temporary and
    takes as much disk as the folder. Symbolic links are followed as long as they stay inside of
    the folder; what operating systems leave behind is left out. Raises InvalidRequest when
    `path` is no OME-Zarr or a link leads out of it.
    """
    folder = Path(path)
    if not is_ome_zarr(folder):
        raise InvalidRequest(
            f"'{path}' is not an OME-Zarr folder: none of {', '.join(ZARR_MARKS)} is in it.",
            reason="NOT_AN_IMAGE",
        )
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for inner in _files(folder):
                archive.write(inner, inner.relative_to(folder).as_posix())
        file.seek(0)
        yield cast(BinaryIO, file)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in a fixed order, without junk."""
    root = folder.resolve()
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in [*folders, *sorted(names)]:
            inner = Path(parent, name)
            if inner.is_symlink() and not inner.resolve().is_relative_to(root):
                raise InvalidRequest(
                    f"'{inner}' is a link that leads out of the folder; replace it by the files"
                    " themselves.",
                    reason="UNSAFE_ARCHIVE",
                )
        yield from (Path(parent, name) for name in sorted(names) if not is_junk(name))

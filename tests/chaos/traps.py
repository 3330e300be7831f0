"""Images that bring their consumer down: one kills its process, one makes its reader hang.

The kiosk has no such hook; the consumers of a chaos run put these readers around their own.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np

from kiosk.ports import File, ImageFiles, ImageSource
from kiosk.reading import ReadOptions

# First letters of file names, and what happens to who reads such a file.
KILLS_ON_OPENING = "poison_open"
KILLS_ON_READING = "poison_read"
HANGS = "hang"


class TrapFiles:
    """`ports.ImageFiles` with traps in some files."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    def open(self, file: File, file_name: str, reading: ReadOptions = ReadOptions()) -> ImageSource:
        if file_name.startswith(KILLS_ON_OPENING):
            die()
        source = self._files.open(file, file_name, reading)
        if file_name.startswith((KILLS_ON_READING, HANGS)):
            return TrapSource(source, file_name)  # type: ignore[return-value]
        return source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


class TrapSource:
    """An opened image whose last frame is a trap."""

    def __init__(self, source: ImageSource, file_name: str) -> None:
        self._source = source
        self._file_name = file_name

    def plane(self, t: int, *arguments: Any, **options: Any) -> np.ndarray:
        if t == self._source.sizes["t"] - 1:
            if self._file_name.startswith(KILLS_ON_READING):
                die()
            threading.Event().wait()
        return self._source.plane(t, *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def die() -> None:
    """What an image does that needs more memory than there is."""
    os.kill(os.getpid(), signal.SIGKILL)

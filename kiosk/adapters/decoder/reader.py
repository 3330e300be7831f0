"""A process that reads one image: opens it, answers for its planes, and ends with its socket.

It is forked by the zygote and confined. Whatever goes wrong with the image is an answer; whatever
goes wrong with the process is seen by its end.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kiosk.adapters.decoder import confinement, wire
from kiosk.adapters.decoder.facts import entries_as_list, facts_of
from kiosk.adapters.store_reader import READ_AHEAD_BYTES
from kiosk.errors import KioskError, TooLarge, TransientError
from kiosk.ports import File, ImageFiles, ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import MIB, take_environment

LONGEST_TRACEBACK = 4000
# 1 x 1 px: a header, the eight tags that an image must have, a byte.
SMALL_TIFF = struct.pack(
    "<2sHIH" + "HHII" * 8 + "IB",
    *(b"II", 42, 8, 8),
    *(256, 4, 1, 1, 257, 4, 1, 1, 258, 3, 1, 8, 259, 3, 1, 1, 262, 3, 1, 1),
    *(273, 4, 1, 110, 278, 4, 1, 1, 279, 4, 1, 1, 0, 0),
)


class ImageReader:
    """Does what it is asked over a socket until that is closed.

    Args:
        files: opens images.
        memory_bytes: the limit of this process, for the sentence when it is reached.
    """

    def __init__(self, sock: socket.socket, files: ImageFiles, memory_bytes: int) -> None:
        self._socket, self._files, self._memory_bytes = sock, files, memory_bytes
        self._source: ImageSource | None = None
        self._file_name = ""
        self._turn = _Turn()

    def get_ready(self) -> None:
        """Touch what is needed to open an image, while nobody waits.

        A forked process gets memory of its own page by page as it is written to, which takes
        longer than opening a small image.
        """
        self._files.open(io.BytesIO(SMALL_TIFF), "").close()

    def serve(self) -> None:
        """Returns when the other side has gone."""
        steps: Mapping[str, Callable[[dict[str, Any], int | None], Any]] = {
            "open": self._open,
            "entries": self._entries,
            "plane": self._plane,
        }
        while True:
            try:
                asked, fd = wire.receive_with_file(self._socket)
            except wire.Broken:
                return
            self._turn.is_ours = True
            answer = self._answer(steps[asked["step"]], asked, fd)
            with self._turn.lock:
                self._turn.is_ours = False
                self._tell(answer)

    def _tell(self, answer: dict[str, Any]) -> None:
        pixels = answer.get("done")
        if not isinstance(pixels, np.ndarray):
            wire.send(self._socket, answer)
            return
        wire.send(self._socket, {"done": "pixels"})
        if pixels.size:
            self._socket.sendall(pixels.reshape(-1).view(np.uint8).data)

    def _answer(
        self, step: Callable[[dict[str, Any], int | None], Any], asked: Any, fd: int | None
    ) -> dict[str, Any]:
        try:
            return {"done": step(asked, fd)}
        except KioskError as error:
            return {"error": wire.error_as_dict(error)}
        except MemoryError:
            too_large = TooLarge(
                f"Reading '{self._file_name}' takes more than the {self._memory_bytes // MIB} MiB"
                " of memory that an image may take; cut it into smaller images, or raise"
                " KIOSK_DECODING__MEMORY_BYTES.",
                reason="IMAGE_TOO_LARGE",
            )
            return {"error": wire.error_as_dict(too_large)}
        except Exception:
            return {"fault": traceback.format_exc()[-LONGEST_TRACEBACK:]}

    def _open(self, asked: dict[str, Any], fd: int | None) -> dict[str, Any]:
        options = ReadOptions.from_dict(asked["options"])
        self._source = self._files.open(self._file(asked, fd), self._file_name, options)
        return facts_of(self._source)

    def _entries(self, asked: dict[str, Any], fd: int | None) -> list[list[Any]]:
        return entries_as_list(self._files.entries(self._file(asked, fd), self._file_name))

    def _plane(self, asked: dict[str, Any], _fd: int | None) -> np.ndarray:
        assert self._source is not None
        rows, columns = (slice(*part) for part in asked["window"])
        pixels = self._source.plane(
            asked["t"], asked["z"], asked["channels"], (rows, columns), asked["level"]
        )
        if list(pixels.shape) != asked["shape"] or pixels.dtype.str != asked["dtype"]:
            raise ValueError(f"pixels are {pixels.shape} {pixels.dtype}, not {asked}")
        return np.ascontiguousarray(pixels)

    def _file(self, asked: dict[str, Any], fd: int | None) -> File:
        """What is to be read: a descriptor, an address, or bytes that have to be asked for."""
        self._file_name = asked["file_name"]
        confinement.shut_in(fd=fd, url=asked["url"])
        if asked["url"]:
            take_environment(asked["environment"])
            return str(asked["url"])
        if fd is not None:
            return io.BufferedReader(_PassedFile(fd), READ_AHEAD_BYTES)
        size_bytes = int(asked["size_bytes"])
        return io.BufferedReader(_AskedFile(self._socket, self._turn, size_bytes), READ_AHEAD_BYTES)


class _Turn:
    """Whose turn it is to speak. Threads that still read a file after the answer get nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.is_ours = False


class _PassedFile(io.FileIO):
    """An open file of another process, with a path to it for libraries that can only read paths."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "rb")
        self.name = f"/proc/self/fd/{fd}"


class _AskedFile(io.RawIOBase):
    """A file that the other side reads for us, piece by piece; for several threads."""

    def __init__(self, sock: socket.socket, turn: _Turn, size_bytes: int) -> None:
        self._socket, self._turn, self._size_bytes = sock, turn, size_bytes
        self._position = 0

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), wire.LONGEST_READ_BYTES, self._size_bytes - self._position)
        if length <= 0:
            return 0
        count = None
        with self._turn.lock:
            if self._turn.is_ours:
                wire.send(self._socket, {"read": [self._position, length]})
                count = wire.receive_bytes(self._socket, view[:length])
        if count is None:
            raise TransientError("The stored image could not be read.")
        self._position += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

"""A stored object as a seekable Python file."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from kiosk.adapters.store_errors import asking

READ_AHEAD_BYTES = 256 * 1024


def buffered(reader: Any, key: str, name: str = "") -> BinaryIO:
    """obstore's reader as a file with a standard buffer in front of it.

    Headers of long stacks are thousands of tiny reads; the buffer keeps them in memory. `name` is
    its path where the store is a folder: some libraries can only read paths. A store that fails
    raises Outage from every method, not what a reader of images would take for a damaged file.
    """
    return io.BufferedReader(_Reader(reader, key, name), READ_AHEAD_BYTES)


class _Reader(io.RawIOBase):
    """obstore's reader with the methods of a raw file."""

    def __init__(self, reader: Any, key: str, name: str) -> None:
        self._reader, self._key, self.name = reader, key, name

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        with asking("read", self._key):
            data = bytes(self._reader.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._reader.seek(offset, whence))

    def tell(self) -> int:
        return int(self._reader.tell())

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
        super().close()

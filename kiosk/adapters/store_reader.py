"""A stored object as a seekable Python file."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

READ_AHEAD_BYTES = 256 * 1024


def buffered(reader: Any) -> BinaryIO:
    """obstore's reader as a file with a standard buffer in front of it.

    Headers of long stacks are thousands of tiny reads; the buffer keeps them in memory.
    """
    return io.BufferedReader(_Reader(reader), READ_AHEAD_BYTES)


class _Reader(io.RawIOBase):
    """obstore's reader with the methods of a raw file."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
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

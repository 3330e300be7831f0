"""`ports.ModelSource` in memory."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from kiosk.errors import STORE_AWAY, NotFound, Outage
from kiosk.ports import SourceFile


class MemoryModelSource:
    """`ports.ModelSource` in memory.

    Attributes:
        contents: path -> bytes.
        fetched: paths that were fetched, in order.
        failing: paths whose fetching fails.
    """

    def __init__(self, contents: dict[str, bytes] | None = None) -> None:
        self.contents = contents if contents is not None else {}
        self.fetched: list[str] = []
        self.failing: set[str] = set()

    async def files(self) -> list[SourceFile]:
        return [
            SourceFile(path, len(data), hashlib.sha256(data).hexdigest())
            for path, data in sorted(self.contents.items())
        ]

    async def fetch(self, file: SourceFile, target: BinaryIO) -> None:
        if file.path in self.failing:
            raise Outage("The object store does not answer.", reason=STORE_AWAY)
        if file.path not in self.contents:
            raise NotFound(f"There is nothing stored as '{file.path}'.")
        self.fetched.append(file.path)
        target.write(self.contents[file.path])

"""`ports.ObjectStore` in memory."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from typing import BinaryIO

from kiosk.errors import (
    NotFound,
)


class MemoryStore:
    """`ports.ObjectStore` in a dictionary."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes) -> None:
        self.objects[key] = bytes(data)

    async def put_file(self, key: str, file: BinaryIO) -> None:
        file.seek(0)
        self.objects[key] = file.read()

    async def get(self, key: str) -> bytes:
        if key not in self.objects:
            raise NotFound(f"There is nothing stored as '{key}'.")
        return self.objects[key]

    async def size(self, key: str) -> int:
        return len(await self.get(key))

    async def read(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        data = await self.get(key)
        end = len(data) if length is None else offset + length
        yield data[offset:end]

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        below = f"{prefix.rstrip('/')}/" if prefix else ""
        return sorted((k, len(v)) for k, v in self.objects.items() if k.startswith(below))

    async def delete_prefix(self, prefix: str) -> None:
        for key, _ in await self.list(prefix):
            del self.objects[key]
        self.objects.pop(prefix, None)

    def open(self, key: str) -> BinaryIO:
        if key not in self.objects:
            raise NotFound(f"There is nothing stored as '{key}'.")
        return io.BytesIO(self.objects[key])

    async def flush(self, prefix: str) -> None:
        """Nothing here outlives anything."""

    async def check(self) -> None:
        """It is always there."""

"""Where files are: uploads, results, models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class ObjectStore(Protocol):
    """Named byte strings in a folder or a bucket."""

    async def put(self, key: str, data: bytes) -> None: ...

    async def put_file(self, key: str, file: BinaryIO) -> None:
        """Store a local file from its beginning."""

    async def get(self, key: str) -> bytes:
        """Raises NotFound."""

    async def size(self, key: str) -> int:
        """Size in bytes. Raises NotFound."""

    def read(self, key: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `offset` on, in chunks. Raises NotFound."""

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        """(key, size in bytes) below a prefix of whole path segments, sorted by key."""

    async def delete_prefix(self, prefix: str) -> None:
        """Delete the object of that name and all below it; nothing there is no error."""

    def open(self, key: str) -> BinaryIO:
        """A seekable file for lazy reading; for use in a thread. Raises NotFound."""

    async def flush(self, prefix: str) -> None:
        """When this returns, what lies below a prefix outlives a power failure."""

    async def check(self) -> None:
        """Raises Outage while nothing can be read or stored."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a model repository elsewhere.

    Attributes:
        path: with / between its parts, as the source has it; not to be trusted.
        mark: another text when the content has changed.
    """

    path: str
    size_bytes: int
    mark: str


class ModelSource(Protocol):
    """A model repository in a folder or a bucket, to be read only."""

    async def files(self) -> list[SourceFile]:
        """All files, by their paths. Raises Outage."""

    async def fetch(self, file: SourceFile, target: BinaryIO) -> None:
        """Write the bytes of a file to `target`. Raises NotFound, Outage."""

"""Named byte strings in a folder, an S3 bucket or a Google Cloud Storage bucket (obstore)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kiosk.adapters.store_reader import buffered
from kiosk.errors import KioskError, NotFound, PermanentError, TransientError

# Large enough that a round trip to a bucket does not dominate, small enough to hold several.
READ_CHUNK_BYTES = 4 * 1024 * 1024


class ObstoreObjectStore:
    """`ports.ObjectStore` over a folder path, `s3://bucket/prefix` or `gs://bucket/prefix`."""

    def __init__(self, url: str) -> None:
        self._store: Any
        if "://" in url:
            self._store = from_url(cast(Any, url))
        else:
            folder = Path(url)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store = LocalStore(str(folder), automatic_cleanup=True)

    async def put(self, key: str, data: bytes) -> None:
        try:
            await obstore.put_async(self._store, key, data)
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error

    async def put_file(self, key: str, file: BinaryIO) -> None:
        try:
            file.seek(0)
            await obstore.put_async(self._store, key, file)
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error

    async def get(self, key: str) -> bytes:
        try:
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error

    async def size(self, key: str) -> int:
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error

    async def read(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        total = await self.size(key)
        end = total if length is None else min(total, offset + length)
        while offset < end:
            count = min(READ_CHUNK_BYTES, end - offset)
            try:
                data = await obstore.get_range_async(self._store, key, start=offset, length=count)
            except (BaseError, OSError) as error:
                raise _translated(error, key) from error
            yield bytes(data)
            offset += count

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        try:
            found = [
                (str(item["path"]), int(item["size"]))
                async for batch in obstore.list(self._store, prefix)
                for item in batch
            ]
        except (BaseError, OSError) as error:
            raise _translated(error, prefix) from error
        return sorted(found)

    async def delete_prefix(self, prefix: str) -> None:
        keys = [key for key, _ in await self.list(prefix)]
        if prefix and not prefix.endswith("/"):
            keys.append(prefix)  # a listing has only what lies below
        try:
            if keys:
                await obstore.delete_async(self._store, keys)
        except FileNotFoundError:
            # Somebody else swept at the same time: delete what is left one by one.
            await asyncio.gather(*(self._delete_quietly(key) for key in keys))
        except (BaseError, OSError) as error:
            raise _translated(error, prefix) from error

    async def _delete_quietly(self, key: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                await obstore.delete_async(self._store, key)
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error

    def open(self, key: str) -> BinaryIO:
        try:
            reader = obstore.open_reader(self._store, key)
        except (BaseError, OSError) as error:
            raise _translated(error, key) from error
        return buffered(reader)


def _translated(error: Exception, key: str) -> KioskError:
    if isinstance(error, FileNotFoundError):
        return NotFound(f"There is nothing stored as '{key}'.")
    if isinstance(error, OSError) and error.errno == 28:
        return TransientError("The disk of the object store is full. Free some space.")
    if isinstance(error, PermissionError):
        return PermanentError(f"The object store does not allow access to '{key}'.")
    return TransientError(f"The object store failed on '{key}': {error}.")

"""Named byte strings in a folder, an S3 bucket or a Google Cloud Storage bucket (obstore)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.store import LocalStore

from kiosk.adapters.buckets import open_bucket
from kiosk.adapters.store_errors import asking
from kiosk.adapters.store_reader import buffered
from kiosk.errors import DISK_FULL, NotFound, Outage

# Large enough that a round trip to a bucket does not dominate, small enough to hold several.
READ_CHUNK_BYTES = 4 * 1024 * 1024
# A disk that was full counts as usable again when it has room for what some parts leave.
ENOUGH_BYTES = 64 * 1024 * 1024


class ObstoreObjectStore:
    """`ports.ObjectStore` over a folder path, `s3://bucket/prefix` or `gs://bucket/prefix`.

    An object is there as a whole or not at all: a bucket does so by itself, and in a folder bytes
    are written to a file of another name first.

    Args:
        retry_s: for so long a request is sent again before the bucket counts as away.
    """

    def __init__(self, url: str, retry_s: float = 30.0) -> None:
        self._store: Any
        self._folder: Path | None = None
        if "://" in url:
            self._store = open_bucket(url, retry_s)
        else:
            self._folder = Path(url)
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._store = LocalStore(str(self._folder), automatic_cleanup=True)

    async def put(self, key: str, data: bytes) -> None:
        with asking("put", key):
            await obstore.put_async(self._store, key, data)

    async def put_file(self, key: str, file: BinaryIO) -> None:
        with asking("put", key):
            file.seek(0)
            await obstore.put_async(self._store, key, file)

    async def get(self, key: str) -> bytes:
        with asking("get", key):
            answer = await obstore.get_async(self._store, key)
            return bytes(await answer.bytes_async())

    async def size(self, key: str) -> int:
        with asking("size", key):
            return int((await obstore.head_async(self._store, key))["size"])

    async def read(
        self, key: str, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        total = await self.size(key)
        end = total if length is None else min(total, offset + length)
        while offset < end:
            count = min(READ_CHUNK_BYTES, end - offset)
            with asking("read", key):
                data = await obstore.get_range_async(self._store, key, start=offset, length=count)
            yield bytes(data)
            offset += count

    async def list(self, prefix: str) -> list[tuple[str, int]]:
        with asking("list", prefix):
            found = [
                (str(item["path"]), int(item["size"]))
                async for batch in obstore.list(self._store, prefix)
                for item in batch
            ]
        return sorted(found)

    async def delete_prefix(self, prefix: str) -> None:
        keys = [key for key, _ in await self.list(prefix)]
        if prefix and not prefix.endswith("/"):
            keys.append(prefix)  # a listing has only what lies below
        try:
            if keys:
                with asking("delete", prefix):
                    await obstore.delete_async(self._store, keys)
        except NotFound:
            # Somebody else swept at the same time: delete what is left one by one.
            await asyncio.gather(*(self._delete_quietly(key) for key in keys))
        if self._folder is not None and prefix.endswith("/"):
            await asyncio.to_thread(_remove_folder, self._folder, prefix)

    async def _delete_quietly(self, key: str) -> None:
        with contextlib.suppress(NotFound), asking("delete", key):
            await obstore.delete_async(self._store, key)

    async def flush(self, prefix: str) -> None:
        if self._folder is None:
            return  # a bucket answers when it has made sure
        with asking("flush", prefix):
            await asyncio.to_thread(_flush_folder, self._folder / prefix)

    async def check(self) -> None:
        if self._folder is not None:
            free_bytes = (await asyncio.to_thread(shutil.disk_usage, self._folder)).free
            if free_bytes < ENOUGH_BYTES:
                raise Outage("The disk of the object store is full.", reason=DISK_FULL)
        await self.list("check/")

    def open(self, key: str) -> BinaryIO:
        with asking("open", key):
            reader = obstore.open_reader(self._store, key)
        name = str(self._folder / key) if self._folder is not None else ""
        return buffered(reader, key, name)


def _remove_folder(root: Path, prefix: str) -> None:
    """Remove what a killed writer has left half written below a prefix; no listing shows it."""
    names = [name for name in prefix.split("/") if name]
    if names and not {".", ".."}.intersection(names):
        shutil.rmtree(root.joinpath(*names), ignore_errors=True)


def _flush_folder(folder: Path) -> None:
    """Have the operating system write down all that is below a folder, and that it is there."""
    for place, _, names in os.walk(folder):
        for name in [*names, "."]:
            file = os.open(os.path.join(place, name), os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)

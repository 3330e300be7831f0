"""Zarr arrays opened by the zarr package over keys that are watched.

zarr gets the checked document of an array and the bytes of its chunks, nothing else; how many bytes
a chunk may have is bounded before and after it is unpacked. Import this module late: zarr
takes half a second.
"""

from __future__ import annotations

import asyncio
import json
import threading
import warnings
from collections.abc import AsyncIterator, Iterable
from typing import Any

import numpy as np
import zarr
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from kiosk.adapters.images.zarr_codecs import bound_bytes
from kiosk.adapters.images.zarr_documents import ArrayDocument
from kiosk.adapters.images.zarr_keys import ZarrKeys

# Pixels that are unpacked for one call of zarr, which unpacks up to ten chunks at a time.
READ_BYTES = 64 * 1024 * 1024


class ZarrArray:
    """A stored array of numbers; for use in threads.

    Attributes:
        document: its shape, chunks and dtype.
    """

    def __init__(self, keys: ZarrKeys, path: str, document: ArrayDocument) -> None:
        self.document = document
        self._store = _WatchedStore(keys, path, document)
        self._array: Any = None
        self._lock = threading.Lock()

    def read(self, selection: tuple[int | slice, ...]) -> np.ndarray:
        """The values at a selection with one number or slice per axis, in native byte order.

        Raises whatever zarr and the decoders raise on damaged chunks.
        """
        with self._lock:
            if self._array is None:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about codecs that are not in a specification
                    self._array = zarr.open_array(
                        store=self._store, mode="r", zarr_format=self.document.zarr_format
                    )
        values = np.asarray(self._array[selection])
        return values.astype(values.dtype.newbyteorder("="), copy=False)


class _WatchedStore(Store):  # type: ignore[misc]
    """The keys of one array as zarr wants them: its own document, then chunks of bounded length."""

    def __init__(self, keys: ZarrKeys, path: str, document: ArrayDocument) -> None:
        super().__init__(read_only=True)
        self._keys, self._prefix = keys, path + "/" if path else ""
        name = "zarr.json" if document.zarr_format == 3 else ".zarray"
        self._documents = {name: json.dumps(document.document).encode()}
        # A shard is read whole only where zarr needs all of it for one call.
        self._limit_bytes = 2 * bound_bytes(max(document.chunk_bytes, READ_BYTES))

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        if key.rpartition("/")[2] in ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"):
            data = self._documents.get(key)
        else:
            data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        start, stop = 0, None
        if isinstance(byte_range, RangeByteRequest):
            start, stop = byte_range.start, byte_range.end
        elif isinstance(byte_range, OffsetByteRequest):
            start = byte_range.offset
        elif isinstance(byte_range, SuffixByteRequest):
            start = -byte_range.suffix
        return self._keys.read(self._prefix + key, self._limit_bytes, start, stop)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        return [await self.get(key, prototype, span) for key, span in key_ranges]

    async def exists(self, key: str) -> bool:
        return key in self._documents

    @property
    def supports_writes(self) -> bool:
        return False

    @property
    def supports_deletes(self) -> bool:
        return False

    @property
    def supports_listing(self) -> bool:
        return False

    async def set(self, key: str, value: Buffer) -> None:
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

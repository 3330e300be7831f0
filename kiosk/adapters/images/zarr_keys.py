"""Where the keys of a Zarr hierarchy lie: in a zip archive, or below a URL.

A key is a path such as "0/c/0/0"; keys are read for themselves and never joined with paths of
this machine. All methods are for use in threads, several at a time.
"""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, from_url

from kiosk.adapters.images.plain_images import corrupt
from kiosk.adapters.images.zip_archive import ZipArchive
from kiosk.errors import InvalidRequest, NotFound, TransientError
from kiosk.folder_zip import ZARR_MARKS

# Documents that mark a hierarchy may be long, but not endless.
MARK_BYTES = 64 * 1024 * 1024
SCHEMES = ("file", "s3", "gs")
# A compressed member has to be unpacked whole, also where a part of it would do.
WHOLE_MEMBER_BYTES = 256 * 1024 * 1024


class ZarrKeys(Protocol):
    """Read-only keys.

    Attributes:
        name: what messages call the hierarchy.
        metadata_bytes: length of the documents that were read from here.
        size_bytes: of all that lies there; None where it is not known without listing it.
    """

    name: str
    metadata_bytes: int
    size_bytes: int | None

    def read(
        self, key: str, limit_bytes: int, start: int = 0, stop: int | None = None
    ) -> bytes | None:
        """The bytes of a key, or a range of them; None when there is no such key.

        A negative `start` counts from the end. Raises InvalidRequest when the range is not
        there or has more than `limit_bytes`, and TransientError when the store fails.
        """

    def children(self, folder: str) -> list[str]:
        """Names of the folders directly below a folder ("" = top), in no order."""

    def close(self) -> None: ...


def is_zarr(keys: ZarrKeys) -> bool:
    """Whether a Zarr hierarchy begins there."""
    return any(keys.read(mark, MARK_BYTES) is not None for mark in ZARR_MARKS)


def too_long(name: str, key: str) -> InvalidRequest:
    """The error for a key with far more bytes than it can need."""
    return corrupt(name, f"'{key[:120]}' is far larger than it can be")


class ZipKeys:
    """The keys below one folder of a zip archive."""

    def __init__(self, archive: ZipArchive, folder: str) -> None:
        self.name = archive.title(folder) if folder else archive.file_name
        self.metadata_bytes = 0
        self.size_bytes: int | None = archive.size_bytes
        self._archive, self._prefix = archive, folder + "/" if folder else ""
        self._lock = threading.Lock()
        self._last: tuple[str, bytes] = ("", b"")  # shards are read in many ranges

    def read(
        self, key: str, limit_bytes: int, start: int = 0, stop: int | None = None
    ) -> bytes | None:
        name = self._prefix + key
        if name not in self._archive.entries:
            return None
        entry = self._archive.entry(name)
        first = max(entry.size_bytes + start, 0) if start < 0 else start
        if first > entry.size_bytes:
            raise corrupt(self.name, f"'{key}' is shorter than its index says")
        whole = first == 0 and stop is None
        if entry.method == 0 or whole:
            return self._archive.read(name, limit_bytes, first, stop)
        with self._lock:
            if self._last[0] != name:
                limit = max(limit_bytes, WHOLE_MEMBER_BYTES)
                self._last = (name, self._archive.read(name, limit))
            data = self._last[1][first:stop]
        if len(data) > limit_bytes:
            raise too_long(self.name, key)
        return data

    def children(self, folder: str) -> list[str]:
        prefix = self._prefix + folder + "/" if folder else self._prefix
        below = (name[len(prefix) :] for name in self._archive.entries if name.startswith(prefix))
        return list({name.partition("/")[0] for name in below if "/" in name})

    def close(self) -> None:
        """The archive is the owner's."""


class UrlKeys:
    """The keys below file:///folder, s3://bucket/prefix or gs://bucket/prefix."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = url if len(url) <= 200 else url[:200] + "..."
        self.metadata_bytes = 0
        self.size_bytes: int | None = None
        if parts.scheme not in SCHEMES:
            raise InvalidRequest(
                f"'{self.name}' is not an address that is read here; give file:///folder,"
                " s3://bucket/prefix or gs://bucket/prefix.",
                reason="BAD_URL",
            )
        try:
            self._folder = os.path.realpath(unquote(parts.path)) if parts.scheme == "file" else ""
            self._store: Any = (
                LocalStore(self._folder)
                if self._folder
                else from_url(
                    cast(Any, url),
                    retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
                )
            )
        except (BaseError, OSError, ValueError) as error:
            raise NotFound(
                f"There is no folder or bucket at '{self.name}'; check the address.",
                reason="URL_NOT_FOUND",
            ) from error

    def read(
        self, key: str, limit_bytes: int, start: int = 0, stop: int | None = None
    ) -> bytes | None:
        if self._folder and not self._is_inside(key):
            return None
        span: Any = None
        if start < 0:
            span = {"suffix": -start}
        elif stop is not None:
            span = (start, stop)
        elif start:
            span = {"offset": start}
        try:
            found = obstore.get(self._store, key, options={"range": span} if span else {})
            first, last = found.range
            if last - first > limit_bytes:
                raise too_long(self.name, key)
            return bytes(found.bytes())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return None
        except (BaseError, OSError) as error:
            if "Not a directory" in str(error):
                return None
            if "range" in str(error).lower() and "invalid" in str(error).lower():
                message = f"'{key}' is shorter than its index says"
                raise corrupt(self.name, message) from error
            raise self._failed(error) from error

    def _is_inside(self, key: str) -> bool:
        """Whether no link leads out of the folder: what it names was not allowed."""
        path = os.path.realpath(os.path.join(self._folder, key))
        return path.startswith(self._folder.rstrip("/") + "/")

    def children(self, folder: str) -> list[str]:
        try:
            listed = obstore.list_with_delimiter(self._store, folder or None)
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            raise self._failed(error) from error
        return [str(path).rpartition("/")[2] for path in listed["common_prefixes"]]

    def _failed(self, error: Exception) -> InvalidRequest | TransientError:
        if isinstance(error, PermissionError) or type(error).__name__ in (
            "PermissionDeniedError",
            "UnauthenticatedError",
        ):
            return InvalidRequest(
                f"The kiosk may not read '{self.name}'; give it access or upload the files.",
                reason="NOT_ALLOWED",
            )
        return TransientError(f"'{self.name}' could not be read.")

    def close(self) -> None:
        """Nothing is kept open."""

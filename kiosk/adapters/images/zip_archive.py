"""A zip archive of images: which members are images, and files over single members.

Members that are stored are read where they are; compressed ones are unpacked to a temporary file,
bounded by what really comes out. Members are only ever read, their names are never used as paths.
"""

from __future__ import annotations

import io
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, cast

from kiosk.adapters.images.plain_images import corrupt, unsupported
from kiosk.adapters.images.zip_directory import ZipEntry, data_offset, read_entries, shown
from kiosk.errors import InvalidRequest, NotFound, TooLarge
from kiosk.folder_zip import ZARR_MARKS, is_junk, natural_key
from kiosk.scratch import no_room
from kiosk.settings import LimitSettings

_STORED, _DEFLATED = 0, 8
_CHUNK_BYTES = 1024 * 1024
_SUFFIXES = frozenset((".tif", ".tiff", ".btf", ".tf2", ".tf8", ".stk", ".lsm", ".svs", ".scn"))
_SUFFIXES |= {".ndpi", ".png", ".jpg", ".jpeg", ".czi", ".nd2", ".lif"}
_MEMBERS = _SUFFIXES | {".zip"}
# Images of cells are packed 2 to 20 times, labels up to 500; more is a bomb where it is large.
_MOST_RATIO, _FREE_BYTES = 500, 32 * 1024 * 1024
# Members without a telling suffix whose first bytes are looked at.
_PEEKS = 100


class ZipArchive:
    """An open archive. `file` stays the caller's; several threads may read members."""

    def __init__(
        self, file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings
    ) -> None:
        self.file_name = file_name
        self.entries: Mapping[str, ZipEntry] = read_entries(file, file_bytes, file_name, limits)
        self.size_bytes = file_bytes
        self._file, self._file_bytes, self._limits = file, file_bytes, limits
        self._lock = threading.Lock()

    def zarr_folders(self) -> list[str]:
        """Folders that begin a Zarr hierarchy, "" for the top of the archive, sorted."""
        marked = {
            name.rpartition("/")[0]
            for name in self.entries
            if name.rpartition("/")[2] in ZARR_MARKS and not _has_junk(name)
        }
        return sorted(
            (f for f in marked if not any(parent in marked for parent in _parents(f))),
            key=natural_key,
        )

    def image_names(self) -> list[str]:
        """Members that are images, and archives (which will be refused), in natural order.

        Images are known by their suffix; where no member has one, by their first bytes. Raises
        TooLarge when there are more than `limits.zip_members`.
        """
        folders = set(self.zarr_folders())
        names = [
            name
            for name in self.entries
            if _suffix(name) in _MEMBERS
            and not _has_junk(name)
            and folders.isdisjoint(_parents(name))
        ]
        if not names and not folders:
            plain = (name for name in self.entries if not _has_junk(name))
            names = [n for n in islice(plain, _PEEKS) if self._looks_like_an_image(n)]
        if len(names) > self._limits.zip_members:
            raise TooLarge(
                f"'{self.file_name}' holds {len(names)} images and this kiosk takes at most"
                f" {self._limits.zip_members} per archive; split it or raise"
                " KIOSK_LIMITS__ZIP_MEMBERS.",
                reason="TOO_MANY_MEMBERS",
            )
        return sorted(names, key=natural_key)

    def title(self, name: str) -> str:
        """A member's name in messages: after the name of the archive."""
        return f"{self.file_name}/{shown(name)}"

    def entry(self, name: str) -> ZipEntry:
        """A member that can be read. Raises NotFound and InvalidRequest."""
        found = self.entries.get(name)
        if found is None:
            raise NotFound(
                f"'{self.file_name}' holds no member '{shown(name)}'; give a name as 'kiosk"
                " inspect' lists it.",
                reason="MEMBER_NOT_FOUND",
                field="member",
            )
        title = self.title(name)
        if found.is_link:
            raise unsupported(title, "is a link and no file; put the file itself in the archive.")
        if found.is_encrypted:
            raise unsupported(title, "is encrypted; zip it without a password.")
        if found.method not in (_STORED, _DEFLATED):
            raise unsupported(
                title,
                f"is compressed by method {found.method}, which is not read; zip it with"
                " 'deflate' or without compression.",
            )
        if found.method == _STORED and found.packed_bytes != found.size_bytes:
            raise corrupt(title, "its sizes in the archive differ")
        return found

    def open(self, name: str) -> BinaryIO:
        """A seekable file over a member; closing it leaves the archive's file open."""
        entry, title = self.entry(name), self.title(name)
        if entry.size_bytes > self._limits.upload_bytes:
            raise self._too_large(title)
        if entry.method == _STORED:
            with self._lock:
                start = data_offset(self._file, self._file_bytes, entry, title)
            return cast(BinaryIO, _Window(self, start, entry.size_bytes))
        limit = max(_MOST_RATIO * entry.packed_bytes, _FREE_BYTES)
        if entry.size_bytes > limit:
            raise TooLarge(
                f"'{title}' would unpack to {entry.size_bytes} bytes from {entry.packed_bytes},"
                " which looks like a decompression bomb; give it without the archive if it is a"
                " real image.",
                reason="IMAGE_TOO_LARGE",
            )
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115 (it is handed on)
        try:
            for chunk in self._inflated(entry, limit):
                unpacked.write(chunk)
            unpacked.seek(0)
        except OSError as error:
            unpacked.close()
            raise no_room(error, "There is no room on the disk to unpack the archive.") from error
        except BaseException:
            unpacked.close()
            raise
        return cast(BinaryIO, unpacked)

    def read(self, name: str, limit_bytes: int, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes of a small member, or a range of them; at most `limit_bytes`."""
        entry, title = self.entry(name), self.title(name)
        if entry.method == _DEFLATED:
            return b"".join(self._inflated(entry, limit_bytes))[start:stop]
        stop = entry.size_bytes if stop is None else min(stop, entry.size_bytes)
        if stop - start > limit_bytes:
            raise self._too_large(title)
        with self._lock:
            first = data_offset(self._file, self._file_bytes, entry, title)
            return self._read_at(first + start, max(stop - start, 0), title)

    def read_at(self, offset: int, count: int) -> bytes:
        """Bytes of the archive itself."""
        with self._lock:
            return self._read_at(offset, count, self.file_name)

    def _read_at(self, offset: int, count: int, title: str) -> bytes:
        self._file.seek(offset)
        data = self._file.read(count)
        if len(data) < count:
            raise corrupt(title, "the archive ends within it")
        return data

    def _inflated(self, entry: ZipEntry, limit_bytes: int) -> Iterator[bytes]:
        """A deflated member in pieces. What comes out is counted, whatever the headers say."""
        title = self.title(entry.name)
        with self._lock:
            position = data_offset(self._file, self._file_bytes, entry, title)
        left, total, crc = entry.packed_bytes, 0, 0
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        packed = b""
        while not inflater.eof:
            if not packed and left:
                packed = self.read_at(position, min(left, _CHUNK_BYTES))
                position, left = position + len(packed), left - len(packed)
            elif not packed:
                raise corrupt(title, "it ends within its compressed data")
            try:
                piece = inflater.decompress(packed, _CHUNK_BYTES)
            except zlib.error as error:
                raise corrupt(title, "it cannot be unpacked") from error
            packed = inflater.unconsumed_tail
            total, crc = total + len(piece), zlib.crc32(piece, crc)
            if total > min(limit_bytes, entry.size_bytes):
                raise self._too_large(title)
            yield piece
        if total != entry.size_bytes or crc != entry.crc:
            raise corrupt(title, "it does not match its checksum in the archive")

    def _too_large(self, title: str) -> InvalidRequest:
        return TooLarge(
            f"'{title}' unpacks to more than the archive says or this kiosk takes; give the image"
            " without the archive, or in smaller pieces.",
            reason="IMAGE_TOO_LARGE",
        )

    def _looks_like_an_image(self, name: str) -> bool:
        try:
            entry = self.entry(name)
            if entry.method == _DEFLATED:
                head = next(self._inflated(entry, 2 * _CHUNK_BYTES), b"")[:8]
            else:
                head = self.read(name, 8, 0, 8)
        except InvalidRequest:
            return False
        return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG") or (
            head.startswith(b"\xff\xd8\xff")
        )


class _Window(io.RawIOBase):
    """A stored member as a file of its own, over the bytes of the archive."""

    def __init__(self, archive: ZipArchive, start: int, size_bytes: int) -> None:
        self._archive, self._start, self._size_bytes = archive, start, size_bytes
        self._position = 0

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = min(len(view), max(self._size_bytes - self._position, 0))
        if count:
            view[:count] = self._archive.read_at(self._start + self._position, count)
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


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2].lower()


def _has_junk(name: str) -> bool:
    """Whether a member is an operating system's own, or hidden; marks of Zarr are not."""
    steps = name.split("/")
    return any(is_junk(step) or step.startswith(".") for step in steps[:-1]) or (
        is_junk(steps[-1]) or (steps[-1].startswith(".") and steps[-1] not in ZARR_MARKS)
    )


def _parents(folder: str) -> Iterator[str]:
    """All folders above a file or folder, "" for the top included."""
    while folder:
        folder = folder.rpartition("/")[0]
        yield folder

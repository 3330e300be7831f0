"""The list of entries of a zip archive, read with bounds on everything.

Counts and sizes in an archive may lie: the list is read in one piece of bounded length and its
entries are counted while they are read. Layout after APPNOTE.TXT 6.3.10 (PKWARE), section 4.3.
"""

from __future__ import annotations

import re
import struct
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from kiosk.adapters.images.plain_images import corrupt, truncated, unsupported
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.jobs import plain_name
from kiosk.settings import LimitSettings

_END, _END_64, _LOCATOR_64, _ENTRY, _LOCAL = (
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x01\x02",
    b"PK\x03\x04",
)
_ENTRY_BYTES, _LOCAL_BYTES = 46, 30
# Room for long names; the list of a real archive takes about 100 bytes per entry.
_LIST_BYTES_PER_ENTRY = 320
_ENCRYPTED, _UTF_8 = 1, 0x800
_UNIX, _MAC_OS_X = 3, 19
_SYMLINK = 0o120000
SHOWN_CHARACTERS = 120
# From the root, from a drive, upwards, or with characters that steer a terminal.
_UNSAFE = re.compile(r"^/|^.:|(?:^|/)\.\.(?:/|$)|[\x00-\x1f\x7f]")
MAX_DEPTH = 64  # folders within folders


class ZipEntry(NamedTuple):
    """One entry as the list of the archive has it.

    Attributes:
        name: path with "/" between folders.
        method: of compression; 0 stored, 8 deflate.
        packed_bytes, size_bytes: as stored and as unpacked; both may lie.
        header_offset: where its local header starts.
    """

    name: str
    method: int
    is_encrypted: bool
    is_link: bool
    crc: int
    packed_bytes: int
    size_bytes: int
    header_offset: int


def read_entries(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings
) -> dict[str, ZipEntry]:
    """Name -> entry of all files in the archive, without folders; of equal names the last.

    Raises InvalidRequest for a damaged archive and for names that lead out of it, and TooLarge
    for one with more than `limits.zip_entries` entries.
    """
    count, size, offset = _end_record(file, file_bytes, file_name)
    if count > limits.zip_entries or size > limits.zip_entries * _LIST_BYTES_PER_ENTRY:
        raise TooLarge(
            f"'{file_name}' has {count} entries and this kiosk takes archives of at most"
            f" {limits.zip_entries}; split it or raise KIOSK_LIMITS__ZIP_ENTRIES.",
            reason="TOO_MANY_MEMBERS",
        )
    file.seek(offset)
    data = file.read(size)
    entries, at = [], 0
    for _ in range(count):
        fixed = data[at : at + _ENTRY_BYTES]
        if len(fixed) < _ENTRY_BYTES or not fixed.startswith(_ENTRY):
            raise corrupt(file_name, "the list of its members is not complete")
        lengths = struct.unpack_from("<HHH", fixed, 28)
        variable = data[at + _ENTRY_BYTES : at + _ENTRY_BYTES + sum(lengths)]
        entries.append(_entry(fixed, variable, lengths[0], lengths[1], file_name))
        at += _ENTRY_BYTES + sum(lengths)
    _check_places(entries, offset, file_name)
    return {entry.name: entry for entry in entries if not entry.name.endswith("/")}


def data_offset(file: BinaryIO, file_bytes: int, entry: ZipEntry, file_name: str) -> int:
    """Where the bytes of an entry start. Raises InvalidRequest when they are not in the file."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_BYTES)
    if len(header) < _LOCAL_BYTES or not header.startswith(_LOCAL):
        raise corrupt(file_name, "its header in the archive is not where it should be")
    name, extra = struct.unpack_from("<HH", header, 26)
    start = entry.header_offset + _LOCAL_BYTES + int(name) + int(extra)
    if start + entry.packed_bytes > file_bytes:
        raise truncated(file_name, "the archive ends within it")
    return start


def shown(name: str) -> str:
    """A name for messages: of bounded length, and without characters that steer a terminal."""
    name = plain_name(name)
    return name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "..."


def _end_record(file: BinaryIO, file_bytes: int, file_name: str) -> tuple[int, int, int]:
    """(entries, bytes, offset) of the list, from the record at the end of the archive."""
    start = max(file_bytes - 22 - 0xFFFF, 0)  # a comment may follow the record
    file.seek(start)
    tail = file.read(file_bytes - start)
    at = tail.rfind(_END, 0, max(len(tail) - 18, 0))
    if at < 0:
        raise truncated(file_name, "the list of its members, at the end of an archive, is missing")
    end = start + at
    disk, _, _, count, size, offset = struct.unpack_from("<HHHHII", tail, at + 4)
    if count == 0xFFFF or 0xFFFFFFFF in (size, offset):
        end, disk, count, size, offset = _end_record_64(file, end, file_name, (count, size, offset))
    if disk != 0:
        raise unsupported(file_name, "is one part of a divided archive; zip it in one piece.")
    if count == 0:
        raise unsupported(file_name, "is an empty zip archive; give the images themselves.")
    if offset + size > end or size < count * _ENTRY_BYTES:
        raise corrupt(file_name, "the list of its members is not where it should be")
    return count, size, offset


def _end_record_64(
    file: BinaryIO, end: int, file_name: str, plain: tuple[int, int, int]
) -> tuple[int, int, int, int, int]:
    """(start of the record, disk, entries, bytes, offset) from the record of large archives."""
    file.seek(max(end - 20, 0))
    locator = file.read(20)
    if not locator.startswith(_LOCATOR_64):
        return end, 0, *plain  # the numbers happen to be the largest ones
    (at,) = struct.unpack_from("<Q", locator, 8)
    file.seek(min(at, end))
    record = file.read(56)
    if len(record) < 56 or not record.startswith(_END_64):
        raise corrupt(file_name, "its record of large archives is missing")
    (disk,) = struct.unpack_from("<I", record, 16)
    count, size, offset = struct.unpack_from("<QQQ", record, 32)
    return min(at, end), disk, count, size, offset


def _entry(
    fixed: bytes, variable: bytes, name_bytes: int, extra_bytes: int, file_name: str
) -> ZipEntry:
    """One entry from its 46 bytes and the name, extra fields and comment behind them."""
    system = fixed[5]
    flags, method = struct.unpack_from("<HH", fixed, 8)
    crc, packed, size = struct.unpack_from("<III", fixed, 16)
    attributes, header = struct.unpack_from("<II", fixed, 38)
    if 0xFFFFFFFF in (packed, size, header):
        extra = variable[name_bytes : name_bytes + extra_bytes]
        size, packed, header = _large_sizes(extra, (size, packed, header), file_name)
    try:
        name = variable[:name_bytes].decode("utf-8" if flags & _UTF_8 else "cp437")
    except UnicodeDecodeError as error:
        raise corrupt(file_name, "the names of its members are not readable") from error
    name = name.replace("\\", "/")
    _check_name(name, file_name)
    is_link = system in (_UNIX, _MAC_OS_X) and (attributes >> 16) & 0o170000 == _SYMLINK
    return ZipEntry(name, method, bool(flags & _ENCRYPTED), is_link, crc, packed, size, header)


def _large_sizes(extra: bytes, plain: tuple[int, int, int], file_name: str) -> tuple[int, int, int]:
    """(size, packed size, header offset): the 8-byte values in place of those that are full."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            size, packed, header = (
                next(values, 0xFFFFFFFF) if value == 0xFFFFFFFF else value for value in plain
            )
            return size, packed, header
        at += 4 + length
    raise corrupt(file_name, "the sizes of its large members are missing")


def _check_name(name: str, file_name: str) -> None:
    """Names are never used as paths here, but others may do so with results named after them."""
    if not name or _UNSAFE.search(name) or name.count("/") >= MAX_DEPTH:
        raise InvalidRequest(
            f"'{file_name}' holds a member with the unsafe name {shown(name)!r}; zip the folder of"
            " images again with names that stay inside of it.",
            reason="UNSAFE_ARCHIVE",
        )


def _check_places(entries: list[ZipEntry], list_offset: int, file_name: str) -> None:
    """Refuse entries that share bytes: a few kilobytes could unpack to terabytes."""
    places = sorted((e.header_offset, e.header_offset + e.packed_bytes) for e in entries)
    places.append((list_offset, list_offset))
    if any(after[0] < before[1] + _LOCAL_BYTES for before, after in pairwise(places)):
        raise corrupt(file_name, "its members overlap")

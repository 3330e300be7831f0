"""A zip archive of very many small members, written in one direction and without compression.

`zipfile` keeps its directory in memory until the end, some 500 bytes for each member; a slide has
millions of them. Here the directory waits in a file. Layout as in PKWARE's APPNOTE.TXT 6.3.10,
sections 4.3 and 4.5.3, with the 64-bit records where the archive needs them.
"""

from __future__ import annotations

import shutil
import struct
import tempfile
import zlib
from pathlib import Path

_VERSION, _VERSION_64 = 20, 45
_UTF8 = 0x800
# 1980-01-01, the first day of zip: archives of the same members are the same bytes.
_TIME, _DATE = 0, 0x21
_MOST_16, _MOST_32 = 0xFFFF, 0xFFFFFFFF


class StoredZip:
    """Members are written as they come; the archive is complete after `close`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._directory = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 (until close)
        self._count = 0

    def add(self, name: str, data: bytes) -> None:
        """Add a member of less than 4 GiB; names are not compared with those before."""
        offset = self._file.tell()
        is_far = offset >= _MOST_32
        encoded = name.encode()
        version = _VERSION_64 if is_far else _VERSION
        common = struct.pack(
            "<HHHHIII", _UTF8, 0, _TIME, _DATE, zlib.crc32(data), len(data), len(data)
        )
        lengths = struct.pack("<HH", len(encoded), 0)
        self._file.write(b"PK\3\4" + struct.pack("<H", version) + common + lengths + encoded)
        self._file.write(data)
        extra = struct.pack("<HHQ", 1, 8, offset) if is_far else b""
        entry = b"PK\1\2" + struct.pack("<HH", version, version) + common
        entry += struct.pack("<HHHHHI", len(encoded), len(extra), 0, 0, 0, 0)
        entry += struct.pack("<I", min(offset, _MOST_32))
        self._directory.write(entry + encoded + extra)
        self._count += 1

    def close(self) -> None:
        """Write the directory. Closing twice is harmless."""
        if self._file.closed:
            return
        start, size = self._file.tell(), self._directory.tell()
        self._directory.seek(0)
        shutil.copyfileobj(self._directory, self._file)
        if self._count >= _MOST_16 or start + size >= _MOST_32:
            end = self._file.tell()
            sizes = (self._count, self._count, size, start)
            self._file.write(b"PK\6\6" + struct.pack("<Q", 44))
            self._file.write(struct.pack("<HHIIQQQQ", _VERSION_64, _VERSION_64, 0, 0, *sizes))
            self._file.write(b"PK\6\7" + struct.pack("<IQI", 0, end, 1))
        count = min(self._count, _MOST_16)
        self._file.write(b"PK\5\6" + struct.pack("<HHHH", 0, 0, count, count))
        self._file.write(struct.pack("<IIH", min(size, _MOST_32), min(start, _MOST_32), 0))
        self.discard()

    def discard(self) -> None:
        """Let go of the files without completing the archive."""
        self._file.close()
        self._directory.close()

"""The headers of a TIFF, checked before tifffile acts on them.

Damaged and hostile files name pages beyond their end, lists of pages that run in circles, and
counts for which terabytes would be allocated. Layout after TIFF 6.0, section 2, and BigTIFF;
pages below pages (SubIFDs) after Adobe's TIFF Technical Note 1.
"""

from __future__ import annotations

import math
import struct
from typing import BinaryIO, NamedTuple
from xml.etree import ElementTree

from kiosk.adapters.images.plain_images import corrupt, truncated
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.settings import LimitSettings

# Pages per plane of t and z that are let through before the sizes are known: channels, levels
# of a pyramid, thumbnails.
PAGES_PER_PLANE = 8
MAX_TAGS = 4096
# Levels of a pyramid and thumbnails below one page. tifffile tries to read each of them.
MOST_BELOW = 256
# Pages below others that cannot be read: more are no accident, and each costs a millisecond.
MOST_DAMAGED = 1000
# Characters of OME-XML; 20,000 planes with all their metadata take a third. Parsed, it may take
# forty times as much.
MOST_XML = 32 * 1024 * 1024
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_WIDTH, _HEIGHT, _SAMPLES, _SUB_PAGES = 256, 257, 277, 330


class PageSizes(NamedTuple):
    """What the tags of one page say of its size; 0 where they do not."""

    width: int
    height: int
    samples: int


class _Entry(NamedTuple):
    """One tag of a page: `value` is its 4 or 8 bytes in the directory."""

    kind: int
    values: int
    value: bytes


def walk_pages(
    file: BinaryIO, file_bytes: int, name: str, limits: LimitSettings
) -> dict[int, PageSizes]:
    """Offset -> sizes of every page, in file order, then of the pages below them.

    Follows the chain of directories itself: tifffile would drop pages that lie beyond the end
    without an error, follow some loops for ever, and allocate what a damaged count asks for.
    A page below another that is damaged is left out: only levels of a pyramid are lost.
    """
    directories = _Directories(file, file_bytes, name)
    cap = limits.planes * PAGES_PER_PLANE
    offset = directories.first
    pages: dict[int, PageSizes] = {}
    below: list[int] = []
    while offset:
        if offset in pages:
            raise corrupt(name, "its list of pages runs in a circle")
        if len(pages) + len(below) >= cap:
            message = f"'{name}' has more than {len(pages)} pages; split it into smaller files."
            raise TooLarge(message, reason="IMAGE_TOO_LARGE")
        entries, following = directories.read(offset, f"page {len(pages) + 1}")
        pages[offset] = directories.sizes(entries)
        found = directories.offsets(entries.get(_SUB_PAGES), MOST_BELOW)
        if len(found) > MOST_BELOW:
            raise corrupt(name, f"page {len(pages)} lists more than {MOST_BELOW} pages below it")
        below += found
        offset = following
    if not pages:
        raise corrupt(name, "it has no pages")
    if len(pages) + len(below) > cap:
        message = f"'{name}' has more than {cap} pages; split it into smaller files."
        raise TooLarge(message, reason="IMAGE_TOO_LARGE")
    _add_below(directories, below, pages, name)
    return pages


def _add_below(
    directories: _Directories, below: list[int], pages: dict[int, PageSizes], name: str
) -> None:
    damaged = 0
    for offset in below:
        if offset and offset not in pages:
            try:
                entries, _ = directories.read(offset, "a page below another")
            except InvalidRequest:
                damaged += 1
                if damaged > MOST_DAMAGED:
                    raise corrupt(name, "its pages below others cannot be read") from None
                continue
            pages[offset] = directories.sizes(entries)


class _Directories:
    """Reads the directories of a TIFF with bounds on everything."""

    def __init__(self, file: BinaryIO, file_bytes: int, name: str) -> None:
        self._file, self._file_bytes, self._name = file, file_bytes, name
        file.seek(0)
        head = file.read(16)
        self._order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\x00", b"\x00+")
        where, self._size = (8, 8) if big else (4, 4)
        self._number, self._entry_bytes = ("Q", 20) if big else ("H", 12)
        self._offset = "Q" if big else "I"
        self._entry = self._order + ("HHQ8s" if big else "HHI4s")
        if len(head) < where + self._size:
            raise truncated(name, "it ends within its header")
        (self.first,) = struct.unpack_from(self._order + self._offset, head, where)

    def read(self, offset: int, what: str) -> tuple[dict[int, _Entry], int]:
        """The tags of the directory at an offset, and the offset of the next (0 = none)."""
        self._file.seek(offset)
        number = self._order + self._number
        start = self._file.read(struct.calcsize(number))
        if offset >= self._file_bytes or len(start) < struct.calcsize(number):
            raise truncated(self._name, f"{what} lies beyond its end")
        (count,) = struct.unpack(number, start)
        if not 0 < count <= MAX_TAGS:
            raise corrupt(self._name, f"{what} has {count} tags")
        block = self._file.read(count * self._entry_bytes + self._size)
        if len(block) < count * self._entry_bytes:
            raise truncated(self._name, f"the tags of {what} lie beyond its end")
        entries: dict[int, _Entry] = {}
        tags = struct.iter_unpack(self._entry, block[: count * self._entry_bytes])
        for code, kind, length, value in tags:
            if length * _TYPE_BYTES.get(kind, 1) > self._file_bytes:
                raise corrupt(self._name, "its headers ask for more data than it holds")
            entries.setdefault(code, _Entry(kind, length, value))
        link = block[count * self._entry_bytes :].ljust(self._size, b"\0")  # some leave it out
        return entries, int(struct.unpack(self._order + self._offset, link)[0])

    def sizes(self, entries: dict[int, _Entry]) -> PageSizes:
        """The sizes that the tags of a page give."""
        found = {_WIDTH: 0, _HEIGHT: 0, _SAMPLES: 1}
        for code in found:
            kind, count, value = entries.get(code, _Entry(0, 0, b""))
            form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
            if count == 1 and form is not None and struct.calcsize(form) <= len(value):
                found[code] = struct.unpack_from(self._order + form, value)[0]
        return PageSizes(found[_WIDTH], found[_HEIGHT], found[_SAMPLES])

    def offsets(self, entry: _Entry | None, cap: int) -> list[int]:
        """The offsets that a tag holds; none where it is of a senseless type."""
        if entry is None or entry.kind not in (4, 13, 16, 18):
            return []
        form = "I" if entry.kind in (4, 13) else "Q"
        size = struct.calcsize(form)
        count = min(entry.values, cap + 1)
        data = entry.value
        if entry.values * size > len(data):
            (where,) = struct.unpack(self._order + self._offset, entry.value)
            self._file.seek(where)
            data = self._file.read(count * size)
        count = min(count, len(data) // size)
        return list(struct.unpack_from(f"{self._order}{count}{form}", data))


def ome_is_sane(xml: str | None, cap: int) -> bool:
    """Whether tifffile can be given the OME-XML: it allocates what the numbers in it ask for."""
    if len(xml or "") > MOST_XML:
        return False
    blocks = 0
    try:
        for element in ElementTree.fromstring(xml or "").iter():
            attributes = element.attrib
            blocks += element.tag.endswith("TiffData")
            if blocks > cap:
                return False
            if element.tag.endswith("Pixels"):
                if math.prod(int(attributes["Size" + axis]) for axis in "TCZ") > cap:
                    return False
            elif element.tag.endswith("TiffData"):
                if any(int(attributes.get(k, 0)) > cap for k in ("IFD", "NumPlanes", "PlaneCount")):
                    return False
            elif "Along" in element.tag and "Start" in attributes:
                start, end = float(attributes["Start"]), float(attributes["End"])
                if not abs(end - start) <= cap * abs(float(attributes.get("Step", 1))):
                    return False
    except (ElementTree.ParseError, KeyError, ValueError):
        return False
    return True

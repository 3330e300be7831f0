"""The headers of a TIFF, checked before tifffile acts on them.

Damaged and hostile files name pages beyond their end, lists of pages that run in circles, and
counts for which terabytes would be allocated. Layout after TIFF 6.0, section 2.
"""

from __future__ import annotations

import io
import math
import struct
from typing import Any, BinaryIO, NamedTuple
from xml.etree import ElementTree

from PIL.TiffImagePlugin import TiffImageFile

from kiosk.adapters.plain_images import corrupt, truncated
from kiosk.errors import TooLarge
from kiosk.settings import LimitSettings

# Pages per plane of t and z that are let through before the sizes are known: channels, levels
# of a pyramid, thumbnails.
PAGES_PER_PLANE = 8
MAX_TAGS = 4096
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
_WIDTH, _HEIGHT, _SAMPLES = 256, 257, 277
LZW = 5
JPEGS = frozenset({6, 7, 33007, 34892})
JPEGS_2000 = frozenset({33003, 33004, 33005, 34712})


class PageSizes(NamedTuple):
    """What the tags of one page say of its size; 0 where they do not."""

    width: int
    height: int
    samples: int


def walk_pages(
    file: BinaryIO, file_bytes: int, name: str, limits: LimitSettings
) -> dict[int, PageSizes]:
    """Offset -> sizes of every page, in file order.

    Follows the chain of directories itself: tifffile would drop pages that lie beyond the end
    without an error, follow some loops for ever, and allocate what a damaged count asks for.
    """
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\x00", b"\x00+")
    where, size = (8, 8) if big else (4, 4)
    number, entry_bytes = ("Q", 20) if big else ("H", 12)
    offset_format = order + ("Q" if big else "I")
    if len(head) < where + size:
        raise truncated(name, "it ends within its header")
    (offset,) = struct.unpack_from(offset_format, head, where)
    pages: dict[int, PageSizes] = {}
    while offset:
        if offset in pages:
            raise corrupt(name, "its list of pages runs in a circle")
        if len(pages) >= limits.planes * PAGES_PER_PLANE:
            message = f"'{name}' has more than {len(pages)} pages; split it into smaller files."
            raise TooLarge(message, reason="IMAGE_TOO_LARGE")
        file.seek(offset)
        start = file.read(struct.calcsize(number))
        if offset >= file_bytes or len(start) < struct.calcsize(number):
            raise truncated(name, f"page {len(pages) + 1} lies beyond its end")
        (count,) = struct.unpack(order + number, start)
        if not 0 < count <= MAX_TAGS:
            raise corrupt(name, f"page {len(pages) + 1} has {count} tags")
        block = file.read(count * entry_bytes + size)
        if len(block) < count * entry_bytes:
            raise truncated(name, f"the tags of page {len(pages) + 1} lie beyond its end")
        pages[offset] = _page_sizes(block[: count * entry_bytes], order, big, file_bytes, name)
        link = block[count * entry_bytes :].ljust(size, b"\0")  # some writers leave it out
        (offset,) = struct.unpack(offset_format, link)
    if not pages:
        raise corrupt(name, "it has no pages")
    return pages


def _page_sizes(block: bytes, order: str, big: bool, file_bytes: int, name: str) -> PageSizes:
    """The sizes from the entries of one directory; bounds every entry."""
    sizes = {_WIDTH: 0, _HEIGHT: 0, _SAMPLES: 1}
    entry = order + ("HHQ8s" if big else "HHI4s")
    for code, kind, count, value in struct.iter_unpack(entry, block):
        if count * _TYPE_BYTES.get(kind, 1) > file_bytes:
            raise corrupt(name, "its headers ask for more data than it holds")
        if code in sizes and count == 1:
            form = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind)
            if form is not None and struct.calcsize(form) <= len(value):
                sizes[code] = struct.unpack_from(order + form, value)[0]
    return PageSizes(sizes[_WIDTH], sizes[_HEIGHT], sizes[_SAMPLES])


def ome_is_sane(xml: str | None, cap: int) -> bool:
    """Whether tifffile can be given the OME-XML: it allocates what the numbers in it ask for."""
    try:
        for element in ElementTree.fromstring(xml or "").iter():
            attributes = element.attrib
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


def check_chunks(page: Any, file: BinaryIO, name: str) -> None:
    """Refuse compressed pieces of a page that the decoders must not be given.

    JPEG: the decoders allocate what a piece's own header says, gigabytes for a small tile.
    LZW: imagecodecs (2026.3.6) writes outside its memory on some damaged streams, which ends
    the process; so libtiff, in Pillow, has to accept the stream first.
    """
    code = int(page.compression)
    if code not in JPEGS | JPEGS_2000 | {LZW}:
        return
    limit_px = 2 * math.prod(page.chunks) + 2**20  # encoders pad to blocks
    for index, (offset, count) in enumerate(
        zip(page.dataoffsets, page.databytecounts, strict=True)
    ):
        if count == 0:  # left out, and read as zeros
            continue
        file.seek(offset)
        if code == LZW:
            if not _lzw_is_sound(file.read(count), _chunk_bytes(page, index)):
                raise corrupt(name, "its compressed pixels are not complete")
            continue
        area = _jpeg_area if code in JPEGS else _jpeg_2000_area
        if area(file.read(min(count, 2**16))) > limit_px:
            raise corrupt(name, "a compressed piece is larger than its place in the image")


def _chunk_bytes(page: Any, index: int) -> int:
    """Bytes that a strip or tile unpacks to; the last strip of a plane may be shorter."""
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    if page.is_tiled:
        rows, columns = page.tilelength * page.tiledepth, page.tilewidth
    else:
        rows, columns = min(page.rowsperstrip, page.imagelength), page.imagewidth
        strips = -(-page.imagelength // rows)
        rows = min(rows, page.imagelength - (index % strips) * rows)
    return int(rows * -(-columns * samples * page.bitspersample // 8))


def _lzw_is_sound(data: bytes, size: int) -> bool:
    """Whether libtiff unpacks an LZW stream to `size` bytes, given as a plane of one row."""
    tags = {256: size, 257: 1, 258: 8, 259: LZW, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
    padding = bytes(len(data) % 2)  # a directory starts at an even offset
    start = struct.pack("<4sI", b"II*\0", 8 + len(data) + len(padding))
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    try:
        TiffImageFile(io.BytesIO(start + data + padding + directory)).load()
    except (OSError, ValueError, SyntaxError):
        return False
    return True


def _jpeg_area(head: bytes) -> int:
    """Pixels by the start of frame, found by walking the segments (ITU-T T.81, B.1.1)."""
    at = 2
    while head[at : at + 1] == b"\xff" and at + 9 <= len(head):
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return int(height) * int(width)
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return 0


def _jpeg_2000_area(head: bytes) -> int:
    """Pixels by the SIZ segment, the first of a codestream (ITU-T T.800, A.5.1)."""
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 16:
        return 0
    width, height = struct.unpack_from(">II", head, at + 8)
    return int(width) * int(height)

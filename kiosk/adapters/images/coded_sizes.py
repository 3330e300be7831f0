"""How many pixels a coded image has by its own header, read before a decoder is given it."""

from __future__ import annotations

import struct

# Numbers of compressions in TIFF.
JPEGS = frozenset({6, 7, 33007, 34892})
JPEGS_2000 = frozenset({33003, 33004, 33005, 34712})
WEBP, PNG, LERC = 50001, 34933, 34887


def coded_px(compression: int, head: bytes) -> int:
    """Width times height by the header of a coded image; 0 where it does not tell."""
    try:
        if compression in JPEGS:
            return _jpeg(head)
        if compression in JPEGS_2000:
            return _jpeg_2000(head)
        others = {WEBP: _webp, PNG: _png, LERC: _lerc}
        return others[compression](head) if compression in others else 0
    except struct.error:  # the decoder will find that it is cut short
        return 0


def _jpeg(head: bytes) -> int:
    """Pixels by the start of frame, found by walking the segments (ITU-T T.81, B.1.1)."""
    at = 2
    while head[at : at + 1] == b"\xff" and at + 9 <= len(head):
        if 0xC0 <= head[at + 1] <= 0xCF and head[at + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", head, at + 5)
            return int(height) * int(width)
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return 0


def _jpeg_2000(head: bytes) -> int:
    """Pixels by the SIZ segment, the first of a codestream (ITU-T T.800, A.5.1)."""
    at = head.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(head) < at + 16:
        return 0
    width, height = struct.unpack_from(">II", head, at + 8)
    return int(width) * int(height)


def _webp(head: bytes) -> int:
    """Pixels by the first chunk (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1)."""
    if head[12:16] == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") for at in (24, 27))
        return (width + 1) * (height + 1)
    if head[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", head, 26)
    return int((width & 0x3FFF) * (height & 0x3FFF))


def _png(head: bytes) -> int:
    """Pixels by the IHDR chunk (PNG, 11.2.1)."""
    width, height = struct.unpack_from(">II", head, 16)
    return int(width * height)


def _lerc(head: bytes) -> int:
    """Pixels by the header of Lerc2: version, from 3 on a checksum, rows, columns."""
    if not head.startswith(b"Lerc2 "):
        return 0
    (version,) = struct.unpack_from("<i", head, 6)
    rows, columns = struct.unpack_from("<ii", head, 14 if version >= 3 else 10)
    return int(max(rows, 0) * max(columns, 0))

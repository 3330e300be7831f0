"""TIFF files written by hand, so that their headers can claim anything."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

SHORT, LONG = 3, 4
_FORMS = {SHORT: "H", LONG: "I"}

Tags = Mapping[int, tuple[int, Sequence[int]]]


def directory(tags: Tags, at: int, following: int = 0) -> bytes:
    """A page whose directory begins at an offset; long values stand behind it."""
    head_bytes = 2 + 12 * len(tags) + 4
    head, behind = struct.pack("<H", len(tags)), b""
    for code, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"<{len(values)}{_FORMS[kind]}", *values)
        value = data.ljust(4, b"\0")
        if len(data) > 4:
            value = struct.pack("<I", at + head_bytes + len(behind))
            behind += data
        head += struct.pack("<HHI", code, kind, len(values)) + value
    return head + struct.pack("<I", following) + behind


def page(
    width: int,
    height: int,
    *,
    tile_px: int = 0,
    bits: int = 8,
    samples: int = 1,
    compression: int = 1,
    offsets: Sequence[int] = (8,),
    counts: Sequence[int] = (0,),
    below: Sequence[int] = (),
) -> Tags:
    """Tags of a page in one strip, or in tiles that are all left out."""
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * samples),
        259: (SHORT, [compression]),
        262: (SHORT, [1]),
        277: (SHORT, [samples]),
    }
    if tile_px:
        tiles = -(-width // tile_px) * -(-height // tile_px)
        tags |= {322: (LONG, [tile_px]), 323: (LONG, [tile_px])}
        tags |= {324: (LONG, [0] * tiles), 325: (LONG, [0] * tiles)}
    else:
        tags |= {273: (LONG, offsets), 278: (LONG, [height]), 279: (LONG, counts)}
    if below:
        tags[330] = (LONG, below)
    return tags


def tiff_of(*pages: Tags, rest: bytes = b"") -> bytes:
    """A TIFF of these pages, one after the other."""
    data = bytearray(struct.pack("<2sHI", b"II", 42, 8))
    for number, tags in enumerate(pages):
        size = len(directory(tags, 0))
        following = len(data) + size if number + 1 < len(pages) else 0
        data += directory(tags, len(data), following)
    return bytes(data + rest)

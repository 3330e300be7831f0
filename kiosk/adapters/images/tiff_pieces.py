"""The pieces of a TIFF page, its strips or tiles: found, checked and unpacked one at a time."""

from __future__ import annotations

import io
import math
import struct
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL.TiffImagePlugin import TiffImageFile

from kiosk.adapters.images.coded_sizes import JPEGS, coded_px
from kiosk.adapters.images.disk_array import DiskArray
from kiosk.adapters.images.plain_images import BYTES_PER_PX, corrupt
from kiosk.errors import TooLarge

LZW = 5
# Bytes that a packed piece may have beyond its unpacked size: tables and colour profiles.
_OVERHEAD_BYTES = 2**20
# Large pieces that wait in temporary files: those of a few channels, which are read in turn.
DISK_BYTES = 2**31


class Piece(NamedTuple):
    """An unpacked strip or tile.

    Attributes:
        values: (depths, rows, columns, samples), or None where the file leaves the piece out;
            at the lower and right border it may reach beyond the page.
        depth, top, left: of its first pixel in the page.
        shape: depths, rows and columns that it stands for.
    """

    values: np.ndarray | None
    depth: int
    top: int
    left: int
    shape: tuple[int, int, int]


class PieceReader:
    """Unpacks pieces of pages, and keeps the last ones for windows and channels that follow.

    Those that are too large to be kept in memory, such as a whole plane in one strip, wait in
    temporary files.

    Raises InvalidRequest or TooLarge for pieces that the decoders must not be given, and the
    errors of the decoders.
    """

    def __init__(self, file: BinaryIO, name: str, *, limit_px: int, keep_bytes: int) -> None:
        self._file, self._name, self._limit_px = file, name, limit_px
        self._keep_bytes, self._kept_bytes = keep_bytes, 0
        self._kept: OrderedDict[tuple[int, int], Piece] = OrderedDict()
        self._on_disk: OrderedDict[tuple[int, int], tuple[Piece, DiskArray]] = OrderedDict()

    def piece(self, page: Any, index: int) -> Piece:
        """Piece `index` of a tifffile page."""
        key = (int(page.offset), index)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        if key in self._on_disk:
            self._on_disk.move_to_end(key)
            place, values = self._on_disk[key]
            return place._replace(values=values.values())
        piece = self._unpacked(page, index)
        if piece.values is not None:
            if piece.values.nbytes <= self._keep_bytes:
                self._keep(key, piece, piece.values.nbytes)
            else:
                self._put_on_disk(key, piece, DiskArray(piece.values))
        return piece

    def _keep(self, key: tuple[int, int], piece: Piece, size: int) -> None:
        self._kept[key] = piece
        self._kept_bytes += size
        while self._kept_bytes > self._keep_bytes:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= old.values.nbytes if old.values is not None else 0

    def _put_on_disk(self, key: tuple[int, int], piece: Piece, values: DiskArray) -> None:
        self._on_disk[key] = piece._replace(values=None), values
        while len(self._on_disk) > 1 and self._disk_bytes > DISK_BYTES:
            self._on_disk.popitem(last=False)

    @property
    def _disk_bytes(self) -> int:
        return sum(values.nbytes for _, values in self._on_disk.values())

    def _unpacked(self, page: Any, index: int) -> Piece:
        check_piece_size(page, self._name, self._limit_px)
        data = self._data(page, index)
        if data is not None:
            _check_data(page, index, data, self._name)
        keyframe = page.keyframe
        tables: dict[str, Any] = {}
        if int(page.compression) in JPEGS:
            tables = {"jpegtables": page.jpegtables, "jpegheader": keyframe.jpegheader}
        values, (_, depth, top, left, _), shape = keyframe.decode(data, index, **tables)
        return Piece(values, depth, top, left, tuple(shape[:3]))

    def _data(self, page: Any, index: int) -> bytes | None:
        """The packed bytes, or None where the file leaves the piece out."""
        offset, count = int(page.dataoffsets[index]), int(page.databytecounts[index])
        if offset <= 0 or count <= 0:
            return None
        size = piece_bytes(page, index)
        bound = size if int(page.compression) == 1 else 4 * size + _OVERHEAD_BYTES
        self._file.seek(offset)
        return self._file.read(min(count, bound))


def check_piece_size(page: Any, name: str, limit_px: int) -> None:
    """Raise TooLarge for pages whose pieces have more than `limit_px` pixels or too many bytes."""
    pixels = piece_px(page)
    # What the file says and what the decoder allocates: 12 bits become 16.
    size = max(piece_bytes(page, 0), pixels * _samples(page) * page.dtype.itemsize)
    if pixels > limit_px or size > BYTES_PER_PX * limit_px:
        what = "tiles" if page.is_tiled else "strips"
        raise TooLarge(
            f"'{name}' is stored in {what} of {pixels} pixels ({size} bytes), which have to be"
            f" unpacked whole, and this kiosk unpacks at most {limit_px} pixels of {BYTES_PER_PX}"
            " bytes at a time; save it with tiles of 512 x 512 or raise KIOSK_LIMITS__PLANE_PX.",
            reason="IMAGE_TOO_LARGE",
        )


def piece_px(page: Any) -> int:
    """Pixels of the largest piece of a page."""
    if page.is_tiled:
        return int(page.tiledepth * page.tilelength * page.tilewidth)
    return int(min(page.rowsperstrip, page.imagelength) * page.imagewidth)


def pieces_in(page: Any, separate: int, depth: int, rows: slice, columns: slice) -> Iterator[int]:
    """Numbers of the pieces that a window touches, in file order.

    Args:
        separate: number of the sample, where samples are stored in planes of their own.
        depth: plane within the page.
    """
    _, depths, length, width, _ = page.shaped
    if page.is_tiled:
        deep, high, wide = page.tiledepth, page.tilelength, page.tilewidth
    else:
        deep, high, wide = 1, page.rowsperstrip, width
    down, across = -(-length // high), -(-width // wide)
    first = (separate * -(-depths // deep) + depth // deep) * down
    for row in range(rows.start // high, -(-rows.stop // high)):
        for column in range(columns.start // wide, -(-columns.stop // wide)):
            yield (first + row) * across + column


def _samples(page: Any) -> int:
    return int(page.samplesperpixel) if page.planarconfig == 1 else 1


def piece_bytes(page: Any, index: int) -> int:
    """Bytes that a strip or tile unpacks to; the last strip of a plane may be shorter."""
    bits = page.bitspersample
    pixel_bits = sum(bits) if isinstance(bits, tuple) else bits * _samples(page)
    if page.is_tiled:
        rows, columns = page.tilelength * page.tiledepth, page.tilewidth
    else:
        rows, columns = min(page.rowsperstrip, page.imagelength), page.imagewidth
        strips = -(-page.imagelength // rows)
        rows = min(rows, page.imagelength - (index % strips) * rows)
    return int(rows * -(-columns * pixel_bits // 8))


def _check_data(page: Any, index: int, data: bytes, name: str) -> None:
    """Refuse packed pieces that the decoders must not be given.

    JPEG, WebP and the like: the decoders allocate what a piece's own header says, gigabytes for
    a small tile.
    LZW: imagecodecs (2026.3.6) writes outside its memory on some damaged streams, which ends
    the process; so libtiff, in Pillow, has to accept the stream first.
    """
    code = int(page.compression)
    if code == LZW and not _lzw_is_sound(data, piece_bytes(page, index)):
        raise corrupt(name, "its compressed pixels are not complete")
    # Encoders pad to blocks.
    if coded_px(code, data[: 2**16]) > 2 * math.prod(page.chunks) + 2**20:
        raise corrupt(name, "a compressed piece is larger than its place in the image")


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

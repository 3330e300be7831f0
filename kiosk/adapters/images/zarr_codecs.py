"""Compression of Zarr chunks, with a bound on what comes out.

The codecs of zarr and numcodecs allocate what a chunk's own header claims, or unpack without end.
Arrays are therefore opened with `kiosk.bounded` in place of their compressors: the same decoders,
told how many bytes a chunk can have at most.
"""

from __future__ import annotations

import asyncio
import bz2
import lzma
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numcodecs
import numcodecs.abc
import numcodecs.blosc
import numpy as np
from zarr.abc.codec import BytesBytesCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import Buffer
from zarr.registry import register_codec

NAME = "kiosk.bounded"


def bound_bytes(chunk_bytes: int) -> int:
    """The most that a stage of compression may give for a chunk of that many bytes of pixels."""
    return chunk_bytes + chunk_bytes // 8 + 64 * 1024


def unpack(codec: str, data: bytes, limit_bytes: int) -> bytes:
    """Unpack with one of `UNPACKERS`. Raises ValueError or a decoder's error."""
    unpacked = UNPACKERS[codec](data, limit_bytes)
    if len(unpacked) > limit_bytes:
        raise ValueError(f"more than {limit_bytes} bytes")
    return unpacked


def _deflate(data: bytes, limit_bytes: int) -> bytes:
    """zlib or gzip, told apart by their headers."""
    inflater = zlib.decompressobj(32 + zlib.MAX_WBITS)
    unpacked = inflater.decompress(data, limit_bytes + 1)
    if not inflater.eof:
        raise ValueError("the stream is cut short or too long")
    return unpacked


def _bz2(data: bytes, limit_bytes: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, limit_bytes + 1)


def _lzma(data: bytes, limit_bytes: int) -> bytes:
    # A stream names the memory that it needs; large dictionaries are for files, not for chunks.
    return lzma.LZMADecompressor(memlimit=2**28).decompress(data, limit_bytes + 1)


def _zstd(data: bytes, limit_bytes: int) -> bytes:
    return bytes(imagecodecs.zstd_decode(data, out=limit_bytes))


def _lz4(data: bytes, limit_bytes: int) -> bytes:
    """As numcodecs writes it: the size in 4 bytes, then a block."""
    (size,) = struct.unpack_from("<I", data)
    if size > limit_bytes:
        raise ValueError(f"claims {size} bytes")
    return bytes(numcodecs.get_codec({"id": "lz4"}).decode(data))


def _blosc(data: bytes, limit_bytes: int) -> bytes:
    """Header of c-blosc 1: version, versionlz, flags, typesize, nbytes, blocksize, cbytes."""
    size, block, packed = struct.unpack_from("<III", data, 4)
    if size > limit_bytes or block > limit_bytes or packed > len(data):
        raise ValueError(f"claims {size} bytes")
    return bytes(numcodecs.blosc.decompress(data))


UNPACKERS: Mapping[str, Callable[[bytes, int], bytes]] = {
    "blosc": _blosc,
    "bz2": _bz2,
    "gzip": _deflate,
    "lz4": _lz4,
    "lzma": _lzma,
    "zlib": _deflate,
    "zstd": _zstd,
}


@dataclass(frozen=True)
class BoundedCodec(BytesBytesCodec):  # type: ignore[misc]
    """A compressor of Zarr format 3, for reading only."""

    codec: str
    limit_bytes: int
    is_fixed_size = False

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BoundedCodec:
        return cls(**data["configuration"])

    def to_dict(self) -> dict[str, Any]:
        values = {"codec": self.codec, "limit_bytes": self.limit_bytes}
        return {"name": NAME, "configuration": values}

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> Buffer:
        data = chunk_bytes.to_bytes()
        unpacked = await asyncio.to_thread(unpack, self.codec, data, self.limit_bytes)
        return chunk_spec.prototype.buffer.from_bytes(unpacked)

    def compute_encoded_size(self, _input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        raise NotImplementedError


class BoundedFilter(numcodecs.abc.Codec):  # type: ignore[misc]
    """A compressor of Zarr format 2, for reading only."""

    codec_id = NAME

    def __init__(self, codec: str, limit_bytes: int) -> None:
        self.codec, self.limit_bytes = codec, limit_bytes

    def encode(self, buf: Any) -> Any:
        raise NotImplementedError

    def decode(self, buf: Any, out: Any = None) -> Any:
        data = np.ascontiguousarray(np.asarray(buf)).tobytes()
        return np.frombuffer(unpack(self.codec, data, self.limit_bytes), np.uint8)


register_codec(NAME, BoundedCodec)
numcodecs.register_codec(BoundedFilter)

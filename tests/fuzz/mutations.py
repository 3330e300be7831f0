"""Hostile files out of sound ones: what damage and malice do to bytes, names and options."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

# Numbers at which programs go wrong.
EDGES = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF,
         0x80000000, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)  # fmt: skip
NAMES = ("a.tif", "", "../../etc/passwd", "\0", "a\nb", "x" * 3000, "漢字.tif", "\u202egnp.exe",
         "con", "\ud800", "a.ome.zarr", "-rf")  # fmt: skip


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _write_edge(data: bytearray, rng: random.Random) -> None:
    """A number of 1, 2, 4 or 8 bytes, in either order; more often where headers are."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice("<>")
    value = rng.choice(EDGES) & ((1 << 8 * size) - 1)
    packed = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[size], value)
    end = max(1, len(data) - size)
    at = rng.randrange(min(end, rng.choice((64, 512, end))))
    if rng.random() < 0.3:  # directories of zips and many TIFFs are at the end
        at = end - 1 - at
    data[at : at + size] = packed


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 16, 256))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 12, 64, 1024))
    to = rng.randrange(len(data))
    data[to:to] = data[at : at + length] * rng.choice((1, 1, 2, 50))


def _zero(data: bytearray, rng: random.Random) -> None:
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 64, 1024))
    data[at : at + length] = bytes(min(length, len(data) - at))


def _noise(data: bytearray, rng: random.Random) -> None:
    at, length = rng.randrange(len(data)), rng.choice((1, 4, 64, 1024))
    data[at : at + length] = rng.randbytes(min(length, len(data) - at))


def _digits(data: bytearray, rng: random.Random) -> None:
    """Numbers in text: XML, JSON and descriptions."""
    places = [at for at, byte in enumerate(data) if 48 <= byte <= 57]
    if places:
        at = rng.choice(places)
        text = rng.choice((b"0", b"-1", b"9" * 20, b"1e999", b"NaN", b'"', b"<", b"{", b"]"))
        data[at : at + 1] = text


_STEPS: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip, _write_edge, _write_edge, _write_edge, _cut, _remove, _repeat, _zero, _noise, _digits,
)  # fmt: skip


def mutated(files: Sequence[bytes], rng: random.Random) -> bytes:
    """A file with a few things wrong with it; at times two files in one."""
    data = bytearray(rng.choice(files))
    if rng.random() < 0.05:
        other = rng.choice(files)
        data = data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]
    for _ in range(rng.choice((1, 1, 2, 3, 5))):
        if not data:
            break
        rng.choice(_STEPS)(data, rng)
    return bytes(data)


def options(rng: random.Random) -> dict[str, Any]:
    """How a caller might want a file read; mostly as it says."""
    wanted: dict[str, Any] = {}
    if rng.random() < 0.1:
        wanted["axes"] = "".join(rng.sample("TCZYXS", rng.randrange(2, 6)))
    if rng.random() < 0.1:
        wanted["series"] = rng.choice((0, 1, 2, 10**9))
    if rng.random() < 0.1:
        wanted["member"] = rng.choice(("a.tif", "b/c.png", "../evil", "a.zarr", "\0", "x" * 5000))
    if rng.random() < 0.05:
        wanted["pixel_size_um"] = rng.choice((0.5, 1e-300, 1e300))
    return wanted

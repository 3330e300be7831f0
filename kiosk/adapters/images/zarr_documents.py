"""The JSON documents of Zarr arrays, format 2 and 3: checked, and rewritten before zarr sees them.

Only what is known is taken over: sizes, chunks, plain numbers, known codecs with bounds. A document
that claims absurd sizes, objects or unknown codecs is refused here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.adapters.images.plain_images import corrupt, unsupported
from kiosk.adapters.images.zarr_keys import ZarrKeys
from kiosk.errors import InvalidRequest, TooLarge

# Consolidated metadata of a plate may stand in a group's document; parsed, a hostile one takes
# thirty times its length.
DOCUMENT_BYTES = 16 * 1024 * 1024
# All documents that are read together: a plate has one for each of its wells and fields.
METADATA_BYTES = 8 * DOCUMENT_BYTES
MAX_AXES = 8
MAX_CODECS = 8
# An index has 16 bytes per chunk and is read for every look into a shard.
MAX_CHUNKS_PER_SHARD = 2**20
_COMPRESSORS = ("blosc", "bz2", "gzip", "lz4", "lzma", "zlib", "zstd")
_CHECKSUMS = ("adler32", "crc32", "crc32c", "fletcher32", "jenkins_lookup3")
_FILTERS = ("astype", "bitround", "delta", "fixedscaleoffset", "packbits", "quantize", "shuffle")
_SPECIAL = ("NaN", "Infinity", "-Infinity")


@dataclass(frozen=True, kw_only=True)
class ArrayDocument:
    """What is known of a stored array before any of its pixels are read.

    Attributes:
        chunks: shape of what is unpacked at a time; inside of a shard its inner chunks.
        document: for zarr, with bounded codecs.
    """

    zarr_format: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    document: Mapping[str, Any]

    @property
    def chunk_bytes(self) -> int:
        return math.prod(self.chunks) * self.dtype.itemsize


def read_json(keys: ZarrKeys, key: str) -> dict[str, Any] | None:
    """A JSON object, or None when there is no such key. Raises InvalidRequest."""
    data = keys.read(key, DOCUMENT_BYTES)
    if data is None:
        return None
    keys.metadata_bytes += len(data)
    if keys.metadata_bytes > METADATA_BYTES:
        raise TooLarge(
            f"'{keys.name}' has more metadata than can be read; split it into smaller plates.",
            reason="IMAGE_TOO_LARGE",
        )
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise corrupt(keys.name, f"its metadata in '{key[:120]}' cannot be read") from error
    if not isinstance(value, dict):
        raise corrupt(keys.name, f"its metadata in '{key[:120]}' are not an object")
    return value


def read_array(keys: ZarrKeys, path: str) -> ArrayDocument | None:
    """The array at a path, or None when there is none. Raises InvalidRequest."""
    prefix = path + "/" if path else ""
    try:
        if (found := read_json(keys, prefix + "zarr.json")) is not None:
            return _format_3(found, keys.name) if found.get("node_type") == "array" else None
        if (found := read_json(keys, prefix + ".zarray")) is not None:
            return _format_2(found, keys.name)
    except InvalidRequest:
        raise
    except Exception as error:  # values of any kind may stand where numbers should
        raise corrupt(keys.name, f"its array '{path[:120]}' is not described rightly") from error
    return None


def _format_2(found: Mapping[str, Any], name: str) -> ArrayDocument:
    from kiosk.adapters.images.zarr_codecs import bound_bytes

    shape, chunks = _grid(found["shape"], found["chunks"], name)
    dtype = _dtype(found["dtype"], name)
    filters = found.get("filters") or []
    # A filter may store wider numbers than it gives, at most 8 bytes for 1.
    limit = bound_bytes(math.prod(chunks) * dtype.itemsize) * (8 if filters else 1)
    if len(filters) > MAX_CODECS:
        raise corrupt(name, "it lists too many codecs")
    compressor = found.get("compressor")
    document = {
        "zarr_format": 2,
        "shape": list(shape),
        "chunks": list(chunks),
        "dtype": dtype.str,
        "order": "F" if found.get("order") == "F" else "C",
        "compressor": None if compressor is None else _bounded_2(compressor, limit, name),
        "filters": [_bounded_2(item, limit, name) for item in filters] or None,
        "fill_value": _fill_value(found.get("fill_value"), dtype),
        "dimension_separator": "/" if found.get("dimension_separator") == "/" else ".",
    }
    return ArrayDocument(zarr_format=2, shape=shape, chunks=chunks, dtype=dtype, document=document)


def _bounded_2(codec: Mapping[str, Any], limit_bytes: int, name: str) -> dict[str, Any]:
    kind = str(codec["id"])
    if kind in _COMPRESSORS:
        from kiosk.adapters.images.zarr_codecs import NAME

        return {"id": NAME, "codec": kind, "limit_bytes": limit_bytes}
    if kind not in _CHECKSUMS + _FILTERS:
        raise _unknown(kind, name)
    for key, value in codec.items():
        if key.endswith("type"):  # dtype, astype, encode_dtype, decode_dtype
            _dtype(value, name)
        elif not isinstance(value, str | int | float | None):
            raise corrupt(name, f"its codec '{kind}' has settings that make no sense")
    return dict(codec)


def _format_3(found: Mapping[str, Any], name: str) -> ArrayDocument:
    grid, encoding = found["chunk_grid"], found["chunk_key_encoding"]
    if grid["name"] != "regular":
        raise unsupported(name, "has chunks of differing sizes; save it with equal chunks.")
    shape, chunks = _grid(found["shape"], grid["configuration"]["chunk_shape"], name)
    if found.get("storage_transformers"):
        raise unsupported(name, "uses storage transformers, which are not read; save it without.")
    kind = found["data_type"]
    if not isinstance(kind, str) or not re.fullmatch(r"bool|u?int\d+|float\d+", kind):
        raise _odd_values(kind, name)
    dtype = _dtype(kind, name)
    codecs, inner = _bounded_3(found["codecs"], chunks, dtype, name)
    scheme = "v2" if encoding["name"] == "v2" else "default"
    separator = (encoding.get("configuration") or {}).get("separator")
    default = "." if scheme == "v2" else "/"
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": kind,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {
            "name": scheme,
            "configuration": {"separator": separator if separator in (".", "/") else default},
        },
        "fill_value": _fill_value(found.get("fill_value"), dtype),
        "codecs": codecs,
        "attributes": {},
    }
    return ArrayDocument(
        zarr_format=3, shape=shape, chunks=inner or chunks, dtype=dtype, document=document
    )


def _bounded_3(
    codecs: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> tuple[list[dict[str, Any]], tuple[int, ...] | None]:
    """The codecs with bounds, and the inner chunks that can be read for themselves."""
    from kiosk.adapters.images.zarr_codecs import NAME, bound_bytes

    if not 0 < len(codecs) <= MAX_CODECS:
        raise corrupt(name, "it lists no codecs, or too many")
    limit = bound_bytes(math.prod(shape) * dtype.itemsize)
    bounded: list[dict[str, Any]] = []
    inner: tuple[int, ...] | None = None
    for codec in codecs:
        kind = codec if isinstance(codec, str) else str(codec["name"])
        settings = {} if isinstance(codec, str) else codec.get("configuration") or {}
        plain = kind.removeprefix("numcodecs.")
        if plain in _COMPRESSORS:
            bounded.append({"name": NAME, "configuration": {"codec": plain, "limit_bytes": limit}})
        elif kind == "crc32c":
            bounded.append({"name": kind})
        elif kind == "bytes":
            endian = {"endian": "big" if settings.get("endian") == "big" else "little"}
            bounded.append({"name": kind, "configuration": endian})
        elif kind == "transpose":
            order = [int(axis) for axis in settings["order"]]
            if sorted(order) != list(range(len(shape))):
                raise corrupt(name, "the order of its axes makes no sense")
            shape = tuple(shape[axis] for axis in order)
            bounded.append({"name": kind, "configuration": {"order": order}})
        elif kind == "sharding_indexed":
            sharding, inner_shape = _sharding(settings, shape, dtype, name)
            bounded.append(sharding)
            inner = inner_shape if len(codecs) == 1 else None
        else:
            raise _unknown(kind, name)
    return bounded, inner


def _sharding(
    settings: Mapping[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any], name: str
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The sharding codec with bounds, and the shape of its inner chunks."""
    _, chunks = _grid(shape, settings["chunk_shape"], name)
    if any(outer % inner for outer, inner in zip(shape, chunks, strict=True)):
        raise corrupt(name, "its chunks do not fill its shards")
    if math.prod(shape) // math.prod(chunks) > MAX_CHUNKS_PER_SHARD:
        raise corrupt(name, "its shards have too many chunks")
    names = [item if isinstance(item, str) else item["name"] for item in settings["codecs"]]
    if "sharding_indexed" in names:
        raise unsupported(name, "has shards within shards; save it with plain shards.")
    index = [item if isinstance(item, str) else item["name"] for item in settings["index_codecs"]]
    if index not in (["bytes"], ["bytes", "crc32c"]):
        raise unsupported(name, "has compressed indices of its shards; save it with plain ones.")
    codecs, _ = _bounded_3(settings["codecs"], chunks, dtype, name)
    index_codecs, _ = _bounded_3(settings["index_codecs"], (1,), np.dtype("u8"), name)
    configuration = {
        "chunk_shape": list(chunks),
        "codecs": codecs,
        "index_codecs": index_codecs,
        "index_location": "start" if settings.get("index_location") == "start" else "end",
    }
    return {"name": "sharding_indexed", "configuration": configuration}, chunks


def _grid(
    shape: Sequence[Any], chunks: Sequence[Any], name: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    sizes = [*shape, *chunks]
    if not all(isinstance(n, int) and 0 <= n < 2**53 for n in sizes) or min(chunks, default=0) < 1:
        raise corrupt(name, "the sizes in its metadata make no sense")
    if len(shape) != len(chunks) or not 0 < len(shape) <= MAX_AXES:
        raise corrupt(name, "its sizes and chunks have differing numbers of axes")
    return tuple(shape), tuple(chunks)


def _dtype(value: Any, name: str) -> np.dtype[Any]:
    try:
        dtype = np.dtype(value) if isinstance(value, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise _odd_values(value, name)
    return dtype


def _odd_values(value: Any, name: str) -> InvalidRequest:
    shown = value if isinstance(value, str) and len(value) < 20 else "structured"
    return unsupported(name, f"holds {shown} values; save it as integers or real numbers.")


def _unknown(codec: str, name: str) -> InvalidRequest:
    return unsupported(
        name, f"uses the codec '{codec[:40]}', which is not read; save it with zstd, blosc or gzip."
    )


def _fill_value(value: Any, dtype: np.dtype[Any]) -> Any:
    """The value of chunks that are left out. Some writers give numbers as text."""
    if value is None:
        return False if dtype.kind == "b" else 0
    if dtype.kind == "b":
        return bool(value)
    if dtype.kind == "f":
        if isinstance(value, str) and value.startswith("0x"):  # the bits of some NaN
            return "NaN"
        return value if value in _SPECIAL else float(value)
    number = int(float(value)) if isinstance(value, str) else int(value)
    return min(max(number, np.iinfo(dtype).min), np.iinfo(dtype).max)

"""OME-Zarr that is refused: wrong metadata, lies about sizes, bombs, unknown codecs."""

from __future__ import annotations

import bz2
import contextlib
import copy
import gzip
import io
import json
import lzma
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import pixels
from zarr_makers import axes_metadata, open_folder, open_zip, reader, write_image, zip_of, zipped

from kiosk.adapters.images.zarr_codecs import unpack
from kiosk.errors import InvalidRequest, TransientError


def refused(folder: Path, reason: str, **limits: int) -> str:
    """Opening or reading must fail with this reason and a sentence; gives the message."""
    with pytest.raises(InvalidRequest) as caught:
        open_folder(folder, **limits).plane(0, 0, [0])
    assert caught.value.reason == reason, caught.value.message
    assert caught.value.message.endswith(".")
    assert "Error" not in caught.value.message
    return caught.value.message


def edited(path: Path, change: Callable[[Any], Any]) -> None:
    document = json.loads(path.read_text())
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed))


def metadata(folder: Path, change: Callable[[Any], Any]) -> None:
    """Change the multiscales of an image."""
    edited(folder / "zarr.json", lambda d: change(d["attributes"]["ome"]["multiscales"][0]))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    write_image(tmp_path, pixels(2, 20, 30), "cyx")
    return tmp_path


@pytest.fixture
def old_image(tmp_path: Path) -> Path:
    write_image(tmp_path, pixels(2, 20, 30), "cyx", zarr_format=2)
    return tmp_path


@pytest.mark.parametrize(
    ("axes", "word"),
    [
        ("zcy", "order"),
        ("ycx", "order"),
        ("cy", "3 axes"),
        ("ccx", "order"),
        ("tcx", "y and x"),
    ],
)
def test_wrong_axes(image: Path, axes: str, word: str) -> None:
    metadata(image, lambda m: m.update(axes=axes_metadata(axes)))
    assert word in refused(image, "CORRUPT_IMAGE")


@pytest.mark.parametrize(
    "change",
    [
        {"datasets": []},
        {"datasets": "0"},
        {"datasets": [{}]},
        {"datasets": [{"path": "../0"}]},
        {"datasets": [{"path": "a//b"}]},
        {"datasets": [{"path": 7}]},
        {"datasets": [{"path": "elsewhere"}]},
        {"axes": None},
        {"axes": 3},
        {"axes": [1, 2, 3]},
    ],
)
def test_wrong_metadata(image: Path, change: dict[str, Any]) -> None:
    metadata(image, lambda m: m.update(change))
    refused(image, "CORRUPT_IMAGE")


@pytest.mark.parametrize("scale", [["x"], [1, 2], [1, -2, 3], [1, float("inf"), 1], "scale", None])
def test_senseless_scales_are_left_aside(image: Path, scale: Any) -> None:
    transformations = [{"type": "scale", "scale": scale}]
    dataset = {"path": "0", "coordinateTransformations": transformations}
    metadata(image, lambda m: m.update(datasets=[dataset]))
    assert open_folder(image).pixel_size_um is None


def test_versions_after_05_are_refused_by_name(image: Path) -> None:
    metadata(image, lambda m: m.pop("axes") and m.update(coordinateSystems=[]))
    assert "0.5" in refused(image, "UNSUPPORTED_FORMAT")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "CORRUPT_IMAGE"),
        ("[]", "CORRUPT_IMAGE"),
        ("{}", "NOT_AN_IMAGE"),
        ("[" * 100_000, "CORRUPT_IMAGE"),
        ('{"attributes": 7}', "NOT_AN_IMAGE"),
        ('{"attributes": {"ome": {"multiscales": [7]}}}', "NOT_AN_IMAGE"),
        ('{"node_type": "array"}', "NOT_AN_IMAGE"),
    ],
)
def test_documents_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "zarr.json").write_text(text)
    refused(tmp_path, reason)


ARRAY_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"shape": [2, 10**12, 10**12]}, "IMAGE_TOO_LARGE"),
    ({"shape": [2, 20, -30]}, "CORRUPT_IMAGE"),
    ({"shape": [2, 20, 1e3]}, "CORRUPT_IMAGE"),
    ({"shape": [2, 0, 30]}, "EMPTY_IMAGE"),
    ({"shape": [5000, 20, 30]}, "IMAGE_TOO_LARGE"),
    ({"shape": [20, 30]}, "CORRUPT_IMAGE"),
    ({"shape": "wide"}, "CORRUPT_IMAGE"),
]


@pytest.mark.parametrize(("change", "reason"), ARRAY_CHANGES, ids=str)
def test_lies_about_sizes_in_format_3(image: Path, change: Any, reason: str) -> None:
    edited(image / "0" / "zarr.json", lambda d: d.update(change))
    refused(image, reason)


OLD_CHANGES = [
    *ARRAY_CHANGES,
    ({"chunks": [1, 10**6, 10**6]}, "IMAGE_TOO_LARGE"),
    ({"chunks": [0, 16, 16]}, "CORRUPT_IMAGE"),
    ({"dtype": "|O"}, "UNSUPPORTED_FORMAT"),
    ({"dtype": "<U99"}, "UNSUPPORTED_FORMAT"),
    ({"dtype": "<c16"}, "UNSUPPORTED_FORMAT"),
    ({"dtype": "<M8[s]"}, "UNSUPPORTED_FORMAT"),
    ({"dtype": "V100000000"}, "UNSUPPORTED_FORMAT"),
    ({"dtype": [["a", "<u2"], ["b", "<u2"]]}, "UNSUPPORTED_FORMAT"),
    ({"compressor": {"id": "pickle"}}, "UNSUPPORTED_FORMAT"),
    ({"compressor": "blosc"}, "CORRUPT_IMAGE"),
    ({"filters": [{"id": "vlen-utf8"}]}, "UNSUPPORTED_FORMAT"),
    ({"filters": [{"id": "delta", "dtype": "V900000000"}]}, "UNSUPPORTED_FORMAT"),
    ({"filters": [{"id": "shuffle", "elementsize": [4]}]}, "CORRUPT_IMAGE"),
    ({"fill_value": "green"}, "CORRUPT_IMAGE"),
]


@pytest.mark.parametrize(("change", "reason"), OLD_CHANGES, ids=str)
def test_lies_in_format_2(old_image: Path, change: Any, reason: str) -> None:
    edited(old_image / "0" / ".zarray", lambda d: d.update(change))
    refused(old_image, reason)


def regular(*shape: int) -> dict[str, Any]:
    return {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": shape}}}


def sharded(**changes: Any) -> dict[str, Any]:
    settings = {
        "chunk_shape": [1, 8, 8],
        "codecs": ["bytes"],
        "index_codecs": ["bytes", "crc32c"],
    } | changes
    return {"codecs": [{"name": "sharding_indexed", "configuration": settings}]}


NEW_CHANGES = [
    (regular(1, 10**6, 10**6), "IMAGE_TOO_LARGE"),
    (regular(1, 16), "CORRUPT_IMAGE"),
    ({"chunk_grid": {"name": "rectangular"}}, "UNSUPPORTED_FORMAT"),
    ({"data_type": "complex64"}, "UNSUPPORTED_FORMAT"),
    ({"data_type": "string"}, "UNSUPPORTED_FORMAT"),
    ({"data_type": {"name": "struct"}}, "UNSUPPORTED_FORMAT"),
    ({"data_type": "float128"}, "UNSUPPORTED_FORMAT"),
    ({"codecs": []}, "CORRUPT_IMAGE"),
    ({"codecs": ["bytes", "magic"]}, "UNSUPPORTED_FORMAT"),
    ({"codecs": [{"name": "transpose", "configuration": {"order": [0, 0, 1]}}]}, "CORRUPT_IMAGE"),
    ({"codecs": ["zstd"]}, "CORRUPT_IMAGE"),
    ({"storage_transformers": [{"name": "x"}]}, "UNSUPPORTED_FORMAT"),
    ({"node_type": "group"}, "CORRUPT_IMAGE"),
    (sharded(chunk_shape=[1, 3, 3]), "CORRUPT_IMAGE"),
    (sharded(chunk_shape=[1, 0, 8]), "CORRUPT_IMAGE"),
    (sharded(index_codecs=["bytes", "zstd"]), "UNSUPPORTED_FORMAT"),
    (sharded(**{"codecs": sharded()["codecs"]}), "UNSUPPORTED_FORMAT"),
    (regular(1, 2**20, 2**20) | sharded(chunk_shape=[1, 1, 1]), "CORRUPT_IMAGE"),
]


@pytest.mark.parametrize(("change", "reason"), NEW_CHANGES, ids=str)
def test_lies_in_format_3(image: Path, change: Any, reason: str) -> None:
    edited(image / "0" / "zarr.json", lambda d: d.update(change))
    refused(image, reason)


def test_very_many_tiny_chunks(image: Path) -> None:
    edited(image / "0" / "zarr.json", lambda d: d.update(regular(1, 1, 1), shape=[2, 9000, 9000]))
    assert "too small" in refused(image, "IMAGE_TOO_LARGE")


BOMBS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "lzma": lambda data: lzma.compress(data, preset=0),
    "zstd": lambda data: bytes(imagecodecs.zstd_encode(data)),
    "lz4": lambda data: struct.pack("<I", 2**31 - 1) + b"\0" * 20,
    "blosc": lambda data: struct.pack("<BBBBIII", 2, 1, 0, 1, 2**31 - 1, 2**20, 24) + bytes(8),
}


@pytest.mark.parametrize("codec", BOMBS)
def test_chunks_that_unpack_to_too_much(old_image: Path, codec: str) -> None:
    """A chunk that would unpack to far more than its place in the image is refused."""
    edited(old_image / "0" / ".zarray", lambda d: d.update(compressor={"id": codec}))
    bomb = BOMBS[codec](bytes(30_000_000))
    assert len(bomb) < 200_000
    for path in (old_image / "0").glob("[0-9]*"):
        path.write_bytes(bomb)
    refused(old_image, "CORRUPT_IMAGE")


def test_unpacking_stops_at_its_bound() -> None:
    packed = zlib.compress(bytes(1000))
    assert unpack("zlib", packed, 1000) == bytes(1000)
    with pytest.raises(ValueError, match="stream"):
        unpack("zlib", packed, 998)


@pytest.mark.parametrize("chunk", [b"", b"x", bytes(10_000_000)])
def test_damaged_chunks(image: Path, chunk: bytes) -> None:
    (image / "0" / "c" / "0" / "0" / "0").write_bytes(chunk)
    refused(image, "CORRUPT_IMAGE")


def test_chunks_of_far_too_many_bytes_are_not_read(old_image: Path) -> None:
    with (old_image / "0" / "0.0.0").open("wb") as file:
        file.truncate(10**10)  # a hole, which takes no disk
    assert "far larger" in refused(old_image, "CORRUPT_IMAGE")


def test_a_shard_whose_index_lies(tmp_path: Path) -> None:
    write_image(tmp_path, pixels(32, 32), "yx", chunks=(8, 8), shards=(32, 32))
    shard = tmp_path / "0" / "c" / "0" / "0"
    data = bytearray(shard.read_bytes())
    index = struct.pack("<QQ", 2**40, 2**40) * 16
    data[-len(index) - 4 : -4] = index
    shard.write_bytes(bytes(data))
    refused(tmp_path, "CORRUPT_IMAGE")
    edited(
        tmp_path / "0" / "zarr.json",
        lambda d: d["codecs"][0]["configuration"].update(index_codecs=[{"name": "bytes"}]),
    )
    shard.write_bytes(bytes(data[:-4]))
    for window in (None, (slice(0, 4), slice(0, 4))):
        with pytest.raises(InvalidRequest):
            open_folder(tmp_path).plane(0, 0, [0], window)


def test_planes_outside(image: Path) -> None:
    source = open_folder(image)
    for t, z, c, level in [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 2, 0), (0, 0, -1, 0), (0, 0, 0, 1)]:
        with pytest.raises(InvalidRequest) as caught:
            source.plane(t, z, [c], level=level)
        assert caught.value.reason == "OUT_OF_RANGE"


def test_series_that_are_not_there(image: Path) -> None:
    with pytest.raises(InvalidRequest) as caught:
        open_folder(image, series=1)
    assert caught.value.reason == "SERIES_NOT_FOUND"


def test_plates_of_very_many_images(tmp_path: Path) -> None:
    wells = [{"path": f"A/{n}"} for n in range(30)]
    document = {"attributes": {"ome": {"plate": {"wells": wells}}}}
    (tmp_path / "zarr.json").write_text(json.dumps(document))
    refused(tmp_path, "TOO_MANY_MEMBERS", zip_members=20)


def test_plates_with_endless_metadata(tmp_path: Path) -> None:
    wells = [{"path": f"A/{n}"} for n in range(30)]
    plate = {"attributes": {"ome": {"plate": {"wells": wells}}}}
    padded = zip_of(
        {"zarr.json": json.dumps(plate).encode()}
        | {f"A/{n}/zarr.json": b"{}" + b" " * 8_000_000 for n in range(30)}
    )
    with pytest.raises(InvalidRequest) as caught:
        open_zip(padded)
    assert caught.value.reason == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://host/a.zarr", "BAD_URL"),
        ("/a/folder", "BAD_URL"),
        ("file:///no/such/folder", "URL_NOT_FOUND"),
        ("https://host/a.zarr", "BAD_URL"),
    ],
)
def test_addresses_that_are_not_read(url: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        reader().open(url, "image.zarr")
    assert caught.value.reason == reason


def test_a_folder_that_is_no_zarr(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    refused(tmp_path, "URL_NOT_FOUND")


def test_a_failing_store_is_worth_another_attempt(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_folder(image)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("the network is down")

    monkeypatch.setattr("obstore.get", fail)
    with pytest.raises(TransientError):
        source.plane(0, 0, [0])


def sound(axes: str, **options: Any) -> dict[str, bytes]:
    """Members of an OME-Zarr."""
    with tempfile.TemporaryDirectory() as folder:
        data = np.arange(600, dtype=np.uint16).reshape((1,) * (len(axes) - 2) + (20, 30))
        write_image(Path(folder), data, axes, **options)
        with zipfile.ZipFile(io.BytesIO(zipped(Path(folder)))) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


_SOUND = [
    sound("yx", zarr_format=2),
    sound("tczyx", levels=2),
    sound("yx", chunks=(8, 8), shards=(16, 16)),
]


@given(
    which=st.integers(0, 2), member=st.integers(0, 50), at=st.integers(0, 5000), value=st.binary()
)
@settings(max_examples=200)
def test_damage_never_leaks_an_error(which: int, member: int, at: int, value: bytes) -> None:
    members = copy.copy(_SOUND[which])
    name = sorted(members)[member % len(members)]
    data = members[name]
    at %= len(data)
    members[name] = data[:at] + value + data[at + len(value) :]
    with contextlib.suppress(InvalidRequest):
        source = open_zip(zip_of(members), plane_px=10**6)
        source.plane(0, 0, [0], level=len(source.levels) - 1)
        source.plane(0, 0, [0])

"""Zip archives of images: which members are listed, how they are read, what is refused."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import pixels, tiff
from zarr_makers import open_zip, reader, write_image, zip_of, zipped

from kiosk.errors import InvalidRequest
from kiosk.ports import ImageEntry

PLANE = pixels(20, 30)
TIFF = tiff(PLANE)


def members(data: bytes, **limits: int) -> list[str]:
    return [entry.member for entry in reader(**limits).entries(io.BytesIO(data), "cells.zip")]


def refused(data: bytes, reason: str, member: str = "", **limits: int) -> str:
    with pytest.raises(InvalidRequest) as caught:
        open_zip(data, member=member, **limits).plane(0, 0, [0])
    assert caught.value.reason == reason, caught.value.message
    assert caught.value.message.endswith(".")
    assert len(caught.value.message) < 500
    return caught.value.message


def test_images_are_listed_in_natural_order_without_junk() -> None:
    data = zip_of(
        {
            "plate/f10.tif": TIFF,
            "plate/f2.TIF": TIFF,
            "a.ome.tiff": TIFF,
            "b.png": b"",
            "__MACOSX/plate/._f2.tif": b"x",
            "plate/.hidden.tif": b"x",
            "plate/Thumbs.db": b"x",
            "plate/notes.txt": b"x",
            "folder/": b"",
        }
    )
    assert members(data) == ["a.ome.tiff", "b.png", "plate/f2.TIF", "plate/f10.tif"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_is_read(compression: int) -> None:
    other = pixels(8, 9)
    data = zip_of({"a/b.tif": tiff(other), "a/c.tif": TIFF, "d.txt": b"x"}, compression)
    np.testing.assert_array_equal(open_zip(data, member="a/c.tif").plane(0, 0, [0])[0], PLANE)
    np.testing.assert_array_equal(open_zip(data, member="a/b.tif").plane(0, 0, [0])[0], other)


def test_the_only_image_needs_no_name() -> None:
    data = zip_of({"notes.txt": b"x", "a/b.tif": TIFF})
    np.testing.assert_array_equal(open_zip(data).plane(0, 0, [0])[0], PLANE)


def test_images_without_suffix_are_found_by_content() -> None:
    assert members(zip_of({"a": TIFF, "b": b"text", "c": b""})) == ["a"]
    assert members(zip_of({"a": TIFF, "b": b"text"}, zipfile.ZIP_STORED)) == ["a"]


def test_several_images_need_a_name() -> None:
    message = refused(zip_of({"a.tif": TIFF, "b.tif": TIFF}), "MEMBER_NEEDED")
    assert "2 images" in message


def test_members_that_are_not_there() -> None:
    assert "inspect" in refused(zip_of({"a.tif": TIFF}), "MEMBER_NOT_FOUND", member="b.tif")
    with pytest.raises(InvalidRequest) as caught:
        open_zip(TIFF, "cells.tif", member="b.tif")
    assert caught.value.reason == "MEMBER_NOT_FOUND"


def test_other_files_have_one_entry() -> None:
    assert reader().entries(io.BytesIO(TIFF), "cells.tif") == [ImageEntry()]


def test_an_archive_without_images() -> None:
    data = zip_of({"notes.txt": b"x"})
    refused(data, "UNSUPPORTED_FORMAT")
    with pytest.raises(InvalidRequest):
        members(data)


def test_archives_in_archives_are_refused_one_by_one() -> None:
    data = zip_of({"a.tif": TIFF, "more.zip": zip_of({"b.tif": TIFF})})
    assert members(data) == ["a.tif", "more.zip"]
    assert "within a zip" in refused(data, "UNSUPPORTED_FORMAT", member="more.zip")
    open_zip(data, member="a.tif")


def test_images_beside_an_ome_zarr(tmp_path: Path) -> None:
    data = pixels(12, 13)
    write_image(tmp_path / "one.zarr", data, "yx")
    write_image(tmp_path / "two.zarr", data, "yx", zarr_format=2)
    (tmp_path / "three.tif").write_bytes(TIFF)
    archive = zipped(tmp_path)
    assert members(archive) == ["one.zarr", "two.zarr", "three.tif"]
    for member in ("one.zarr", "two.zarr"):
        np.testing.assert_array_equal(open_zip(archive, member=member).plane(0, 0, [0])[0], data)
    refused(archive, "MEMBER_NEEDED")


def test_closing_a_source_closes_all() -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO(zip_of({"a.tif": TIFF}, compression))
        reader().open(file, "cells.zip").close()
        assert file.closed
    file = io.BytesIO(zip_of({"a.tif": b"no image"}))
    with pytest.raises(InvalidRequest):
        reader().open(file, "cells.zip")
    assert not file.closed


# ---------------------------------------------------------------- hostile archives


@pytest.mark.parametrize(
    "name",
    [
        "../a.tif",
        "a/../../b.tif",
        "/etc/a.tif",
        "C:/a.tif",
        "c:a.tif",
        "..\\a.tif",
        "a\nb.tif",
        "a/" * 70 + "b.tif",
    ],
)
def test_unsafe_names(name: str) -> None:
    data = zip_of({"x.tif": TIFF, name: TIFF})
    refused(data, "UNSAFE_ARCHIVE")
    refused(data, "UNSAFE_ARCHIVE", member="x.tif")


def test_names_with_backslashes_are_paths() -> None:
    data = zip_of({"x_y.tif": TIFF}).replace(b"x_y.tif", b"x\\y.tif")
    assert members(data) == ["x/y.tif"]


def test_links() -> None:
    info = zipfile.ZipInfo("a.tif")
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "link" in refused(buffer.getvalue(), "UNSUPPORTED_FORMAT")


def edited(data: bytes, at: int, form: str, value: int) -> bytes:
    """Change a field of the first entry in the list of members."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(b"PK\x01\x02") + at, value)
    return bytes(changed)


def test_encrypted_members_and_unknown_methods() -> None:
    data = zip_of({"a.tif": TIFF})
    assert "password" in refused(edited(data, 8, "<H", 1), "UNSUPPORTED_FORMAT")
    assert "method 9" in refused(edited(data, 10, "<H", 9), "UNSUPPORTED_FORMAT")
    bzip2 = zip_of({"a.tif": TIFF}, zipfile.ZIP_BZIP2)
    assert "method 12" in refused(bzip2, "UNSUPPORTED_FORMAT")


def test_wrong_checksums_and_sizes() -> None:
    data = zip_of({"a.tif": TIFF})
    assert "checksum" in refused(edited(data, 16, "<I", 1), "CORRUPT_IMAGE")
    assert "unpacks to more" in refused(edited(data, 24, "<I", 100), "IMAGE_TOO_LARGE")
    assert "checksum" in refused(edited(data, 24, "<I", 100_000), "CORRUPT_IMAGE")
    refused(edited(data, 20, "<I", 20), "CORRUPT_IMAGE")
    refused(edited(data, 42, "<I", 7), "CORRUPT_IMAGE")
    stored = zip_of({"a.tif": TIFF}, zipfile.ZIP_STORED)
    refused(edited(stored, 24, "<I", 100), "CORRUPT_IMAGE")


def test_members_that_unpack_to_too_much() -> None:
    data = zip_of({"a.tif": TIFF + bytes(50_000_000)})
    assert len(data) < 100_000
    tracemalloc.start()
    try:
        refused(data, "IMAGE_TOO_LARGE", upload_bytes=10_000_000)
        refused(data, "IMAGE_TOO_LARGE", unpack_ratio=100)
        refused(edited(data, 24, "<I", 1_000_000), "IMAGE_TOO_LARGE")
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_members_that_share_bytes() -> None:
    data = zip_of({f"{n}.tif": TIFF for n in range(3)})
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    changed = bytearray(data)
    struct.pack_into("<I", changed, second + 42, 0)
    assert "overlap" in refused(bytes(changed), "CORRUPT_IMAGE")


def test_too_many_members() -> None:
    data = zip_of({f"{n}.tif": b"" for n in range(30)})
    refused(data, "TOO_MANY_MEMBERS", zip_members=29)
    refused(data, "TOO_MANY_MEMBERS", zip_entries=29)
    assert len(members(data, zip_members=30, zip_entries=30)) == 30


def end_record(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, size, offset, 0)


def test_lists_of_members_that_lie() -> None:
    data = zip_of({"a.tif": TIFF})
    at = data.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", data, at + 10)
    for lie in [
        (count + 1, size, offset),
        (60_000, size, offset),
        (count, size + 5, offset),
        (count, 2**31, offset),
        (count, size, 2**31),
        (count, size, offset - 3),
    ]:
        refused(data[:at] + end_record(*lie), "CORRUPT_IMAGE")
    refused(data[:at] + end_record(0xFFFF, size, offset), "CORRUPT_IMAGE")
    refused(data[:at], "TRUNCATED_IMAGE")
    refused(data[: at + 10], "TRUNCATED_IMAGE")
    assert members(data[:at] + end_record(count, size, offset) + b"comment") == ["a.tif"]


def test_a_list_that_claims_millions_of_members() -> None:
    """Record of large archives that names 2**40 entries; nothing of it is read."""
    data = b"PK\x03\x04" + bytes(100)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2**40, 2**40, 2**46, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(data), 1)
    refused(data + record + locator + end_record(0xFFFF, 2**32 - 1, 2**32 - 1), "CORRUPT_IMAGE")


def test_large_archives_are_read() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("a.tif", "w", force_zip64=True) as f:
        f.write(TIFF)
    data = buffer.getvalue()
    at = data.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", data, at + 10)
    record = struct.pack(
        "<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset
    )
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1)
    large = data[:at] + record + locator + end_record(0xFFFF, 2**32 - 1, 2**32 - 1)
    np.testing.assert_array_equal(open_zip(large).plane(0, 0, [0])[0], PLANE)


_SOUND = [
    zip_of({"a/b.tif": TIFF}),
    zip_of({"a/b.tif": TIFF, "c.txt": b"x"}, zipfile.ZIP_STORED),
]


@given(which=st.integers(0, 1), at=st.integers(0, 3000), value=st.binary(min_size=1))
@settings(max_examples=300)
def test_damage_never_leaks_an_error(which: int, at: int, value: bytes) -> None:
    data = _SOUND[which]
    at %= len(data)
    with contextlib.suppress(InvalidRequest):
        open_zip(data[:at] + value + data[at + len(value) :]).plane(0, 0, [0])


@given(which=st.integers(0, 1), at=st.integers(0, 3000))
def test_cut_archives_are_refused(which: int, at: int) -> None:
    data = _SOUND[which]
    with pytest.raises(InvalidRequest):
        open_zip(data[: at % len(data)])

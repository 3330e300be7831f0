"""NumPy arrays: axes, windows, and headers that are refused."""

from __future__ import annotations

import contextlib
import io
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_makers import asked, everything, opened, pixels

from kiosk.errors import InvalidRequest


def npy(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((12, 14), "YX"),
        ((6, 12, 14), "TYX"),
        ((5, 6, 12, 14), "TZYX"),
        ((2, 3, 4, 12, 14), "TZCYX"),
        ((12, 14, 3), "YXC"),
        ((6, 12, 14, 2), "TYXC"),
    ],
)
def test_axes_are_guessed_and_said(shape: tuple[int, ...], axes: str) -> None:
    data = pixels(*shape)
    source = opened(npy(data), "cells.npy")
    assert source.axes == axes
    (note,) = source.notes
    assert note.endswith(f"they are taken as {axes}.")
    lengths = dict(zip(axes, shape, strict=True))
    assert dict(source.sizes) == {axis: lengths.get(axis.upper(), 1) for axis in "tczyx"}
    order = [axes.index(axis) for axis in "TZCYX" if axis in axes]
    np.testing.assert_array_equal(everything(source).squeeze(), data.transpose(order))


def test_pictures_are_red_green_and_blue() -> None:
    data = pixels(12, 14, 3, dtype="u1")
    source = opened(npy(data), "cells.npy")
    assert source.is_rgb
    np.testing.assert_array_equal(source.plane(0, 0, [2, 0]), np.moveaxis(data, -1, 0)[[2, 0]])


@given(
    order=st.permutations("TZCYX"),
    count=st.integers(2, 5),
    dtype=st.sampled_from(["u1", ">u2", "<i4", "f2", ">f8", "?"]),
    fortran=st.booleans(),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]),
)
@settings(max_examples=80, deadline=None)
def test_any_order_of_axes(
    order: list[str], count: int, dtype: str, fortran: bool, version: tuple[int, int]
) -> None:
    dropped = [axis for axis in order if axis not in "YX"][: 5 - count]
    axes = "".join(axis for axis in order if axis not in dropped)
    lengths = {"T": 2, "Z": 3, "C": 4, "Y": 9, "X": 7}
    data = pixels(*(lengths[axis] for axis in axes), dtype=np.dtype(dtype).newbyteorder("="))
    stored = data.astype(dtype)
    content = npy(np.asfortranarray(stored) if fortran else stored, version)
    source = asked(content, "cells.npy", axes=axes)
    assert source.dtype.isnative
    assert not source.notes
    full = data.transpose([axes.index(axis) for axis in "TZCYX" if axis in axes])
    np.testing.assert_array_equal(everything(source).squeeze(), full.squeeze())
    t, z = source.sizes["t"] - 1, source.sizes["z"] - 1
    whole = source.plane(t, z, [source.sizes["c"] - 1, 0])
    window = (slice(2, 8), slice(1, 5))
    np.testing.assert_array_equal(
        source.plane(t, z, [source.sizes["c"] - 1, 0], window), whole[:, *window]
    )


def test_axes_of_length_one_need_no_name() -> None:
    data = pixels(1, 6, 12, 14)
    assert asked(npy(data), "cells.npy", axes="ZYX").sizes["z"] == 6
    assert asked(npy(data), "cells.npy", axes="CZYX").sizes["z"] == 6
    with pytest.raises(InvalidRequest) as caught:
        asked(npy(data), "cells.npy", axes="YX")
    assert caught.value.reason == "AXES_DO_NOT_FIT"
    assert "6 x 12 x 14" in caught.value.message


class Counting(io.BytesIO):
    """Counts the bytes read."""

    count = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_a_window_reads_its_rows_only() -> None:
    from kiosk.adapters.image_files import ImageFileReader
    from kiosk.settings import LimitSettings

    file = Counting(npy(np.zeros((50, 512, 512), np.uint16)))
    source = ImageFileReader(LimitSettings()).open(file, "cells.npy")
    assert file.count < 100_000
    file.count = 0
    source.plane(49, 0, [0], (slice(100, 164), slice(0, 512)))
    assert file.count == 64 * 512 * 2
    source.close()
    assert file.closed


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode()


SOUND = "{'descr': '<u2', 'fortran_order': False, 'shape': (12, 14), }\n"


@pytest.mark.parametrize(
    ("data", "reason", "word"),
    [
        (npy(pixels(12, 14))[:-9], "TRUNCATED_IMAGE", "cut short"),
        (npy(np.array([["a", None]], dtype=object)), "UNSUPPORTED_FORMAT", "object"),
        (npy(np.zeros((12, 14), np.complex64)), "UNSUPPORTED_FORMAT", "complex"),
        (npy(np.zeros((12, 14), "u1,u2")), "UNSUPPORTED_FORMAT", "holds"),
        (npy(np.zeros((12, 14), "S9")), "UNSUPPORTED_FORMAT", "holds"),
        (npy(pixels(14)), "UNSUPPORTED_FORMAT", "1 axes"),
        (npy(pixels(2, 2, 2, 2, 12, 14)), "UNSUPPORTED_FORMAT", "6 axes"),
        (npy(np.zeros((0, 14))), "EMPTY_IMAGE", "no pixels"),
        (b"\x93NUMPY", "CORRUPT_IMAGE", "header"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "UNSUPPORTED_FORMAT", "newer"),
        (header("import os"), "CORRUPT_IMAGE", "header"),
        (header("(" * 5000), "CORRUPT_IMAGE", "header"),
        (header(SOUND, 2, 4_000_000_000), "CORRUPT_IMAGE", "header"),
        (header(SOUND.replace("12", "-12")), "CORRUPT_IMAGE", "header"),
        (header(SOUND.replace("12", "True")), "TRUNCATED_IMAGE", "cut short"),
        (header(SOUND.replace("12", "10" * 30)), "IMAGE_TOO_LARGE", "at most"),
        (header(SOUND.replace("(12, 14)", "12")), "CORRUPT_IMAGE", "header"),
        (header(SOUND.replace("<u2", "O")), "UNSUPPORTED_FORMAT", "object"),
    ],
)
def test_bad_arrays_are_refused(data: bytes, reason: str, word: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        opened(data, "cells.npy")
    assert caught.value.reason == reason
    assert word in caught.value.message
    assert caught.value.message.endswith(".")


@given(position=st.integers(0, 127), value=st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_a_damaged_byte_never_leaks_an_error(position: int, value: int) -> None:
    data = bytearray(npy(pixels(3, 12, 14)))
    data[position] = value
    with contextlib.suppress(InvalidRequest):
        source = opened(bytes(data), "cells.npy")
        source.plane(0, 0, range(min(source.sizes["c"], 9)))


def test_archives_of_arrays_are_refused() -> None:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"X": pixels(12, 14), "y": pixels(12, 14)}
    np.savez(buffer, **arrays)
    with pytest.raises(InvalidRequest) as caught:
        opened(buffer.getvalue(), "cells.npz")
    assert caught.value.reason == "UNSUPPORTED_FORMAT"
    assert ".npz" in caught.value.message

"""A label image in a file is read and written like one in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.pipelines.canvas import LabelFile

HEIGHT, WIDTH = 13, 17


@st.composite
def windows(draw: st.DrawFn) -> tuple[slice, slice]:
    top, left = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
    bottom, right = draw(st.integers(top, HEIGHT)), draw(st.integers(left, WIDTH))
    return slice(top, bottom), slice(left, right)


whole = (slice(0, HEIGHT), slice(0, WIDTH))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("canvas")


@given(st.lists(st.tuples(windows(), st.integers(0, 2**32 - 1)), max_size=8), windows())
def test_it_is_an_array(
    folder: Path, writes: list[tuple[tuple[slice, slice], int]], asked: tuple[slice, slice]
) -> None:
    file = LabelFile(folder / "labels", (HEIGHT, WIDTH))
    array = np.zeros((HEIGHT, WIDTH), np.uint32)
    for number, (window, value) in enumerate(writes):
        part = np.arange(array[window].size, dtype=np.uint32).reshape(array[window].shape)
        part = (part + np.uint32(value)) * np.uint32(number + 1)
        file.write(window, part)
        array[window] = part
    np.testing.assert_array_equal(file.read(asked), array[asked])
    np.testing.assert_array_equal(file.read(whole), array)
    file.close()


def test_other_integers_and_views_are_written_as_they_are(folder: Path) -> None:
    file = LabelFile(folder / "views", (4, 6))
    file.write((slice(0, 4), slice(0, 6)), np.arange(24, dtype=np.int64).reshape(6, 4).T)
    np.testing.assert_array_equal(
        file.read((slice(1, 3), slice(2, 5))), np.arange(24).reshape(6, 4).T[1:3, 2:5]
    )
    file.close()


def test_it_begins_empty_and_takes_no_room_on_the_disk(folder: Path) -> None:
    file = LabelFile(folder / "sparse", (20_000, 20_000))
    assert not file.read((slice(19_990, 20_000), slice(5, 9))).any()
    status = os.stat(folder / "sparse")
    assert status.st_size == 1_600_000_000
    assert status.st_blocks * 512 < 1_000_000
    file.close()
    file.close()  # twice is harmless


@pytest.fixture
def short_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    real = os.pwrite

    def pwrite(file: int, data: memoryview, offset: int) -> int:
        return real(file, data[:3], offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    return pwrite


def test_writes_that_are_cut_short_go_on(folder: Path, short_writes: object) -> None:
    file = LabelFile(folder / "short", (2, 5))
    labels = np.arange(10, dtype=np.uint32).reshape(2, 5) * 70_001
    file.write((slice(0, 2), slice(0, 5)), labels)
    np.testing.assert_array_equal(file.read((slice(0, 2), slice(0, 5))), labels)
    file.close()


def test_a_file_that_was_cut_is_an_error(folder: Path) -> None:
    file = LabelFile(folder / "cut", (4, 4))
    os.truncate(folder / "cut", 20)
    with pytest.raises(OSError, match="shorter"):
        file.read((slice(0, 4), slice(0, 4)))
    file.close()

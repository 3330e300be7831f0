"""Folders as one file, and the order that people expect of names."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_makers import pixels
from zarr_makers import reader, write_image

from kiosk.errors import InvalidRequest
from kiosk.folder_zip import is_ome_zarr, natural_key, zipped_folder


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_zipped_folder_is_the_same_image(tmp_path: Path, zarr_format: int) -> None:
    folder = tmp_path / "cells.ome.zarr"
    data = pixels(2, 20, 30)
    write_image(folder, data, "cyx", zarr_format=zarr_format)
    assert is_ome_zarr(folder)
    with zipped_folder(folder) as file:
        assert file.tell() == 0
        source = reader().open(file, "cells.ome.zarr.zip")
        np.testing.assert_array_equal(source.plane(0, 0, [0, 1]), data)


def test_junk_is_left_out_and_nothing_is_compressed(tmp_path: Path) -> None:
    write_image(tmp_path, pixels(8, 8), "yx")
    for name in (".DS_Store", "._zarr.json", "Thumbs.db", "__MACOSX/zarr.json", "0/.DS_Store"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    os.utime(tmp_path / "zarr.json", (0, 0))  # before the first date that a zip can have
    with zipped_folder(tmp_path) as file, zipfile.ZipFile(file) as archive:
        assert archive.namelist() == ["zarr.json", "0/zarr.json", "0/c/0/0"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    write_image(folder, pixels(8, 8), "yx")
    (folder / "inside").symlink_to(folder / "zarr.json")
    with zipped_folder(folder) as file, zipfile.ZipFile(file) as archive:
        assert "inside" in archive.namelist()
    (tmp_path / "secret").write_text("x")
    for target in (tmp_path / "secret", tmp_path):
        link = folder / "0" / "link"
        link.symlink_to(target)
        with pytest.raises(InvalidRequest, match="leads out"), zipped_folder(folder):
            pass
        link.unlink()


def test_what_is_no_ome_zarr(tmp_path: Path) -> None:
    assert not is_ome_zarr(tmp_path)
    assert not is_ome_zarr(tmp_path / "missing")
    with pytest.raises(InvalidRequest, match="not an OME-Zarr"), zipped_folder(tmp_path):
        pass


def test_natural_order() -> None:
    names = ["f10", "f2", "F1", "f1b", "f01a", "10", "9", "a/f2", "a²"]
    assert sorted(names, key=natural_key) == [
        "9",
        "10",
        "a/f2",
        "a²",
        "F1",
        "f01a",
        "f1b",
        "f2",
        "f10",
    ]


@given(st.lists(st.text()))
def test_any_names_can_be_sorted(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key)) == sorted(names)

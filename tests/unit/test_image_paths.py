"""Which files are images, in which order, and what their results are called."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.errors import InvalidRequest
from kiosk.image_paths import (
    check_stems,
    find_images,
    has_results,
    image_stems,
    is_image,
    member_stems,
    stem_of,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as it comes from a microscope."""
    for name in ("f10.tif", "f2.TIF", "f1.png", "notes.txt", ".hidden.tif", "z.ZIP", "scan.czi"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("plain", "b.ome.zarr", "marked"):
        (tmp_path / name).mkdir()
    (tmp_path / "marked" / ".zattrs").write_text("{}")
    (tmp_path / "plain" / "inner.tif").write_bytes(b"x")
    return tmp_path


def names(paths: list[str]) -> list[str]:
    return [Path(path).name for path in paths]


def test_a_folder_gives_its_images_in_natural_order(folder: Path) -> None:
    wanted = ["b.ome.zarr", "f1.png", "f2.TIF", "f10.tif", "marked", "scan.czi", "z.ZIP"]
    assert names(find_images([folder])) == wanted


def test_what_is_named_keeps_its_order(folder: Path) -> None:
    asked = [
        folder / "f10.tif",
        "s3://lab/plate.ome.zarr",
        folder / "b.ome.zarr",
        folder / "f1.png",
    ]
    assert find_images(asked) == [str(item) for item in asked]


def test_what_is_named_twice_is_there_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    asked = ["f10.tif", folder / "f10.tif", "./f1.png", ".", "s3://a/b", "s3://a/b/"]
    assert names(find_images(asked))[:3] == ["f10.tif", "f1.png", "b.ome.zarr"]
    assert len(find_images(asked)) == 8


def test_a_file_of_any_name_may_be_named(folder: Path) -> None:
    assert names(find_images([folder / "notes.txt"])) == ["notes.txt"]


def test_what_cannot_be_found_is_said(folder: Path) -> None:
    with pytest.raises(InvalidRequest, match="does not exist"):
        find_images([folder / "nothere.tif"])
    (folder / "empty").mkdir()
    with pytest.raises(InvalidRequest, match="There is no image in"):
        find_images([folder / "empty"])


def test_two_files_must_not_write_the_same_results() -> None:
    check_stems(["a/x.tif", "a/y.tif"])
    for pair in (["a/x.tif", "b/x.tif"], ["x.tif", "x.png"], ["x.ome.zarr", "s3://lab/x.ome.zarr"]):
        with pytest.raises(InvalidRequest, match="would both write"):
            check_stems(pair)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("cells.tif", "cells"),
        ("/a/b.c/cells.ome.tif", "cells.ome"),
        ("plate.zarr/", "plate"),
        ("s3://lab/2026/plate.ome.zarr/", "plate.ome"),
        ("s3://lab/a%20b.tif", "a b"),
        ("s3://lab", "lab"),
        ("a:b*?.tif", "a_b__"),
        ("..", "image"),
        ("x" * 300 + ".tif", "x" * 120),
    ],
)
def test_results_are_named_after_the_file(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.TIFF", True), (".a.tif", False), ("a.txt", False), ("a.zip", True), ("a", False)],
)
def test_images_are_known_by_their_name(tmp_path: Path, name: str, expected: bool) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert is_image(tmp_path / name) is expected


def test_members_are_named_after_themselves_or_with_their_folders() -> None:
    assert member_stems(["w1/a.tif", "w1/b.tif"]) == {"w1/a.tif": "a", "w1/b.tif": "b"}
    assert member_stems(["w1/a.tif", "w2/a.tif"]) == {"w1/a.tif": "w1_a", "w2/a.tif": "w2_a"}
    assert member_stems(["a.tif", "a.png"]) == {"a.tif": "a", "a.png": "a_2"}


member_names = st.lists(
    st.text(st.sampled_from("ab_./\\: "), min_size=1, max_size=6), unique=True, max_size=8
)


@given(member_names)
def test_no_two_members_write_the_same_results(members: list[str]) -> None:
    stems = member_stems(members)
    assert list(stems) == members
    assert len(set(stems.values())) == len(members)
    for stem in stems.values():
        assert stem
        assert not set(stem) & set("/\\:")
        assert not stem.startswith(".")


def test_series_are_numbered_where_there_are_several() -> None:
    plate = [("", 0), ("", 1)]
    assert image_stems(plate, "plate") == ["plate_series0", "plate_series1"]
    assert image_stems([("a.zarr", 0), ("a.zarr", 1), ("b.tif", 0)], "x") == [
        "a_series0",
        "a_series1",
        "b",
    ]


def test_results_that_are_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    path = tmp_path / "plate.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("w1/a.tif", "w2/b.png", "notes.txt", "__MACOSX/w1/._a.tif"):
            archive.writestr(name, b"x")
    assert not has_results(str(path), out)
    (out / "a_run.json").write_text("{}")
    assert not has_results(str(path), out)
    (out / "b_run.json").write_text("{}")
    assert has_results(str(path), out)
    assert has_results("anywhere/a.tif", out)
    assert not has_results("anywhere/c.tif", out)
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no")
    assert not has_results(str(tmp_path / "broken.zip"), out)

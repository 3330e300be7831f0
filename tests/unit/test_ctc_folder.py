"""NAME_RES.zip as the folder that programs want."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from kiosk.ctc_folder import folder_of, is_ctc_zip, unpack


def archive(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in members.items():
            made.writestr(name, text)
    return path


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("stem", ["cells", "Zellen, größer (2)", "a.b", "01"])
def test_the_zip_becomes_a_folder(tmp_path: Path, stem: str) -> None:
    path = archive(tmp_path / f"{stem}_RES.zip", {"mask000.tif": "m", "res_track.txt": "1 0 0 0\n"})
    assert is_ctc_zip(path)
    folder = unpack(path)
    assert folder == folder_of(path) == tmp_path / f"{stem}_RES"
    assert (folder / "res_track.txt").read_text() == "1 0 0 0\n"
    assert everything(tmp_path) == {
        f"{stem}_RES",
        f"{stem}_RES/mask000.tif",
        f"{stem}_RES/res_track.txt",
    }


def test_a_folder_that_is_there_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "a_RES").mkdir()
    (tmp_path / "a_RES" / "mask007.tif").write_text("of a longer movie")
    unpack(archive(tmp_path / "a_RES.zip", {"mask000.tif": "m"}))
    assert everything(tmp_path / "a_RES") == {"mask000.tif"}


def test_what_an_attempt_before_has_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".a_RES.part").mkdir()
    (tmp_path / ".a_RES.part" / "half").write_text("x")
    unpack(archive(tmp_path / "a_RES.zip", {"mask000.tif": "m"}))
    assert everything(tmp_path) == {"a_RES", "a_RES/mask000.tif"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "/tmp/evil.txt",
        "a/../../evil.txt",
        "..\\evil.txt",
        "C:\\x\\evil.txt",
        "C:evil.txt",
    ],
)
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    unpack(archive(tmp_path / "out" / "a_RES.zip", {name: "x", "mask000.tif": "m"}))
    assert everything(tmp_path) == {
        "out",
        "out/a_RES",
        "out/a_RES/mask000.tif",
        "out/a_RES/evil.txt",
    }


@pytest.mark.parametrize("name", ["..", "a/..", ".", "folder/", "a\\.."])
def test_names_that_are_none_are_left_out(tmp_path: Path, name: str) -> None:
    unpack(archive(tmp_path / "a_RES.zip", {name: "", "mask000.tif": "m"}))
    assert everything(tmp_path) == {"a_RES", "a_RES/mask000.tif"}


@pytest.mark.parametrize("name", ["a_res.zip", "a_RES.tif", "RES.zip", "a_tracks.geff.zip"])
def test_other_files_are_none(name: str) -> None:
    assert not is_ctc_zip(Path(name))

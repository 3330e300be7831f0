"""Archives of many members: what zipfile reads back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from kiosk.exports import stored_zip
from kiosk.exports.stored_zip import StoredZip


def written(path: Path, members: dict[str, bytes]) -> zipfile.ZipFile:
    archive = StoredZip(path)
    for name, data in members.items():
        archive.add(name, data)
    archive.close()
    archive.close()
    return zipfile.ZipFile(path)


@pytest.mark.parametrize("count", [0, 1, 3, 70_000])
def test_zipfile_reads_every_member(tmp_path: Path, count: int) -> None:
    members = {f"{number:06d}.roi": b"%d" % number for number in range(count)}
    with written(tmp_path / "some.zip", members) as archive:
        assert list(members) == archive.namelist()
        assert archive.testzip() is None if count < 10 else True
        for name in list(members)[:: max(1, count // 5)]:
            assert members[name] == archive.read(name)
    assert [path.name for path in tmp_path.iterdir()] == ["some.zip"]


def test_members_far_into_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As beyond 4 GiB, with a smaller end of the 32-bit numbers."""
    monkeypatch.setattr(stored_zip, "_MOST_32", 200)
    path = tmp_path / "far.zip"
    archive = StoredZip(path)
    for number in range(5):
        archive.add(f"{number}", b"x" * 60)
    archive.close()
    data = path.read_bytes()
    # The 32-bit numbers of a real archive are full of ones where the 64-bit ones count.
    path.write_bytes(data.replace((200).to_bytes(4, "little"), b"\xff" * 4))
    with zipfile.ZipFile(path) as read:
        assert [read.read(f"{number}") for number in range(5)] == [b"x" * 60] * 5


def test_names_of_any_alphabet(tmp_path: Path) -> None:
    with written(tmp_path / "names.zip", {"Zellkern ä.roi": b"1"}) as archive:
        assert archive.read("Zellkern ä.roi") == b"1"


def test_the_same_members_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        written(tmp_path / name, {"1": b"2"}).close()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()

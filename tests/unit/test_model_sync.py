"""A model repository is copied: what has changed, in the right order, and nowhere else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kiosk.errors import KioskError, Outage, PermanentError, TransientError
from kiosk.graph_name import NAME_CHARACTERS, RENAMING_BYTES
from kiosk.model_sync import RECORD, ModelSync
from kiosk.ports import SourceFile
from kiosk.testing import MemoryModelSource

NUCLEI = {
    "nuclei/config.pbtxt": b"config",
    "nuclei/README.md": b"card",
    "nuclei/configs/gpu.pbtxt": b"gpu",
    "nuclei/1/model.onnx": b"one",
    "nuclei/2/model.onnx": b"two",
    "nuclei/2/model.onnx.data": b"more",
}


class Copy:
    """A source, the folder that is to be like it, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = MemoryModelSource(dict(NUCLEI))
        self.said: list[str] = []
        self.sync = ModelSync(self.source, folder, self.said.append)

    def files(self) -> dict[str, bytes]:
        """Paths and contents, without the names that networks are given."""
        paths = [path for path in self.folder.rglob("*") if path.is_file() and path.name != RECORD]
        return {str(path.relative_to(self.folder)): contents(path) for path in paths}


def contents(path: Path) -> bytes:
    """Of a file as it was at its source."""
    data = path.read_bytes()
    is_named = re.search(rb"[0-9a-f]{%d}$" % NAME_CHARACTERS, data) and path.suffix == ".onnx"
    return data[:-RENAMING_BYTES] if is_named else data


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "models")


async def test_everything_is_copied_once(copy: Copy) -> None:
    assert await copy.sync.once() == len(NUCLEI)
    assert copy.files() == NUCLEI
    copy.source.fetched.clear()
    assert await copy.sync.once() == 0
    again = ModelSync(copy.source, copy.folder, copy.said.append)  # as after an init container
    assert await again.once() == 0
    assert copy.source.fetched == []


async def test_what_triton_reads_first_comes_last(copy: Copy) -> None:
    await copy.sync.once()
    assert copy.source.fetched[-2:] == ["nuclei/config.pbtxt", "nuclei/configs/gpu.pbtxt"]


async def test_a_new_version_is_there_complete_or_not_at_all(copy: Copy) -> None:
    copy.source.failing.add("nuclei/2/model.onnx.data")
    with pytest.raises(Outage):
        await copy.sync.once()
    there = {path for path in copy.files() if "/." not in path}
    assert there == {"nuclei/1/model.onnx"}
    copy.source.failing.clear()
    await copy.sync.once()
    assert copy.files() == NUCLEI


async def test_only_what_has_changed_is_copied(copy: Copy) -> None:
    await copy.sync.once()
    copy.source.contents |= {"nuclei/3/model.onnx": b"three", "nuclei/config.pbtxt": b"newer"}
    copy.source.fetched.clear()
    assert await copy.sync.once() == 0  # it may still be being written
    assert await copy.sync.once() == 2
    assert copy.source.fetched == ["nuclei/3/model.onnx", "nuclei/config.pbtxt"]
    copy.source.contents["nuclei/1/model.onnx"] = b"ONE"
    await copy.sync.once()
    await copy.sync.once()
    assert copy.files() == copy.source.contents


async def test_what_somebody_has_damaged_is_mended(copy: Copy) -> None:
    await copy.sync.once()
    (copy.folder / "nuclei/1/model.onnx").unlink()
    (copy.folder / "nuclei/config.pbtxt").write_bytes(b"")
    assert await copy.sync.once() == 2
    assert copy.files() == NUCLEI


async def test_what_is_gone_is_removed_and_nothing_else(copy: Copy) -> None:
    await copy.sync.once()
    own = {"nuclei/9/model.onnx": b"mine", "cells/config.pbtxt": b"mine", "notes.txt": b"mine"}
    for path, data in own.items():
        (copy.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (copy.folder / path).write_bytes(data)
    del copy.source.contents["nuclei/1/model.onnx"]
    await copy.sync.once()
    assert not (copy.folder / "nuclei/1").exists()
    copy.source.contents = {"moon/config.pbtxt": b"", "moon/1/model.onnx": b""}
    await copy.sync.once()
    await copy.sync.once()
    assert copy.files() == {**own, **copy.source.contents}


async def test_a_source_without_models_removes_nothing(copy: Copy) -> None:
    await copy.sync.once()
    copy.source.contents = {"readme.txt": b""}
    with pytest.raises(PermanentError, match="holds no model; nothing was changed"):
        await copy.sync.once()
    assert copy.files() == NUCLEI


@pytest.mark.parametrize(
    "name",
    [
        "../outside/model.onnx", "nuclei/../../outside", "/etc/outside",
        "nuclei/1/../../../outside",
        "nuclei/./1/model.onnx", "nuclei//model.onnx", "nuclei/1/.hidden", ".git/config",
        "nuclei/1/a\\..\\b", "nuclei/1/a\nb", "nuclei/1/\x1b[31m", RECORD, "nuclei/", "..",
        "outside",
    ],
)  # fmt: skip
async def test_names_that_are_not_plain_are_left_out(copy: Copy, name: str) -> None:
    copy.source.contents[name] = b"evil"
    await copy.sync.once()
    assert copy.files() == NUCLEI
    assert b"evil" not in [p.read_bytes() for p in copy.folder.parent.rglob("*") if p.is_file()]
    assert all(sentence.isprintable() for sentence in copy.said)


@pytest.mark.parametrize("place", ["nuclei", "nuclei/1"])
async def test_nothing_is_written_or_removed_through_a_link(copy: Copy, place: str) -> None:
    outside = copy.folder.parent / "outside"
    outside.mkdir()
    (outside / "model.onnx").write_bytes(b"mine")
    link = copy.folder / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(PermanentError, match="is a link"):
        await copy.sync.once()
    assert [path.name for path in outside.iterdir()] == ["model.onnx"]


async def test_a_record_that_lies_leads_nowhere(copy: Copy) -> None:
    await copy.sync.once()
    outside = copy.folder.parent / "outside.txt"
    outside.write_text("mine")
    for record in (f'{{"../outside.txt": "x", "{outside}": "x"}}', "[]", "not json"):
        (copy.folder / RECORD).write_text(record)
        await copy.sync.once()
    assert outside.read_text() == "mine"
    assert copy.files() == NUCLEI


async def test_a_file_that_changes_while_it_is_copied_is_left(copy: Copy) -> None:
    async def files() -> list[SourceFile]:
        return [
            SourceFile("m/1/model.onnx", 5, "a"),
            SourceFile("m/config.pbtxt", 0, "b"),
        ]

    copy.source.contents["m/1/model.onnx"] = b"longer than it was"
    copy.source.files = files  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="changed while it was copied"):
        await copy.sync.once()
    assert not (copy.folder / "m/1").exists()


async def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KioskError, match="cannot be copied"):
        await Copy(tmp_path / "file" / "models").sync.once()


def test_the_command_goes_on_until_it_is_told_to_stop(tmp_path: Path) -> None:
    for path, data in NUCLEI.items():
        (tmp_path / "from" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / path).write_bytes(data)
    command = [sys.executable, "-m", "kiosk.cli", "models", "sync", tmp_path / "from"]
    once = subprocess.run(
        [*command, tmp_path / "to"], env=os.environ, check=True, capture_output=True, text=True
    )
    assert "Version 2 of 'nuclei' is here (2 files)." in once.stderr
    sidecar = subprocess.Popen(
        [*command, tmp_path / "other", "--every-s", "0.05"], stderr=subprocess.PIPE, text=True
    )
    assert sidecar.stderr is not None
    for line in sidecar.stderr:
        if "gpu.pbtxt is here" in line:
            break
    sidecar.send_signal(signal.SIGTERM)
    assert sidecar.wait(20) == 0
    assert contents(tmp_path / "other/nuclei/2/model.onnx") == b"two"
    sidecar.stderr.close()

"""Model folders that come, change and go while a local kiosk runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from kiosk.model_watch import ModelFolders


class Watched:
    """A repository, the folders watched in it, and what was asked of Triton."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.calls: list[str] = []
        self.said: list[str] = []
        self.refuse = False
        self.write("nuclei")
        self.folders = ModelFolders(
            repository,
            load=lambda name: self.call(f"load {name}"),
            unload=lambda name: self.call(f"unload {name}"),
            say=self.said.append,
        )

    def call(self, what: str) -> None:
        self.calls.append(what)
        if self.refuse:
            raise InferenceServerException("the weights are damaged")

    def write(self, name: str, version: int = 1, content: str = "weights") -> None:
        folder = self.repository / name / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.onnx").write_text(content)
        (folder.parent / "config.pbtxt").write_text(f'name: "{name}"')

    def look(self, times: int = 3) -> list[str]:
        self.calls.clear()
        for _ in range(times):
            self.folders.look()
        return self.calls


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_what_was_there_at_the_start_is_left_alone(watched: Watched) -> None:
    assert watched.look() == []


def test_a_new_folder_is_loaded_once(watched: Watched) -> None:
    watched.write("mycells")
    assert watched.look() == ["load mycells"]
    assert watched.look() == []
    assert watched.said == ["Model 'mycells' is loaded."]


def test_a_folder_that_is_still_being_copied_waits(watched: Watched) -> None:
    watched.write("mycells", content="half")
    assert watched.look(times=1) == []
    watched.write("mycells", content="half and more")
    assert watched.look(times=1) == []
    assert watched.look(times=1) == ["load mycells"]


def test_a_folder_without_versions_waits(watched: Watched) -> None:
    (watched.repository / "empty").mkdir()
    (watched.repository / "empty" / "config.pbtxt").write_text("")
    assert watched.look() == []


def test_a_new_version_is_loaded(watched: Watched) -> None:
    watched.write("nuclei", version=2)
    assert watched.look() == ["load nuclei"]


def test_a_folder_that_goes_is_unloaded(watched: Watched) -> None:
    (watched.repository / "nuclei" / "config.pbtxt").unlink()
    assert watched.look() == ["unload nuclei"]
    watched.write("nuclei")
    assert watched.look() == ["load nuclei"]


def test_a_model_that_triton_refuses_is_said_once_and_tried_again_when_changed(
    watched: Watched,
) -> None:
    watched.refuse = True
    watched.write("mycells")
    watched.look()
    assert watched.said == ["Model 'mycells' is not served: the weights are damaged"]
    assert watched.look() == []
    watched.write("mycells", content="other weights")
    assert watched.look() == ["load mycells"]

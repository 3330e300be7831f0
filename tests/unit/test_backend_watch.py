"""A model whose process has died is loaded again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tritonclient.utils import InferenceServerException

from kiosk.backend_watch import Backends

MARK = "kiosk_0123_"
TRITON = 100


class Machine:
    """Processes in a folder that looks like /proc, and a Triton that does as it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.reloaded: list[str] = []
        self.said: list[str] = []
        self.ready = {("nuclei", "1"), ("nuclei", "2"), ("cells", "1")}
        self.trouble = False
        self.add(TRITON, "tritonserver", "--model-repository=/m")

    def add(self, pid: int, *words: str, parent: int = 1) -> None:
        process = self._folder / str(pid)
        process.mkdir()
        (process / "cmdline").write_bytes("\0".join(words).encode() + b"\0")
        (process / "stat").write_text(f"{pid} (a name) S {parent} 0 0")

    def add_backend(self, pid: int, model: str, version: str, mark: str = MARK) -> None:
        weights = f"/home/me/my models/{model}/{version}/model.onnx"
        self.add(pid, "/backends/stub", weights, f"{mark}6e9e", "1048576", parent=TRITON)

    def end(self, pid: int) -> None:
        for file in (self._folder / str(pid)).iterdir():
            file.unlink()
        (self._folder / str(pid)).rmdir()

    def reload(self, model: str) -> None:
        if self.trouble:
            raise InferenceServerException("no memory")
        self.reloaded.append(model)

    def backends(self) -> Backends:
        def is_ready(model: str, version: str) -> bool:
            return (model, version) in self.ready

        def instances(model: str) -> int:
            return {"nuclei": 1, "cells": 2}[model]

        return Backends(MARK, is_ready, instances, self.reload, self.said.append, self._folder)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.add_backend(101, "nuclei", "1")
    machine.add_backend(102, "nuclei", "2")
    machine.add_backend(103, "cells", "1")
    machine.add_backend(104, "cells", "1")
    machine.add_backend(201, "cells", "1", mark="kiosk_another_")
    return machine


@pytest.mark.parametrize(("pid", "model"), [(102, "nuclei"), (104, "cells")])
def test_a_process_that_died_has_its_model_loaded_again(
    machine: Machine, pid: int, model: str
) -> None:
    backends = machine.backends()
    backends.look()
    machine.end(pid)
    backends.look()
    backends.look()
    assert machine.reloaded == [model]
    assert machine.said == [f"A process of model '{model}' has died; the model is loaded again."]


def test_processes_of_another_kiosk_do_not_matter(machine: Machine) -> None:
    backends = machine.backends()
    backends.look()
    machine.end(201)
    backends.look()
    assert machine.reloaded == []


def test_a_model_that_was_unloaded_stays_so(machine: Machine) -> None:
    backends = machine.backends()
    backends.look()
    machine.end(102)
    machine.ready.remove(("nuclei", "2"))
    backends.look()
    assert machine.reloaded == []


def test_a_model_that_was_loaded_anew_has_not_died(machine: Machine) -> None:
    backends = machine.backends()
    backends.look()
    machine.end(102)
    machine.add_backend(105, "nuclei", "2")
    backends.look()
    assert machine.reloaded == []


def test_a_process_that_has_made_room_for_another_has_not_died(machine: Machine) -> None:
    backends = machine.backends()
    machine.add_backend(105, "nuclei", "2")  # as after a change of the configuration
    backends.look()
    machine.end(102)
    backends.look()
    assert machine.reloaded == []
    machine.end(105)
    backends.look()
    assert machine.reloaded == ["nuclei"]


def test_a_triton_that_died_is_not_asked(machine: Machine) -> None:
    backends = machine.backends()
    backends.look()
    for pid in (TRITON, 101, 102, 103, 104):
        machine.end(pid)
    backends.look()
    assert machine.reloaded == []


def test_what_fails_is_tried_again(machine: Machine) -> None:
    backends = machine.backends()
    backends.look()
    machine.end(101)
    machine.trouble = True
    backends.look()
    assert "no memory" in machine.said[-1]
    machine.trouble = False
    backends.look()
    assert machine.reloaded == ["nuclei"]

"""Networks are called by their contents, because TensorRT's engines are kept by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from kiosk.graph_name import NAME_CHARACTERS, name_networks, renaming

REPOSITORY = Path(__file__).parents[2] / "model_repository"
WEIGHTS = sorted(REPOSITORY.glob("*/*/model.onnx"))


def opened(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def graph_name(path: Path) -> str:
    return str(opened(path).get_modelmeta().graph_name)


def named(source: Path, folder: Path) -> Path:
    """A copy of a model's version, named."""
    shutil.copytree(source.parent, folder)
    name_networks(folder)
    return folder / source.name


def test_no_two_shipped_networks_have_one_name(tmp_path: Path) -> None:
    assert len({graph_name(path) for path in WEIGHTS}) < len(WEIGHTS), "they do without us"
    copies = [named(path, tmp_path / str(number)) for number, path in enumerate(WEIGHTS)]
    assert len({graph_name(path) for path in copies}) == len(WEIGHTS)
    again = named(WEIGHTS[0], tmp_path / "again")
    assert again.read_bytes() == copies[0].read_bytes()


def test_a_named_network_answers_as_before(tmp_path: Path) -> None:
    source = REPOSITORY / "nuclei" / "1" / "model.onnx"
    random = np.random.default_rng(0)
    inputs = {
        "image": random.integers(0, 60_000, (1, 1, 64, 64), dtype=np.uint16),
        "limits": np.array([[0, 60_000]], np.float32),
    }
    before = opened(source).run(None, inputs)
    after = opened(named(source, tmp_path / "1")).run(None, inputs)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_beside_the_network_count(tmp_path: Path) -> None:
    names = []
    for number, weights in enumerate((b"one", b"two")):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"")
        (folder / "model.onnx.data").write_bytes(weights)
        name_networks(folder)
        assert (folder / "model.onnx.data").read_bytes() == weights
        names.append((folder / "model.onnx").read_bytes())
    assert names[0] != names[1]


@pytest.mark.parametrize("name", ["", "a" * (NAME_CHARACTERS + 1)])
def test_names_are_of_one_length(name: str) -> None:
    """By which a copy is told from its source."""
    with pytest.raises(ValueError, match="characters"):
        renaming(name)

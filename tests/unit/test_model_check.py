"""`kiosk models check`: good folders pass, and each fault is named in a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kiosk.checks import Check
from kiosk.heads import HEADS
from kiosk.model_check import check_model
from kiosk.model_run import Runner, network_runner
from kiosk.settings import CHECKOUT, Settings
from kiosk.testing.maps import MAP_MAKERS
from kiosk.testing.model_folders import make_config


def folder_with(path: Path, text: str, weights: bytes = b"weights") -> Path:
    folder = path / "mine"
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(text)
    (folder / "1" / "model.onnx").write_bytes(weights)
    return folder


def network(head: str, dtype: str) -> Runner:
    """A 'network' that finds one square in the middle of every image."""

    def run(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        labels = np.zeros(inputs["image"].shape[2:], np.uint32)
        labels[40:60, 40:60] = 1
        maps = MAP_MAKERS[head](labels)
        assert inputs["image"].dtype == np.float32
        assert float(np.percentile(inputs["image"], 99)) <= 1.01
        return {name: array.astype(dtype)[None] for name, array in maps.items()}

    return run


def faults(checks: list[Check]) -> list[str]:
    return [f"{check.name}: {check.sentence}" for check in checks if not check.ok]


@pytest.mark.parametrize("head", HEADS)
def test_a_good_folder_passes(tmp_path: Path, head: str) -> None:
    changes = {"kiosk.postprocessing.min_area_px": "5", "kiosk.accepts_rgb": "false"}
    folder = folder_with(tmp_path, make_config("mine", head, "float32", changes))
    scale = 255 if head in ("distance", "boundary", "classes") else 1

    def run(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = network(head, "float32")(weights, inputs)
        return {name: array / np.float32(scale) for name, array in answer.items()}

    checks = check_model(folder, run)
    assert faults(checks) == []
    assert checks[-1].name == "instances 1"
    assert checks[-1].sentence.startswith(("1 ", "2 "))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('name: "mine"', 'name: "other"', "name: .*both must be the same"),
        ("max_batch_size: 1", "max_batch_size: 0", "inputs: max_batch_size must be at least 1"),
        ("max_batch_size: 1", "max_batch: 1", "configuration: .* is not a Triton model"),
        ('"onnxruntime"', '"tensorflow"', "weights: The backend 'tensorflow'"),
        ("TYPE_FP32", "TYPE_UINT16", "inputs: Without the input 'limits'"),
        ("TYPE_FP32", "TYPE_FP64", "card: .*not complete"),
        ("[ 1, -1, -1 ]", "[ 3, -1, -1 ]", "inputs: The dims of 'image'"),
        ('"distance" data', '"dist" data', "outputs: The output 'distance' is missing"),
        ("TYPE_UINT8", "TYPE_INT32", "outputs: .* is TYPE_INT32"),
        ("dims: [ -1, -1 ]", "dims: [ 1, -1, -1 ]", "outputs: The dims of 'foreground'"),
        ("kiosk.halo_px", "kiosk.halo", "keys: .*'kiosk.halo'. Is 'kiosk.halo_px' meant"),
        ('string_value: "distance"', 'string_value: "depth"', "card: .*kiosk.head must be one of"),
        ('string_value: "128"', 'string_value: "100"', "card: .*multiple of kiosk.divisor_px"),
    ],
)
def test_faults_of_the_configuration(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = make_config("mine", "distance")
    assert old in text
    found = faults(check_model(folder_with(tmp_path, text.replace(old, new, 1)), _unused))
    assert len(found) >= 1
    assert any(re.search(sentence, fault) for fault in found), found


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("kiosk.postprocessing.grid_px", "2", "has no parameter 'grid_px'"),
        ("kiosk.postprocessing.merge_height", "3", "from 0 to 1, not 3"),
        ("kiosk.weights_sha256.1", "abc", "config.pbtxt names abc"),
        ("kiosk.pipeline", "tracking", "only models for segmentation are checked"),
    ],
)
def test_faults_of_values(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    folder = folder_with(tmp_path, make_config("mine", "distance", changes={name: value}))
    found = faults(check_model(folder, _unused))
    assert len(found) == 1
    assert sentence in found[0]


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    text = make_config("mine", "distance")
    pointer = folder_with(tmp_path, text, b"version https://git-lfs.github.com/spec/v1\n")
    assert "Git LFS pointer" in faults(check_model(pointer, _unused))[0]
    (pointer / "1" / "model.onnx").unlink()
    assert "is missing" in faults(check_model(pointer, _unused))[0]
    (pointer / "1").rmdir()
    assert "There is no version" in faults(check_model(pointer, _unused))[0]
    assert "cannot be read" in faults(check_model(tmp_path, _unused))[0]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda maps: maps | {"distance": maps["distance"][:, :-1]}, "must be as large"),
        (
            lambda maps: maps | {"distance": maps["distance"].astype(np.float32)},
            "config.pbtxt says",
        ),
        (lambda maps: {"distance": maps["distance"]}, "does not give the map 'foreground'"),
    ],
)
def test_faults_of_the_answer(tmp_path: Path, change, sentence: str) -> None:
    folder = folder_with(tmp_path, make_config("mine", "distance"))
    answer = network("distance", "uint8")
    found = faults(check_model(folder, lambda w, i: change(answer(w, i))))
    assert len(found) == 1
    assert sentence in found[0]


@pytest.mark.parametrize("values", [np.float32(4), np.float32(np.nan)])
def test_values_that_are_no_fractions(tmp_path: Path, values: np.float32) -> None:
    folder = folder_with(tmp_path, make_config("mine", "distance", "float32"))

    def run(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        plane = np.full((1, *inputs["image"].shape[2:]), values)
        return {"foreground": plane, "distance": plane}

    found = faults(check_model(folder, run))
    assert ("not finite" if np.isnan(values) else "end the graph with a sigmoid") in found[0]


def test_torchscript_is_run_where_pytorch_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"kiosk.postprocessing.min_area_px": "5", "kiosk.accepts_rgb": "false"}
    text = make_config("mine", "distance", "float32", changes).replace("onnxruntime", "pytorch")
    folder = folder_with(tmp_path, text)
    (folder / "1" / "model.onnx").rename(folder / "1" / "model.pt")
    assert "call it 'foreground__0'" in faults(check_model(folder, _unused))[0]
    text = text.replace('"foreground"', '"foreground__0"').replace(
        '"distance" d', '"distance__1" d'
    )
    (folder / "config.pbtxt").write_text(text)
    monkeypatch.setattr("kiosk.model_check.has_torch", lambda: False)
    checks = check_model(folder, _unused)
    assert faults(checks) == []
    assert "Not run: PyTorch is not installed" in checks[-1].sentence

    def run(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        answer = network("distance", "float32")(weights, inputs)
        return {"__1": answer["distance"] / 255, "__0": answer["foreground"] / 255}

    monkeypatch.setattr("kiosk.model_check.has_torch", lambda: True)
    checks = check_model(folder, run)
    assert faults(checks) == []
    assert checks[-1].sentence.startswith("1 in the made-up image")


def test_the_shipped_model_passes_with_its_real_network() -> None:
    folder = CHECKOUT / "model_repository" / "nuclei"
    if (folder / "1" / "model.onnx").stat().st_size < 1000:
        pytest.skip("the weights are a Git LFS pointer")
    checks = check_model(folder, network_runner(Settings().servers_dir))
    assert faults(checks) == []


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, make_config("mine", "distance"))
    found = faults(check_model(folder, network_runner(Settings().servers_dir)))
    assert len(found) == 1
    assert "ONNX Runtime cannot run the network" in found[0]


def _unused(weights: Path, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    raise AssertionError("a folder with faults must not be run")

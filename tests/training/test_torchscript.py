"""`kiosk models check` runs a TorchScript network where PyTorch is installed."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
import torch

from kiosk.checks import Check
from kiosk.model_check import check_model
from kiosk.model_run import network_runner
from kiosk.settings import Settings
from kiosk.testing.model_folders import make_config

CHANGES = {
    "kiosk.tile_px": "256",
    "kiosk.accepts_rgb": "false",
    "kiosk.low_percentile": "1.0",
    "kiosk.high_percentile": "99.8",
}


class Bright(torch.nn.Module):
    """Takes what is bright for foreground, and smoothed brightness for the distance."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        smooth = torch.nn.functional.avg_pool2d(image, 5, stride=1, padding=2)
        return image[:, 0].clamp(0, 1), smooth[:, 0].clamp(0, 1)


class Flat(torch.nn.Module):
    """Gives one map only."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, 0].clamp(0, 1)


def checked(path: Path, module: torch.nn.Module) -> list[Check]:
    folder = path / "mine"
    (folder / "1").mkdir(parents=True)
    text = make_config("mine", "distance", "float32", CHANGES).replace("onnxruntime", "pytorch")
    for place, name in enumerate(("foreground", "distance")):
        text = text.replace(f'"{name}" d', f'"{name}__{place}" d')
    (folder / "config.pbtxt").write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # still what Triton takes
        torch.jit.script(module).save(str(folder / "1" / "model.pt"))
    return check_model(folder, network_runner(Settings().servers_dir))


def test_it_is_run_and_its_maps_become_instances(tmp_path: Path) -> None:
    checks = checked(tmp_path, Bright())
    assert [check.sentence for check in checks if not check.ok] == []
    found = int(checks[-1].sentence.split()[0])
    assert found > 10


def test_a_map_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "does not give the map 'distance'" in checked(tmp_path, Flat())[-1].sentence


def test_a_file_that_is_no_torchscript(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    checked(tmp_path, Bright())
    (folder / "1" / "model.pt").write_bytes(b"no weights")
    last = check_model(folder, network_runner(Settings().servers_dir))[-1]
    assert not last.ok
    assert last.sentence.startswith("PyTorch cannot run the network")

"""A training run from a data folder to an ONNX file, curves and the begin of a model card."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")
import torch

from kiosk.evaluation import score_plane
from training.averaging import averaging
from training.card import accuracy_tables, with_section
from training.dataset import load_split
from training.settings import TrainingSettings
from training.train import train


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six images with discs in `nuclei/train`, labels beside them."""
    root = tmp_path / "nuclei"
    for kind in ("images", "labels"):
        (root / "train" / kind).mkdir(parents=True)
    random = np.random.default_rng(3)
    for number in range(6):
        labels = np.zeros((96, 128), np.uint16)
        for label in range(1, 8):
            centre = tuple(int(v) for v in random.integers(10, 86, 2))
            cv2.circle(labels, centre, 7, label, -1)
        image = (labels > 0) * 150 + random.integers(0, 40, labels.shape)
        tifffile.imwrite(root / "train" / "images" / f"{number}.tif", image.astype(np.uint8))
        tifffile.imwrite(root / "train" / "labels" / f"{number}.tif", labels)
    rows = [f"{n},train,discs,{n}" for n in range(6)]
    (root / "index.csv").write_text("\n".join(["name,split,modality,group", *rows]))
    return root


def test_a_run_ends_with_a_model_its_curves_and_a_card(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    settings = TrainingSettings(steps=3, batch=2, warmup_steps=1, validate_every=2)
    train([data], out, settings, start=None)
    assert {"model.onnx", "curves.png", "log.json", "README.md"} <= {p.name for p in out.iterdir()}
    card = (out / "README.md").read_text()
    assert "kiosk.postprocessing.merge_height" in card
    assert "1 images with 7 instances" in card


def test_tables_say_what_was_measured() -> None:
    truth = np.zeros((40, 40), np.int32)
    truth[2:10, 2:10], truth[20:30, 20:30] = 1, 2
    found = np.where(truth == 1, 1, 0)
    half, full = score_plane(truth, found), score_plane(truth, truth)
    tables = accuracy_tables({"a_kind": half, "b": full}, {"a_kind": full})
    assert "| 0.5 | 1.000 | 0.750 | 0.857 | 0.750 |" in tables
    assert "| a kind | 1 | 2 | 1.000 | 0.500 | 0.667 | 0.500 | 1.000 |" in tables
    assert "2 images with 4 instances" in tables


def test_a_section_is_written_once_and_leaves_the_rest_of_the_card() -> None:
    card = with_section("# nuclei\n\nText.\n", "test", "old")
    again = with_section(card + "\nMore.\n", "test", "new")
    assert again.count("made by training.card") == 1
    assert "old" not in again
    assert again.startswith("# nuclei\n\nText.\n")
    assert again.endswith("More.\n")


def test_a_modality_can_be_left_out(data: Path) -> None:
    index = data / "index.csv"
    index.write_text(index.read_text().replace("5,train,discs", "5,train,tissue"))
    training, validation = load_split([data], "train", without=["tissue"])
    assert sorted(plane.name for plane in training + validation) == list("01234")


def test_the_averaged_weights_soon_forget_what_they_began_with() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(100.0)
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=averaging(0.999))
    for _ in range(100):
        averaged.update_parameters(module)
        module.weight.data.fill_(1.0)
    assert averaged.module.weight.item() == pytest.approx(1.0, abs=0.01)

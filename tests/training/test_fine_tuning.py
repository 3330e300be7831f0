"""`kiosk train` from a folder of images to a model folder that passes the check."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

pytest.importorskip("torch")

from kiosk.errors import InvalidRequest
from kiosk.fine_tuning import fine_tune
from kiosk.imaging.sample import make_sample
from kiosk.model_check import check_model
from kiosk.model_run import network_runner
from kiosk.settings import Settings


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    sample = make_sample(frames=3, height_px=160, width_px=160, nuclei=25)
    for name, stack in (("images", sample.images), ("labels", sample.labels)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for frame, plane in enumerate(stack):
            tifffile.imwrite(tmp_path / "data" / name / f"frame{frame}.tif", plane)
    return tmp_path / "data"


def test_a_model_is_made_that_passes_the_check(annotated: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    out = tmp_path / "repository" / "mycells" / "1"
    found = fine_tune(settings, "nuclei", annotated, out, steps=12)
    assert found.held_out == 1
    assert found.before.f1 > 0.5
    checks = check_model(out.parent, network_runner(settings.servers_dir))
    assert [check.sentence for check in checks if not check.ok] == []
    card = (out.parent / "README.md").read_text()
    assert f"{found.after.f1:.3f}" in card
    assert (out.parent / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InvalidRequest, match="exists already"):
        fine_tune(settings, "nuclei", annotated, out, steps=12)
    second = fine_tune(settings, "nuclei", annotated, out.parent / "2", steps=12)
    assert second.version == "2"
    assert (out / "model.onnx").is_file()


def test_out_must_be_a_version(annotated: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="version number"):
        fine_tune(Settings(home=tmp_path), "nuclei", annotated, tmp_path / "mycells", steps=12)

"""The QC sheet: what it says, and that it can be drawn of anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from result_makers import discs, result_image, stack, write

from kiosk.exports import qc_sheet
from kiosk.exports.qc_findings import Gathered, checks
from kiosk.exports.qc_page import PAGE_PX
from kiosk.exports.qc_sheet import QcPdf, QcSheet
from kiosk.testing import MemoryPlane


def gathered(planes: list[MemoryPlane], tmp_path: Path, **changes: Any) -> Gathered:
    made: list[QcSheet] = []

    def maker(path: Path, image: Any) -> QcSheet:
        made.append(QcSheet(path, image))
        return made[0]

    path = write(maker, tmp_path / "x_qc.png", planes, result_image(planes, **changes))
    assert Image.open(path).size == PAGE_PX
    return made[0]._gathered


def sentences(found: Gathered) -> dict[str, bool]:
    return {sentence: is_good for is_good, sentence in checks(found)}


def movie(count: int = 8) -> list[MemoryPlane]:
    rng = np.random.default_rng(0)
    planes = []
    for t in range(count):
        labels = discs(130, 170) if t != 5 else np.zeros((130, 170), np.uint32)
        grey = (labels > 0) * 500.0
        if t == 3:
            grey = cv2.GaussianBlur(grey, (0, 0), 4)
        noisy = 100 + grey + rng.normal(0, 5, labels.shape)
        planes.append(MemoryPlane(labels, noisy[None].astype(np.uint16), t=t))
    return planes


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    found = sentences(gathered(movie(), tmp_path))
    assert found["1 of 8 planes have no instances: t = 5."] is False
    assert found["Much less sharp than the others: t = 3."] is False


def test_all_is_well(tmp_path: Path) -> None:
    labels = np.pad(discs(80, 80), 20)
    grey = 100 + (labels > 0) * 400 + np.arange(labels.size).reshape(labels.shape) % 97
    planes = [MemoryPlane(labels, grey[None].astype(np.uint16), t=t) for t in range(6)]
    found = sentences(gathered(planes, tmp_path))
    assert set(found.values()) <= {True, False}
    assert found["Every plane has instances."]
    assert found["No plane is much less sharp than the others."]
    assert found["0 % of the instances are cut by the border of the plane."]


def test_saturation_and_borders(tmp_path: Path) -> None:
    labels = np.zeros((60, 60), np.uint32)
    labels[0:20, 10:20], labels[30:40, 30:40] = 1, 2
    pixels = np.where(labels > 0, 255, 10).astype(np.uint8)[None]
    found = sentences(gathered([MemoryPlane(labels, pixels)], tmp_path))
    assert found["8.3 % of the pixels have the highest grey value, 255."] is False
    assert found["50 % of the instances are cut by the border of the plane."] is False


def test_a_stack_is_compared_at_one_depth_only(tmp_path: Path) -> None:
    """Planes above and below a cell are soft, which is no fault."""
    planes = stack(discs(60, 70), z=9)
    assert not any("sharp" in sentence for sentence in sentences(gathered(planes, tmp_path)))


@pytest.mark.parametrize(
    ("shape", "label"), [((1, 1), 1), ((1, 1), 0), ((3, 2000), 1), ((2000, 3), 1), ((50, 70), 0)]
)
def test_planes_of_any_shape(tmp_path: Path, shape: tuple[int, int], label: int) -> None:
    planes = [MemoryPlane(np.full(shape, label, np.uint32))]
    gathered(planes, tmp_path, pixel_size_um=(0.5, 0.25))


@pytest.mark.parametrize(
    "changes",
    [
        {"stem": "a" * 300},
        {"stem": "漢字 \x00 µ² \u2013 \u00d7"},
        {"about": {"a_very_long_name_of_something": "value " * 60}},
        {"about": None},
        {"columns": ("t", "z", "label")},
        {"is_rgb": True, "channels": (0, 1, 2)},
        {"channel_names": ("", "a" * 200, "\n")},
    ],
)
def test_odd_names_and_columns(tmp_path: Path, changes: dict[str, Any]) -> None:
    gathered(stack(discs(40, 50), t=2, z=2, channels=3), tmp_path, **changes)


def test_pixels_that_are_no_numbers(tmp_path: Path) -> None:
    pixels = np.full((1, 40, 50), np.nan, np.float32)
    pixels[0, :9, :9] = np.inf
    gathered([MemoryPlane(discs(40, 50), pixels)], tmp_path)


def test_large_planes_are_looked_at_in_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qc_sheet, "WHOLE_PIXELS", 1000)
    monkeypatch.setattr(qc_sheet, "WINDOW_PX", 10)
    found = gathered(stack(discs(120, 15)), tmp_path)
    assert found.quality[0].pixels == 36 * 100


def test_pdf_of_one_page(tmp_path: Path) -> None:
    planes = stack(discs(60, 70), t=3)
    path = write(QcPdf, tmp_path / "a b_qc.pdf", planes, result_image(planes))
    data = path.read_bytes()
    assert data.startswith(b"%PDF-")
    assert b"/Count 1" in data

"""`kiosk evaluate` as a command: what it prints and the files it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from kiosk.cli import app
from kiosk.errors import InvalidRequest

TRUTH = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 2, 2], [0, 0, 0, 0, 0], [3, 3, 3, 3, 3]], np.uint16)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    for name in ("a", "b", "c"):
        tifffile.imwrite(truth / f"{name}.tif", TRUTH)
    tifffile.imwrite(predicted / "a_labels.tif", TRUTH)
    tifffile.imwrite(predicted / "b_labels.tif", np.where(TRUTH == 3, 0, TRUTH))
    return predicted, truth


def test_tables(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("name,modality\na,[fluo]\nb,[fluo]\nc,tissue\n")
    done = run(*folders, "--groups", groups)
    assert done.exit_code == 0
    row = next(line for line in done.stdout.splitlines() if "0.50" in line)
    assert row.replace("│", " ").split() == [
        *("0.50", "1.000", "0.556", "0.714", "0.556", "0.556"),
        *("5", "0", "4"),
    ]
    assert "3 planes, mean AP over IoU .5-.9: 0.556, over .5-.95: 0.556" in done.stdout
    assert "SEG 0.556, panoptic quality 0.714" in done.stdout
    assert "9 true and 5 predicted instances: total error -44.4%, mean absolute error 1.3 per" in (
        done.stdout
    )
    assert "1 images had no prediction" in done.stdout
    assert "[fluo]" in done.stdout


def test_json(folders: tuple[Path, Path]) -> None:
    done = run(*folders, "--json")
    data = json.loads(done.stdout)
    assert (data["images"], data["missing"], data["mean_ap"]) == (3, ["c.tif"], 0.5556)
    assert [row["iou"] for row in data["thresholds"]][::5] == [0.5, 0.75]
    assert data["count_error"] == -4
    assert data["mean_absolute_count_error"] == pytest.approx(4 / 3, abs=1e-4)
    assert data["relative_count_error"] == pytest.approx(-4 / 9, abs=1e-4)
    assert [plane["f1_50"] for plane in data["planes"]] == [1.0, 0.8, 0.0]
    assert "groups" not in data


def test_files(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a", "b", "c"):
        tifffile.imwrite(images / f"{name}.tif", TRUTH * 100)
    table, picture = tmp_path / "out/planes.csv", tmp_path / "out/sheet.png"
    done = run(*folders, "--csv", table, "--picture", picture, "--images", images, "--worst", 2)
    assert done.exit_code == 0, done.exception
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["plane"], row["prediction"]) for row in rows] == [
        ("a", "0", "a_labels.tif"),
        ("b", "0", "b_labels.tif"),
        ("c", "0", ""),
    ]
    assert (rows[1]["count_error"], rows[1]["recall_95"], rows[1]["f1_50"]) == (
        "-1",
        "0.6667",
        "0.8",
    )
    with Image.open(picture) as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 800


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "."], "add --picture"),
        (["--picture", "sheet.jpg"], r"call it 'sheet\.png'"),
        (["--picture", "sheet.png", "--images", "nowhere"], "'nowhere' does not exist"),
        (["--group-by", "modality"], "given with --groups"),
    ],
)
def test_options_that_do_not_fit(
    folders: tuple[Path, Path], options: list[str], message: str
) -> None:
    done = run(*folders, *options)
    with pytest.raises(InvalidRequest, match=message):
        raise done.exception or AssertionError("no error")
    assert done.stdout == ""

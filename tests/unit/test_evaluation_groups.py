"""Groups of images from a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from kiosk.errors import InvalidRequest
from kiosk.evaluation import evaluate
from kiosk.evaluation.groups import read_groups
from kiosk.evaluation.rows import as_dict

ONE, TWO = np.array([[0, 1, 1]], np.uint16), np.array([[1, 0, 2]], np.uint16)


def table(folder: Path, text: str) -> Path:
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Images a and b are right; c_gt has two instances and one prediction that fits neither."""
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    for name, expected, found in (("a", ONE, ONE), ("b", TWO, TWO), ("c_gt", TWO, ONE)):
        tifffile.imwrite(truth / f"{name}.tif", expected)
        tifffile.imwrite(predicted / f"{name.removesuffix('_gt')}_labels.tif", found)
    return predicted, truth


def test_pooled_per_group(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    groups = read_groups(table(tmp_path, "name,size,group\na,1,x\nb,2,y\nc_gt,3,y\nother,4,z\n"))
    data = as_dict(evaluate(*folders, groups=groups))
    assert data["group_by"] == "group"
    assert list(data["groups"]) == ["x", "y"]
    assert data["groups"]["x"]["thresholds"][0]["f1"] == 1.0
    # The two of b, and one of c whose IoU is just 0.5.
    assert [row["true_positives"] for row in data["groups"]["y"]["thresholds"][:2]] == [3, 2]
    assert data["groups"]["y"]["truth_count"] == 4
    assert data["images"] == sum(group["images"] for group in data["groups"].values())
    assert [row["group"] for row in data["planes"]] == ["x", "y", "y"]


def test_a_name_may_be_that_of_the_image(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    groups = read_groups(table(tmp_path, "name,group\na,x\nb,x\nc,y\n"))
    assert set(evaluate(*folders, groups=groups).groups) == {"x", "y"}


@pytest.mark.parametrize(
    ("header", "asked", "column"),
    [
        ("name,modality,group", "", "group"),
        ("name,x,modality", "", "modality"),
        ("name,x,group", "x", "x"),
        ("\ufeffname, group,x", "", "group"),
    ],
)
def test_which_column(tmp_path: Path, header: str, asked: str, column: str) -> None:
    groups = read_groups(table(tmp_path, f"{header}\na,1,2\n"), asked)
    assert groups.column == column
    assert groups.of_name["a"] == str(
        [part.strip("\ufeff ") for part in header.split(",")].index(column)
    )


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", "", "needs a column 'name'; its columns are: none"),
        ("file,group\na,x\n", "", "needs a column 'name'; its columns are: file, group"),
        (
            "name,kind\na,x\n",
            "",
            "no column 'group' or 'modality'; choose .*--group-by: name, kind",
        ),
        ("name,group\na,x\n", "stain", "no column 'stain'"),
        ("name,group\na,x\nb,\n", "", "Line 3 .* has no 'group'"),
        ("name,group\na,x\n,y\n", "", "Line 3 .* has no 'name'"),
        ("name,group\na,x\nb\n", "", "Line 3 .* has no 'group'"),
        ("name,group\na,x\na,y\n", "", "puts 'a' into two groups, 'x' and 'y'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, column: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        read_groups(table(tmp_path, text), column)


def test_files_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_groups(tmp_path / "none.csv")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"name,group\n\xff\xfe\x00\n")
    with pytest.raises(InvalidRequest, match="is no CSV table"):
        read_groups(binary)


def test_every_image_needs_a_group(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    groups = read_groups(table(tmp_path, "name,group\na.tif,x\nb,x\n"))
    with pytest.raises(InvalidRequest, match=r"2 of 3 images have no row .* first is 'a'"):
        evaluate(*folders, groups=groups)

"""`kiosk evaluate`: files and folders of label images against the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from kiosk.errors import InvalidRequest
from kiosk.evaluation import THRESHOLDS, Scores, evaluate


def labelled(picture: str) -> np.ndarray:
    rows = picture.split()
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint16)


TRUTH = labelled("11.22 11.22 ..... 33333")
FOUND = labelled("44.5. 44.5. ..... ...66")  # IoU 1, 0.5 and 0.4


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    predicted, truth = tmp_path / "predicted", tmp_path / "truth"
    predicted.mkdir()
    truth.mkdir()
    return predicted, truth


def counts(scores: Scores, threshold: float) -> tuple[int, int, int]:
    found = scores.counts[threshold]
    return found.true_positives, found.false_positives, found.false_negatives


def test_two_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FOUND)
    tifffile.imwrite(tmp_path / "b.tif", TRUTH)
    scores = evaluate(tmp_path / "a.tif", tmp_path / "b.tif")
    assert scores.images == 1
    assert counts(scores, 0.5) == (2, 1, 1)
    assert counts(scores, 0.9) == (1, 2, 2)


def test_figures_as_a_dictionary() -> None:
    scores = Scores()
    scores.add(TRUTH, FOUND)
    scores.add(TRUTH, TRUTH)
    data = scores.as_dict()
    assert (data["images"], data["missing"]) == (2, [])
    assert list(THRESHOLDS) == [row["iou"] for row in data["thresholds"]]
    assert data["thresholds"][0] == {
        "iou": 0.5,
        "precision": 0.8333,
        "recall": 0.8333,
        "f1": 0.8333,
        "ap": 0.7143,
        "mean_image_ap": 0.75,
        "true_positives": 5,
        "false_positives": 1,
        "false_negatives": 1,
    }
    assert data["mean_ap"] == pytest.approx((5 / 7 + 4 * 4 / 8) / 5, abs=1e-4)


@pytest.mark.parametrize(
    ("predicted_name", "truth_name"),
    [
        ("a_labels.tif", "a.tif"),
        ("a.tif", "a.tif"),
        ("a_labels.tif", "a_mask.tif"),
        ("a_labels.tif", "a_masks.tiff"),
        ("a_label.TIF", "a_gt.tif"),
    ],
)
def test_names_that_belong_together(
    folders: tuple[Path, Path], predicted_name: str, truth_name: str
) -> None:
    predicted, truth = folders
    tifffile.imwrite(predicted / predicted_name, TRUTH)
    tifffile.imwrite(truth / truth_name, TRUTH)
    scores = evaluate(predicted, truth)
    assert counts(scores, 0.9) == (3, 0, 0)


def test_missing_prediction_counts_as_missed(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(truth / name, TRUTH)
    tifffile.imwrite(predicted / "a_labels.tif", TRUTH)
    scores = evaluate(predicted, truth)
    assert scores.missing == ["b.tif"]
    assert counts(scores, 0.5) == (3, 0, 3)


def test_prediction_without_a_truth_is_left_out(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    tifffile.imwrite(truth / "a.tif", TRUTH)
    for name in ("a_labels.tif", "extra_labels.tif"):
        tifffile.imwrite(predicted / name, TRUTH)
    assert evaluate(predicted, truth).images == 1


def test_planes_of_a_stack_are_counted_one_by_one(tmp_path: Path) -> None:
    """Label 1 of one plane has nothing to do with label 1 of the next."""
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FOUND, TRUTH, TRUTH]), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", np.stack([TRUTH, TRUTH, TRUTH]), photometric="minisblack")
    scores = evaluate(tmp_path / "a.tif", tmp_path / "b.tif")
    assert scores.images == 3
    assert counts(scores, 0.5) == (8, 1, 1)


def test_empty_images_agree(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 5), np.uint16))
    scores = evaluate(tmp_path / "a.tif", tmp_path / "a.tif")
    assert scores.as_dict()["mean_ap"] == 1.0


def test_shapes_must_agree(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", TRUTH)
    tifffile.imwrite(tmp_path / "b.tif", TRUTH.T)
    with pytest.raises(InvalidRequest, match="shapes differ"):
        evaluate(tmp_path / "a.tif", tmp_path / "b.tif")


def test_what_is_not_there_or_not_a_tiff_is_said_plainly(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    predicted, truth = folders
    file = tmp_path / "a.tif"
    file.write_bytes(b"no image")
    with pytest.raises(InvalidRequest, match="does not exist"):
        evaluate(tmp_path / "no", truth)
    with pytest.raises(InvalidRequest, match="cannot be read as a TIFF"):
        evaluate(file, file)
    with pytest.raises(InvalidRequest, match="two files or two folders"):
        evaluate(file, truth)
    with pytest.raises(InvalidRequest, match="no TIFF files"):
        evaluate(predicted, truth)


def test_folders_without_a_common_name(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    tifffile.imwrite(predicted / "x_labels.tif", TRUTH)
    tifffile.imwrite(truth / "a.tif", TRUTH)
    with pytest.raises(InvalidRequest, match="No name"):
        evaluate(predicted, truth)

"""`kiosk evaluate`: files and folders of label images against the truth."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from kiosk.errors import InvalidRequest
from kiosk.evaluation import THRESHOLDS, Evaluation, PlaneResult, Scores, evaluate, score_plane
from kiosk.evaluation.pairs import Pair
from kiosk.evaluation.rows import as_dict, plane_row, pooled_figures
from kiosk.imaging.matching import MatchCounts


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


def counts(evaluation: Evaluation, threshold: float) -> tuple[int, int, int]:
    found = evaluation.pooled.at(threshold)
    return found.true_positives, found.false_positives, found.false_negatives


def test_two_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FOUND)
    tifffile.imwrite(tmp_path / "b.tif", TRUTH)
    evaluation = evaluate(tmp_path / "a.tif", tmp_path / "b.tif")
    assert evaluation.pooled.planes == 1
    assert counts(evaluation, 0.5) == (2, 1, 1)
    assert counts(evaluation, 0.9) == (1, 2, 2)


def test_figures_as_a_dictionary() -> None:
    data = pooled_figures(score_plane(TRUTH, FOUND) + score_plane(TRUTH, TRUTH))
    assert data["images"] == 2
    assert [row["iou"] for row in data["thresholds"]] == list(THRESHOLDS)
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
    # IoU 1, 0.5 and 0.4: above 0.5 one of the three is left.
    assert data["mean_ap"] == pytest.approx((5 / 7 + 4 * 4 / 8) / 5, abs=1e-4)
    assert data["mean_ap_50_95"] == pytest.approx((5 / 7 + 9 * 4 / 8) / 10, abs=1e-4)
    # SEG: 1 is covered wholly, 2 and 3 by a half and by 2/5.
    assert data["seg"] == pytest.approx((1 + 3) / 6, abs=1e-4)
    assert data["panoptic_quality"] == pytest.approx((1 + 3) / (4 + 1 + 1), abs=1e-4)


def test_thresholds_are_steps_of_five_hundredths() -> None:
    expected = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert expected == THRESHOLDS


def test_count_errors() -> None:
    """One too many, then two too few: they cancel in the total and not in the mean."""
    three, two, none = labelled("1.2.3"), labelled("1...2"), labelled(".....")
    pooled = score_plane(two, three) + score_plane(two, none)
    assert (pooled.truth_count, pooled.predicted_count, pooled.count_error) == (4, 3, -1)
    assert pooled.relative_count_error == -0.25
    assert pooled.mean_absolute_count_error == 1.5
    assert score_plane(none, two).relative_count_error is None
    assert score_plane(none, none).relative_count_error == 0.0


def test_a_row_per_plane(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FOUND, TRUTH]), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b_gt.tif", np.stack([TRUTH, TRUTH]), photometric="minisblack")
    evaluation = evaluate(tmp_path / "a.tif", tmp_path / "b_gt.tif")
    rows = as_dict(evaluation)["planes"]
    assert [(row["name"], row["plane"], row["prediction"]) for row in rows] == [
        ("b_gt", 0, "a.tif"),
        ("b_gt", 1, "a.tif"),
    ]
    assert (rows[0]["f1_50"], rows[0]["f1_95"], rows[1]["f1_95"]) == (0.6667, 0.3333, 1.0)
    assert rows[0]["false_negatives_55"] == 2
    assert {key for key in plane_row(evaluation.planes[0]) if key.endswith("_50")} == {
        f"{figure}_50"
        for figure in (
            *("precision", "recall", "f1", "ap"),
            *("true_positives", "false_positives", "false_negatives"),
        )
    }


def test_the_worst_planes_come_first(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    for name, found in (("good", TRUTH), ("half", FOUND), ("none", TRUTH * 0)):
        tifffile.imwrite(predicted / f"{name}_labels.tif", found)
        tifffile.imwrite(truth / f"{name}.tif", TRUTH)
    worst = evaluate(predicted, truth).worst(2)
    assert [result.pair.name for result in worst] == ["none", "half"]
    assert [result.f1 for result in worst] == [0.0, pytest.approx(2 / 3)]


def test_no_plane_at_all_is_no_mistake() -> None:
    nothing = Scores()
    assert nothing.at(0.5) == MatchCounts(0, 0, 0)
    assert (nothing.mean_ap, nothing.mean_absolute_count_error) == (1.0, 0.0)


def test_colour_pictures_are_no_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(InvalidRequest, match="no label image"):
        evaluate(tmp_path / "a.tif", tmp_path / "a.tif")


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
    evaluation = evaluate(predicted, truth)
    assert counts(evaluation, 0.9) == (3, 0, 0)


def test_missing_prediction_counts_as_missed(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(truth / name, TRUTH)
    tifffile.imwrite(predicted / "a_labels.tif", TRUTH)
    evaluation = evaluate(predicted, truth)
    assert evaluation.missing == ["b.tif"]
    assert counts(evaluation, 0.5) == (3, 0, 3)


def test_prediction_without_a_truth_is_left_out(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    tifffile.imwrite(truth / "a.tif", TRUTH)
    for name in ("a_labels.tif", "extra_labels.tif"):
        tifffile.imwrite(predicted / name, TRUTH)
    assert evaluate(predicted, truth).pooled.planes == 1


def test_planes_of_a_stack_are_counted_one_by_one(tmp_path: Path) -> None:
    """Label 1 of one plane has nothing to do with label 1 of the next."""
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FOUND, TRUTH, TRUTH]), photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", np.stack([TRUTH, TRUTH, TRUTH]), photometric="minisblack")
    evaluation = evaluate(tmp_path / "a.tif", tmp_path / "b.tif")
    assert evaluation.pooled.planes == 3
    assert counts(evaluation, 0.5) == (8, 1, 1)


def test_empty_images_agree(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 5), np.uint16))
    evaluation = evaluate(tmp_path / "a.tif", tmp_path / "a.tif")
    assert as_dict(evaluation)["mean_ap"] == 1.0


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


def test_every_figure_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/evaluation.md").read_text()
    scores = score_plane(TRUTH, FOUND)
    pair = Pair(Path("a.tif"), None)
    data = as_dict(Evaluation([PlaneResult(pair, 0, "x", scores)], "group"))
    keys = {*data, *data["thresholds"][0], *data["planes"][0]}
    for key in keys:
        if not re.search(r"_(55|[6-9][05])$", key):
            assert f"`{key}`" in text, key

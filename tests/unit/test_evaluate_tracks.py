"""`kiosk evaluate` on folders of the Cell Tracking Challenge."""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result
from ctc_metrics import evaluate_sequence
from ctc_metrics.scripts.validate import validate_sequence
from track_makers import PARENTS, lineage_of, movie, movie_image, tracked_frames, write_tracks
from typer.testing import CliRunner

from kiosk.cli import app
from kiosk.errors import InvalidRequest
from kiosk.evaluation.ctc_folders import find_sequences
from kiosk.evaluation.tracking import evaluate_tracking
from kiosk.exports.tracks import ctc
from kiosk.exports.tracks.ctc import CtcZip

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared/data/tracking"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def write_result(folder: Path, parents: dict[int, int] = PARENTS) -> Path:
    planes = movie()
    lineage, image = lineage_of(planes, parents), movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    folder.parent.mkdir(parents=True, exist_ok=True)
    archive = write_tracks(CtcZip, folder.with_suffix(".zip"), frames, image, lineage)
    with zipfile.ZipFile(archive) as members:
        members.extractall(folder)
    archive.unlink()
    return folder


def write_truth(folder: Path, seg: bool = True) -> Path:
    result = write_result(folder / "RES")
    (folder / "TRA").mkdir()
    for path in result.iterdir():
        name = path.name.replace("mask", "man_track").replace("res_track", "man_track")
        path.rename(folder / "TRA" / name)
    result.rmdir()
    if seg:
        (folder / "SEG").mkdir()
        shutil.copy(folder / "TRA/man_track003.tif", folder / "SEG/man_seg003.tif")
    return folder


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.setattr(ctc, "FILL_FRAMES", 0)  # a track with a gap is two
    return write_result(tmp_path / "01_RES"), write_truth(tmp_path / "01_GT")


def spoil(folder: Path, change: Callable[[np.ndarray, int], np.ndarray]) -> None:
    for number, path in enumerate(sorted(folder.glob("mask*.tif"))):
        tifffile.imwrite(path, change(tifffile.imread(path), number))


def rewrite(folder: Path, change: Callable[[list[list[int]]], list[list[int]]]) -> None:
    path = folder / "res_track.txt"
    rows = [list(map(int, line.split())) for line in path.read_text().splitlines()]
    path.write_text("".join(f"{' '.join(map(str, row))}\n" for row in change(rows)))


def test_the_truth_against_itself_is_perfect(folders: tuple[Path, Path]) -> None:
    for predicted in folders:
        data = json.loads(run(predicted, folders[1], "--json").stdout)
        assert [data[key] for key in ("seg", "det", "tra", "lnk", "division_f1")] == [1.0] * 5
        assert (data["true_divisions"], data["predicted_divisions"]) == (2, 2)
        assert len(data["sequences"]) == 1
        assert data["sequences"][0]["frames"] == 10


def lost_cell(mask: np.ndarray, frame: int) -> np.ndarray:
    return np.where(mask == 7, 0, mask)


def moved_cell(mask: np.ndarray, frame: int) -> np.ndarray:
    """Track 2 is where nothing is."""
    moved = np.where(mask == 2, 0, mask)
    if frame >= 5:
        moved[40:43, 40:44] = 2
    return moved


def merged_daughters(mask: np.ndarray, frame: int) -> np.ndarray:
    """Tracks 4 and 5 are one piece that covers both."""
    merged = np.where(mask == 5, 4, mask)
    if 4 in merged:
        merged[8:17, 18:22] = 4
    return merged


SPOILED: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], set[int], dict[int, int]]] = {
    "lost": (lost_cell, {7}, {}),
    "moved": (moved_cell, set(), {}),
    "merged": (merged_daughters, {5}, {}),
    "no division": (lambda mask, frame: mask, set(), {2: 0, 3: 0}),
    "other mother": (lambda mask, frame: mask, set(), {4: 6, 5: 6}),
}


@pytest.mark.parametrize("name", SPOILED)
def test_figures_are_those_of_the_official_package(folders: tuple[Path, Path], name: str) -> None:
    predicted, truth = folders
    change, gone, mothers = SPOILED[name]
    spoil(predicted, change)
    rewrite(
        predicted,
        lambda rows: [
            [*row[:3], mothers.get(row[0], row[3])] for row in rows if row[0] not in gone
        ],
    )
    if name == "other mother":  # 6 goes on as 8; its end must be before the daughters begin
        rewrite(predicted, lambda rows: [[*r[:3], 0 if r[0] == 8 else r[3]] for r in rows])
    measures = ["Valid", "SEG", "DET", "TRA", "LNK", "BC"]
    expected = evaluate_sequence(str(predicted), str(truth), measures, threads=1)
    assert expected["Valid"] == 1
    found = evaluate_tracking(find_sequences(predicted, truth)).scores[0]
    assert [found.seg, found.det, found.tra, found.lnk] == pytest.approx(
        [expected[key] for key in ("SEG", "DET", "TRA", "LNK")], abs=1e-12
    )
    assert found.tra < 1
    for tolerance, counts in enumerate(found.divisions):
        assert (counts.true_positives, counts.false_positives, counts.false_negatives) == tuple(
            expected[f"{kind}_div({tolerance})"] for kind in ("tp", "fp", "fn")
        )


def test_tables_and_csv(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    table = tmp_path / "out/tracks.csv"
    done = run(*folders, "--csv", table)
    assert done.exit_code == 0, done.exception
    assert "within 1 frame " in done.stdout
    row = next(line for line in done.stdout.splitlines() if "01" in line)
    assert row.replace("│", " ").split() == ["01", "10", *["1.000"] * 4]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["tra"], row["division_f1"]) for row in rows] == [("01", "1.0", "1.0")]
    assert rows[0]["missed_edges"] == "0"


def test_folders_of_sequences(tmp_path: Path) -> None:
    for name in ("01", "02"):
        write_result(tmp_path / f"results/{name}_RES")
        write_truth(tmp_path / f"truth/{name}_GT")
    rewrite(tmp_path / "results/02_RES", lambda rows: [[*row[:3], 0] for row in rows])
    data = json.loads(run(tmp_path / "results", tmp_path / "truth", "--json").stdout)
    first, second = data["sequences"]
    assert (first["name"], second["name"]) == ("01", "02")
    assert data["lnk"] == pytest.approx((1 + second["lnk"]) / 2, abs=1e-4)
    assert (data["true_divisions"], data["division_recall"]) == (4, 0.5)
    assert "mean" in run(tmp_path / "results", tmp_path / "truth").stdout


def test_one_result_of_any_name(tmp_path: Path) -> None:
    write_result(tmp_path / "results/cells_RES")
    truth = write_truth(tmp_path / "01_GT", seg=False)
    data = json.loads(run(tmp_path / "results", truth / "TRA", "--json").stdout)
    assert (data["seg"], data["tra"]) == (None, 1.0)


def test_a_result_without_tracks(folders: tuple[Path, Path]) -> None:
    predicted, truth = folders
    spoil(predicted, lambda mask, frame: np.zeros_like(mask))
    rewrite(predicted, lambda rows: [])
    data = json.loads(run(predicted, truth, "--json").stdout)
    assert [data[key] for key in ("seg", "det", "tra", "lnk", "division_f1")] == [0.0] * 5


def test_no_divisions_at_all_are_no_figure(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "01_GT")
    path = truth / "TRA/man_track.txt"
    rows = [line.split() for line in path.read_text().splitlines()]
    path.write_text("".join(f"{' '.join(row[:3])} 0\n" for row in rows))
    assert json.loads(run(truth, truth, "--json").stdout)["division_f1"] is None
    assert "│ -" in run(truth, truth).stdout


def test_masks_for_seg_may_be_planes_of_volumes(tmp_path: Path) -> None:
    volume = np.zeros((3, 8, 8), np.uint16)
    volume[:, 2:6, 2:6] = 1
    for folder, name, tracks in (
        ("01_RES", "mask000.tif", "res_track.txt"),
        ("01_GT/TRA", "man_track000.tif", "man_track.txt"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        tifffile.imwrite(tmp_path / folder / name, volume, photometric="minisblack")
        (tmp_path / folder / tracks).write_text("1 0 0 0\n")
    (tmp_path / "01_GT/SEG").mkdir()
    half = volume[1].copy()
    half[4:] = 0
    tifffile.imwrite(tmp_path / "01_GT/SEG/man_seg_000_001.tif", half)
    scores = evaluate_tracking(find_sequences(tmp_path / "01_RES", tmp_path / "01_GT")).scores[0]
    assert (scores.seg, scores.tra, scores.lnk) == (0.5, 1.0, None)


def test_labels_near_the_end_of_16_bit(tmp_path: Path) -> None:
    """Numbers of both masks that do not fit 16 bit together."""
    truth = write_truth(tmp_path / "01_GT", seg=False)
    predicted = write_result(tmp_path / "01_RES")
    spoil(predicted, lambda mask, frame: np.where(mask > 0, mask + 65_000, 0).astype(np.uint16))
    rewrite(
        predicted,
        lambda rows: [[r[0] + 65_000, *r[1:3], r[3] + 65_000 if r[3] else 0] for r in rows],
    )
    assert evaluate_tracking(find_sequences(predicted, truth)).mean("tra") == 1


def rows_changed(change: Callable[[list[int]], list[int]]) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder, lambda rows: [change(row) for row in rows])


# What a valid result becomes -> what is said about it.
BROKEN_RULES: dict[str, Callable[[Path], None]] = {
    "label 7 of frame 2 is in no track": lambda folder: rewrite(
        folder, lambda rows: [row for row in rows if row[0] != 7]
    ),
    "track 2 has no mask in frame 5": lambda folder: spoil(
        folder, lambda mask, frame: np.where(mask == 2, 0, mask)
    ),
    "track 7 begins in frame 2, when its mother 6 is still there (to frame 3)": rows_changed(
        lambda row: [*row[:3], 6 if row[0] == 7 else row[3]]
    ),
    "track 1 ends in frame 4, before it begins in frame 5": rows_changed(
        lambda row: [row[0], 5 if row[0] == 1 else row[1], *row[2:]]
    ),
    "track 1 has a number that is too small": rows_changed(
        lambda row: [*row[:3], -1 if row[0] == 1 else row[3]]
    ),
    "ends in frame 13, and the movie has fewer frames": rows_changed(
        lambda row: [*row[:2], row[2] + 9, row[3]]
    ),
    "track 2 has the mother 99, which is none": rows_changed(
        lambda row: [*row[:3], 99 if row[0] == 2 else row[3]]
    ),
    "a track has two lines": lambda folder: rewrite(folder, lambda rows: rows + rows[:1]),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("words", BROKEN_RULES)
def test_broken_rules_are_said_as_the_official_package_finds_them(
    folders: tuple[Path, Path], words: str
) -> None:
    predicted, truth = folders
    BROKEN_RULES[words](predicted)
    done = run(predicted, truth)
    assert isinstance(done.exception, InvalidRequest)
    assert words in done.exception.message
    try:
        found = validate_sequence(str(predicted), threads=1)["Valid"]
    except (AssertionError, IndexError):  # it stumbles over some
        found = 0
    assert found == 0


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_true_cell_may_leave_and_come_back(folders: tuple[Path, Path]) -> None:
    """As in the official package, which only checks predictions."""
    predicted, truth = folders
    path = truth / "TRA" / "man_track006.tif"
    mask = tifffile.imread(path)
    tifffile.imwrite(path, np.where(mask == 2, 0, mask))
    expected = evaluate_sequence(str(predicted), str(truth), threads=1)
    found = json.loads(run(predicted, truth, "--json").stdout)
    for name in ("DET", "TRA", "LNK"):
        assert found[name.lower()] == pytest.approx(expected[name], abs=1e-4)


@pytest.mark.parametrize(
    ("spoiling", "words"),
    [
        (lambda folder: (folder / "mask003.tif").unlink(), "has no mask of frame 3"),
        (lambda folder: (folder / "mask009.tif").unlink(), "has 9 frames"),
        (
            lambda folder: tifffile.imwrite(folder / "mask003.tif", np.zeros((3, 3), np.uint16)),
            "The shapes differ",
        ),
        (
            lambda folder: (folder / "res_track.txt").write_text("1 0 4\n"),
            "needs four whole numbers",
        ),
        (lambda folder: (folder / "res_track.txt").write_text("a b c d\n"), "cannot be read"),
        (
            lambda folder: (folder / "res_track.txt").write_text(f"1 0 {10**30} 0\n"),
            "cannot be read",
        ),
        (
            lambda folder: (folder / "mask003.tif").write_bytes(b"no picture"),
            "cannot be read as a TIFF mask",
        ),
    ],
)
def test_what_cannot_be_scored(
    folders: tuple[Path, Path], spoiling: Callable[[Path], None], words: str
) -> None:
    spoiling(folders[0])
    done = run(*folders)
    assert isinstance(done.exception, InvalidRequest)
    assert words in done.exception.message


def test_one_of_both_is_no_folder_of_tracks(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    tifffile.imwrite(other / "a.tif", np.ones((4, 4), np.uint16))
    assert find_sequences(other, other) == []
    assert "has tracks, but" in str(run(other, folders[1]).exception)
    assert "has none: the ground truth" in str(run(folders[0], other).exception)
    assert "without pictures" in str(run(*folders, "--picture", "x.png").exception)


def test_a_truth_without_its_result(tmp_path: Path) -> None:
    write_result(tmp_path / "results/01_RES")
    for name in ("01", "02"):
        write_truth(tmp_path / f"truth/{name}_GT")
    done = run(tmp_path / "results", tmp_path / "truth")
    assert "needs a folder '02_RES'" in str(done.exception)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the tracking data")
@pytest.mark.parametrize("truth", sorted(SHARED.glob("*/0?_GT")), ids=str)
def test_real_truths_are_perfect(truth: Path) -> None:
    data = json.loads(run(truth, truth, "--json").stdout)
    assert [data[key] for key in ("det", "tra", "lnk", "division_f1")] == [1.0] * 4

"""`kiosk track` as it is typed, and tracking through the client library, against fakes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import Result
from spots import spots, tiff, zipped
from typer.testing import CliRunner

from kiosk.cli import app
from kiosk.client import AsyncKiosk
from kiosk.errors import AlreadyExists, InvalidRequest, JobFailed
from kiosk.grpc_api import GrpcServer
from kiosk.testing import FakeKiosk

# Five bars that move to the right, and the number of each.
FRAMES = 4
MOVIE = np.stack([np.roll(spots(5), 2 * t, axis=1) for t in range(FRAMES)])
ROWS = np.zeros((100, 120), np.uint16)
for number in range(5):
    ROWS[10 + 15 * number : 20 + 15 * number] = number + 1
LABELS = np.where(MOVIE > 0, ROWS, 0).astype(np.uint16)
FILES = {
    "cells_RES",
    "cells_doubtful_links.csv",
    "cells_labels.tif",
    "cells_lineage.png",
    "cells_run.json",
    "cells_track_summary.csv",
    "cells_tracks.csv",
    "cells_tracks.geff.zip",
    "cells_tracks.jpg",
}


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(map(str, arguments)))


def message(result: Result) -> str:
    """The one sentence that the command would end with."""
    assert isinstance(result.exception, InvalidRequest), result.output
    return result.exception.message


Track = Callable[..., Awaitable[Result]]


@pytest.fixture
def track(server: GrpcServer) -> Track:
    async def call(*arguments: str | Path) -> Result:
        address = ("--server", f"127.0.0.1:{server.port}", "--model", "bright")
        return await asyncio.to_thread(run, "track", *arguments, *address)

    return call


def write_movie(path: Path, movie: np.ndarray = MOVIE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiff(movie, photometric="minisblack", metadata={"axes": "TYX"}))
    return path


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    return write_movie(tmp_path / "cells.tif")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write_movie(tmp_path / "masks.tif", LABELS)


# ---------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tracks", "x.csv"], "need the --labels that they belong to"),
        (["--keep-ids"], "need the --labels that they belong to"),
        (["--labels", "nothere.tif"], "The file 'nothere.tif' does not exist."),
        (["--labels", "MOVIE", "--tracks", "nothere.csv"], "'nothere.csv' does not exist."),
        (["--labels", "MOVIE", "--tracks", "FOLDER"], "is a folder."),
        (["--labels", "MOVIE", "--tracks", "s3://bucket/t.csv"], "is an address."),
        (["nothere.tif"], "does not exist"),
        (["--format", "gif"], "no result format 'gif' for tracked movies"),
        (["--axes", "QYX"], "are not an order of axes"),
        (["--set", "x"], "NAME=NUMBER"),
        (["--overwrite", "--skip-existing"], "exclude each other"),
    ],
)
def test_what_cannot_be_meant_needs_no_kiosk(
    movie: Path, arguments: list[str], sentence: str
) -> None:
    places = {"MOVIE": str(movie), "FOLDER": str(movie.parent)}
    given = [places.get(one, one) for one in arguments]
    assert sentence in message(run("track", movie, *given, "--server", "127.0.0.1:1"))


async def test_a_movie_is_tracked(track: Track, movie: Path, tmp_path: Path) -> None:
    result = await track(movie, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "done   cells.tif: 5 tracks, 0 divisions, 20 instances in 4 frames" in result.stdout
    assert "without a network" in result.stdout
    assert result.stdout.rstrip().endswith(f"Results are in {tmp_path / 'out'}.")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    masks = sorted((tmp_path / "out" / "cells_RES").iterdir())
    assert [mask.name for mask in masks] == [
        *(f"mask{t:03}.tif" for t in range(FRAMES)),
        "res_track.txt",
    ]
    found = tifffile.imread(tmp_path / "out" / "cells_labels.tif")
    np.testing.assert_array_equal(found, LABELS)


async def test_options_reach_the_job(track: Track, movie: Path, tmp_path: Path) -> None:
    result = await track(
        *(movie, "--out", tmp_path / "out", "--format", "tracks,ctc", "--set", "min_area_px=2"),
        *("--linker", "geometric", "--longest-gap", "3", "--reach-px", "9", "--no-divisions"),
        *("--no-drift", "--no-mend", "--pixel-size-um", "0.5", "--axes", "tyx"),
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "cells_run.json").read_text())
    assert record["linking"] == {
        "by": "geometric",
        "version": "",
        "longest_gap_frames": 3,
        "reach_px": 9,
        "divisions": False,
        "correct_drift": False,
    }
    assert record["parameters"]["min_area_px"] == 2
    assert record["image"]["as_asked"] == {"axes": "TYX", "pixel_size_um": 0.5}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "cells_RES",
        "cells_run.json",
        "cells_tracks.csv",
    }


async def test_results_that_are_there(track: Track, movie: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (await track(movie, "--out", out)).exit_code == 0
    (out / "cells_RES" / "mask007.tif").write_bytes(b"of a longer movie")
    again = await track(movie, "--out", out)
    assert again.exit_code == 1
    assert "already" in again.stdout
    left = await track(movie, "--out", out, "--skip-existing")
    assert (left.exit_code, "left   cells.tif" in left.stdout) == (0, True)
    assert (out / "cells_RES" / "mask007.tif").exists()
    anew = await track(movie, "--out", out, "--overwrite")
    assert anew.exit_code == 0, anew.output
    assert not (out / "cells_RES" / "mask007.tif").exists()


async def test_a_folder_of_frames_with_a_folder_of_masks(track: Track, tmp_path: Path) -> None:
    for t in range(FRAMES):
        for folder, images in (("Bilder, größer (1)", MOVIE), ("Masken", LABELS)):
            path = tmp_path / folder / f"bild {t + 8}.tif"  # 8, 9, 10, 11
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tiff(images[t]))
    result = await track(
        tmp_path / "Bilder, größer (1)", "--labels", tmp_path / "Masken", "--out", tmp_path / "out"
    )
    assert result.exit_code == 0, result.output
    found = tifffile.imread(tmp_path / "out" / "Bilder_ größer (1)_labels.tif")
    np.testing.assert_array_equal(found, LABELS)


async def test_the_folder_in_which_the_caller_is(
    track: Track, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for t in range(FRAMES):
        write_movie(tmp_path / "cells" / f"t{t}.tif", LABELS[t : t + 1])
    monkeypatch.chdir(tmp_path / "cells")
    result = await track(".", "--labels", ".", "--out", tmp_path / "out")
    assert "done   cells: 5 tracks" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


async def test_a_broken_frame_of_a_folder(track: Track, tmp_path: Path) -> None:
    for t in range(FRAMES):
        write_movie(tmp_path / "cells" / f"t{t}.tif", MOVIE[t : t + 1])
    (tmp_path / "cells" / "t1.tif").write_bytes(b"nothing")
    result = await track(tmp_path / "cells", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "failed cells: " in result.stdout
    assert "Traceback" not in result.output
    result = await track(tmp_path / "cells", "--out", tmp_path / "out", "--skip-bad-frames")
    assert result.exit_code == 0, result.output
    assert "empty  t1.tif: " in result.stdout
    assert "5 tracks, 0 divisions, 15 instances in 4 frames" in result.stdout


async def test_a_zip_of_frames_is_to_be_unpacked(track: Track, movie: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.zip"
    path.write_bytes(zipped({f"{t}.tif": tiff(LABELS[t]) for t in range(FRAMES)}))
    for arguments in ((path,), (movie, "--labels", path)):
        result = await track(*arguments, "--out", tmp_path / "out")
        assert result.exit_code == 1
        assert "unpack it and give the folder" in result.stdout


async def test_what_the_owner_should_know(
    track: Track, movie: Path, labels: Path, tmp_path: Path
) -> None:
    shared = LABELS.copy()
    shared[shared == 5] = 1
    result = await track(
        movie, "--labels", write_movie(tmp_path / "shared.tif", shared), "--out", tmp_path / "out"
    )
    assert "4 cells that shared a number with another of their frame were" in result.stdout
    broken = LABELS.astype(np.float32)
    broken[1, 0, 0] = 0.5
    result = await track(
        *(movie, "--labels", write_movie(tmp_path / "broken.tif", broken)),
        *("--out", tmp_path / "out2", "--skip-bad-frames"),
    )
    assert "Frame 1 was left out: The label images have values" in result.stdout
    one = await track(write_movie(tmp_path / "one.tif", MOVIE[:1]), "--out", tmp_path / "out3")
    assert "5 tracks, 0 divisions, 5 instances in 1 frame," in one.stdout
    assert "one frame only" in one.stdout


async def test_corrections_go_back_and_forth(track: Track, movie: Path, tmp_path: Path) -> None:
    """Tracked, its table edited as Excel does, tracked again, its label image painted."""
    out = tmp_path / "out"
    assert (await track(movie, "--out", out)).exit_code == 0
    text = (out / "cells_tracks.csv").read_text()
    head, *rows = (line.split(",") for line in text.splitlines())
    track_id, frame = head.index("track_id"), head.index("frame")
    for row in rows:
        if row[track_id] == "5" and int(row[frame]) >= 2:
            row[track_id] = "9"
    edited = tmp_path / "edited.csv"
    edited.write_text("".join(";".join(row).replace(".", ",") + "\r\n" for row in [head, *rows]))
    result = await track(
        movie, "--labels", out / "cells_labels.tif", "--tracks", edited, "--out", tmp_path / "two"
    )
    assert result.exit_code == 0, result.output
    assert "6 tracks" in result.stdout
    expected = LABELS.copy()
    expected[2:][expected[2:] == 5] = 9
    found = tifffile.imread(tmp_path / "two" / "cells_labels.tif")
    np.testing.assert_array_equal(found, expected)

    expected[expected == 9] = 5
    expected[:, 90:95, 10:20] = 12
    painted = write_movie(tmp_path / "painted.tif", expected)
    mothers = tmp_path / "two" / "cells_RES" / "res_track.txt"
    result = await track(
        *(movie, "--labels", painted, "--keep-ids", "--tracks", mothers),
        *("--out", tmp_path / "three"),
    )
    assert result.exit_code == 0, result.output
    found = tifffile.imread(tmp_path / "three" / "cells_labels.tif")
    np.testing.assert_array_equal(found, expected)


async def test_a_table_that_is_none_fails_with_a_sentence(
    track: Track, movie: Path, labels: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x89PNG\r\n\x1a\n")
    arguments = (movie, "--labels", labels, "--tracks", tmp_path / "x.csv")
    result = await track(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "'x.csv' has no column frame" in result.stdout
    assert not list((tmp_path / "out").glob("cells*"))


async def test_movies_one_after_the_other(track: Track, movie: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.tif"
    bad.write_bytes(b"nothing")
    result = await track(bad, movie, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 of 2 movies failed." in result.stderr
    assert "done   cells.tif" in result.stdout
    both = await track(bad, movie, "--labels", movie)
    assert "track movies with labels one by one" in message(both)


# ---------------------------------------------------------------------- the client


async def test_arrays_in_arrays_out(client: AsyncKiosk) -> None:
    found = await client.track(MOVIE, model="bright")
    np.testing.assert_array_equal(found.labels, LABELS)
    assert found.tracks["track_id"].tolist() == [1, 2, 3, 4, 5] * FRAMES
    assert found.summary["frames"].tolist() == [FRAMES] * 5
    assert found.doubtful_links.keys() >= {"confidence", "reason"}
    assert found.run["pipeline"] == "tracking"


async def test_labels_as_an_array(client: AsyncKiosk, fake: FakeKiosk) -> None:
    numbers = LABELS.copy()
    for t in range(FRAMES):
        numbers[t][numbers[t] > 0] = (numbers[t][numbers[t] > 0] + t) % 5 + 1
    found = await client.track(MOVIE, labels=numbers)
    assert found.run["model"] is None
    assert fake.inference.calls == []
    assert found.run["tracks"] == 5
    pairs = np.unique(np.stack([found.labels.ravel(), LABELS.ravel()]), axis=1)
    assert pairs.shape[1] == 6  # a number of theirs for each of ours
    kept = await client.track(MOVIE, labels=LABELS.astype(bool) * 7, labels_are_tracks=True)
    assert np.unique(kept.labels).tolist() == [0, 7]


async def test_corrected_tables_and_saving(client: AsyncKiosk, tmp_path: Path) -> None:
    first = await client.track(MOVIE, model="bright", formats=["tracks", "labels", "ctc"])
    saved = {path.name for path in first.save(tmp_path / "a")}
    assert saved == {"array_RES", "array_labels.tif", "array_run.json", "array_tracks.csv"}
    assert (tmp_path / "a" / "array_RES" / "res_track.txt").exists()
    with pytest.raises(AlreadyExists, match="array_RES"):
        first.save(tmp_path / "a")
    first.save(tmp_path / "a", overwrite=True)
    table = tmp_path / "a" / "array_tracks.csv"
    again = await client.track(MOVIE, labels=first.labels, tracks=table)
    np.testing.assert_array_equal(again.labels, first.labels)
    table.write_text("frame,track_id,label\n0,1,1\n0,1,2\n")
    with pytest.raises(JobFailed, match="has two cells in frame 0") as caught:
        await client.track(MOVIE, labels=first.labels, tracks=table)
    assert caught.value.reason == "INVALID_LINEAGE"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"axes": "QYX"}, "BAD_AXES"),
        ({"formats": "gif"}, "UNKNOWN_FORMAT"),
        ({"formats": "geojson"}, "UNKNOWN_FORMAT"),
        ({"labels": LABELS[:2]}, "BAD_LABELS"),
        ({"labels": LABELS[:, :50]}, "BAD_LABELS"),
        ({"labels": "/no/such/file.tif"}, "CANNOT_READ_FILE"),
        ({"labels": LABELS, "tracks": "/no/such/file.csv"}, "CANNOT_READ_FILE"),
        ({"labels_are_tracks": True}, "NO_LABELS"),
        ({"linker": "network"}, "MODEL_NOT_FOUND"),
        ({"axes": "ZYX"}, "NOT_A_MOVIE"),
        ({"parameters": {"speed": 1}}, "UNKNOWN_PARAMETER"),
        ({"pixel_size_um": -1.0}, "BAD_PIXEL_SIZE"),
    ],
)
async def test_what_cannot_be_meant_gets_one_sentence(
    client: AsyncKiosk, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await client.track(MOVIE, model="bright", **options)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert caught.value.message.endswith(".")

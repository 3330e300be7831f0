"""The kiosk as its users meet it: commands, client library, bad input, killed processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from kiosk._proto import kiosk_pb2 as pb
from kiosk.client import Kiosk
from kiosk.imaging.matching import count_matches, intersection_over_union
from kiosk.imaging.sample import make_sample
from kiosk.machine import RunningKiosk

pytestmark = pytest.mark.servers

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def run(kiosk: RunningKiosk, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kiosk.cli", *map(str, arguments)]
    environment = {**os.environ, "KIOSK_SERVER": kiosk.grpc_address, "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def children(pid: int, word: str) -> list[int]:
    """Process ids below `pid` whose command line has a word."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
        if parent == pid and word in command:
            found.append(int(entry.name))
    return found


def test_segment_writes_the_promised_files(
    kiosk: RunningKiosk, movie: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run(kiosk, "segment", movie, "--model", "nuclei:1", "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    endings = ("labels.tif", "instances.csv", "overlay.jpg", "run.json")
    assert sorted(p.name for p in out.iterdir()) == sorted(f"movie_{e}" for e in endings)
    labels = tifffile.imread(out / "movie_labels.tif")
    assert labels.shape == (3, 200, 240)
    record = json.loads((out / "movie_run.json").read_text())
    assert record["model"]["version"] == "1"
    assert len(record["model"]["weights_sha256"]) == 64


def test_the_nuclei_of_the_sample_are_found(kiosk: RunningKiosk) -> None:
    sample = make_sample(frames=2, height_px=300, width_px=300, nuclei=30)
    with Kiosk(kiosk.grpc_address) as client:
        result = client.segment(sample.images)
    for truth, found in zip(sample.labels, result.labels, strict=True):
        assert count_matches(intersection_over_union(truth, found), 0.5).f1 > 0.9


def test_tiles_of_a_large_plane_leave_no_seam(kiosk: RunningKiosk) -> None:
    sample = make_sample(frames=1, height_px=1700, width_px=1600, nuclei=700)
    with Kiosk(kiosk.grpc_address) as client:
        result = client.segment(sample.images[0])
    truth = sample.labels[0]
    seam = np.zeros_like(truth, bool)
    seam[750:950], seam[:, 700:900] = True, True
    near = np.where(np.isin(truth, np.unique(truth[seam])), truth, 0)
    found = np.where(np.isin(result.labels, np.unique(result.labels[near > 0])), result.labels, 0)
    assert count_matches(intersection_over_union(near, found), 0.5).recall > 0.95


def test_one_bad_file_fails_alone_and_with_a_sentence(
    kiosk: RunningKiosk, movie: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "notes.tif"
    bad.write_text("not an image\n")
    done = run(kiosk, "segment", bad, movie, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "notes.tif" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "out" / "movie_labels.tif").exists()


@pytest.mark.parametrize("model", ["nope", "nuclei:99"])
def test_an_unknown_model_is_named(kiosk: RunningKiosk, movie: Path, model: str) -> None:
    done = run(kiosk, "segment", movie, "--model", model)
    assert done.returncode == 1
    assert model.split(":", maxsplit=1)[0] in done.stderr


def test_a_job_outlives_its_consumer_and_triton(kiosk: RunningKiosk) -> None:
    sample = make_sample(frames=12, height_px=400, width_px=400, nuclei=40)
    with Kiosk(kiosk.grpc_address) as client:
        calm = client.segment(sample.images)
        upload = client.upload(sample.images)
        job = client.submit(upload)
        killed = False
        for step in client.watch(job.name):
            if step.parts_done >= 2 and not killed:
                killed = True
                for word in ("consumer", "tritonserver"):
                    for pid in children(kiosk.pid, word):
                        os.kill(pid, signal.SIGKILL)
        assert killed
        assert step.state == pb.JOB_STATE_SUCCEEDED, step.error.message
        np.testing.assert_array_equal(client.fetch(job.name).labels, calm.labels)


def test_jobs_and_models_are_listed(kiosk: RunningKiosk) -> None:
    assert "nuclei" in run(kiosk, "models").stdout
    assert "succeeded" in run(kiosk, "jobs").stdout


def test_the_made_up_movie_is_tracked_and_scored(kiosk: RunningKiosk, tmp_path: Path) -> None:
    """Against the truth that it was made with, by the command that people score tracks with."""
    sample = make_sample(frames=8, height_px=300, width_px=300, nuclei=30)
    movie, out = tmp_path / "movie.tif", tmp_path / "out"
    tifffile.imwrite(movie, sample.images, imagej=True, metadata={"axes": "TYX"})
    done = run(kiosk, "track", movie, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((out / "movie_run.json").read_text())
    assert record["linking"]["by"] == "network"
    assert record["model"]["name"] == "nuclei"
    truth = write_truth(tmp_path / "movie_GT", sample.labels)
    scored = run(kiosk, "evaluate", out / "movie_RES", truth, "--json")
    assert scored.returncode == 0, scored.stdout + scored.stderr
    figures = json.loads(scored.stdout)
    assert figures["det"] > 0.95
    assert figures["lnk"] > 0.95
    assert figures["tra"] > 0.95


def write_truth(folder: Path, labels: np.ndarray) -> Path:
    """Labels (t, y, x) that are tracks, in the layout of the Cell Tracking Challenge."""
    (folder / "TRA").mkdir(parents=True)
    lines = []
    for t, plane in enumerate(labels):
        tifffile.imwrite(folder / "TRA" / f"man_track{t:03}.tif", plane)
    for track in np.unique(labels[labels > 0]).tolist():
        seen = np.flatnonzero((labels == track).any(axis=(1, 2)))
        lines.append(f"{track} {seen[0]} {seen[-1]} 0\n")
    (folder / "TRA" / "man_track.txt").write_text("".join(lines))
    return folder


def test_tracks_are_corrected_on_the_command_line(
    kiosk: RunningKiosk, movie: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(kiosk, "track", movie, "--out", first).returncode == 0
    head, *rows = (line.split(",") for line in (first / "movie_tracks.csv").open())
    track_id, frame = head.index("track_id"), head.index("frame")
    for row in rows:
        if row[track_id] == "1" and row[frame] != "0":
            row[track_id] = "500"
    edited = tmp_path / "edited.csv"
    edited.write_text("".join(";".join(row) for row in [head, *rows]))
    labels = first / "movie_labels.tif"
    done = run(kiosk, "track", movie, "--labels", labels, "--tracks", edited, "--out", second)
    assert done.returncode == 0, done.stdout + done.stderr
    expected = tifffile.imread(labels)
    expected[1:][expected[1:] == 1] = 500
    assert (expected == 500).any()
    np.testing.assert_array_equal(tifffile.imread(second / "movie_labels.tif"), expected)
    edited.write_text("frame,track_id,label\n0,1,1\n0,1,2\n")
    bad = run(kiosk, "track", movie, "--labels", labels, "--tracks", edited, "--out", tmp_path)
    assert bad.returncode == 1
    assert "has two cells in frame 0" in bad.stdout
    assert "Traceback" not in bad.stdout + bad.stderr


def test_a_small_change_of_settings_changes_the_result(
    kiosk: RunningKiosk, movie: Path, tmp_path: Path
) -> None:
    done = run(kiosk, "segment", movie, "--set", "min_area_px=100000", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert tifffile.imread(tmp_path / "out" / "movie_labels.tif").max() == 0


@pytest.mark.skipif(not DATA.exists(), reason="the shared images are not here")
@pytest.mark.slow
def test_accuracy_on_the_test_images(kiosk: RunningKiosk, tmp_path: Path) -> None:
    began = time.monotonic()
    done = run(kiosk, "segment", DATA / "nuclei/test/images", "--out", tmp_path)
    assert done.returncode == 0, done.stdout
    scored = run(kiosk, "evaluate", tmp_path, DATA / "nuclei/test/labels", "--json")
    figures = json.loads(scored.stdout)["thresholds"][0]
    print(f"{time.monotonic() - began:.0f} s", figures)
    assert figures["f1"] >= 0.85
    assert figures["ap"] >= 0.75

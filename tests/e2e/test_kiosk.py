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


def test_track_says_that_it_is_not_there_yet(kiosk: RunningKiosk, movie: Path) -> None:
    done = run(kiosk, "track", movie)
    assert done.returncode == 1
    assert "not available" in done.stderr


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

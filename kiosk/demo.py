"""`make demo`: a whole kiosk on this machine, one sample movie through it, figures printed."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from rich.console import Console
from rich.table import Table

from kiosk.client import Kiosk
from kiosk.errors import PermanentError
from kiosk.imaging.matching import MatchCounts, count_matches, intersection_over_union
from kiosk.imaging.sample import Sample, make_sample
from kiosk.machine import RunningKiosk, free_port, port_is_free, running
from kiosk.segmentation import Segmentation
from kiosk.settings import Settings, child_environment

START_S = 180.0
STOP_S = 60.0


def demo(out: Path, console: Console) -> int:
    """Run the demo; results go to `out`. Returns the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    sample = make_sample()
    movie = out / "sample.tif"
    tifffile.imwrite(movie, sample.images, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(out / "sample_truth.tif", sample.labels, imagej=True, metadata={"axes": "TYX"})
    frames, height, width = sample.images.shape
    console.print(f"Made {movie}: {frames} frames of {height} x {width} px, ground truth known.")
    home = out / "home"
    with started(home) as kiosk:
        console.print(f"Kiosk is up: web {kiosk.web_url}  gRPC {kiosk.grpc_address}")
        began = time.monotonic()
        with Kiosk(kiosk.grpc_address) as client:
            result = client.segment(movie, model="nuclei", progress=console.is_terminal)
        seconds = time.monotonic() - began
        written = result.save(out)
        console.print(f"The page of this job: {kiosk.web_url}/jobs/{result.job_id}")
    shutil.rmtree(home)  # kept only when something went wrong: the logs are in there
    _report(sample, result, seconds, console)
    console.print("Results: " + ", ".join(str(path) for path in sorted(written)))
    console.print("Everything that was started has been stopped. `make up` starts a kiosk to stay.")
    return 0


@contextlib.contextmanager
def started(home: Path) -> Iterator[RunningKiosk]:
    """`kiosk up` as a child process with a home of its own, stopped at the end."""
    settings = Settings(home=home.resolve())
    ports = [
        wanted if port_is_free("127.0.0.1", wanted) else free_port()
        for wanted in (settings.listen.grpc_port, settings.listen.web_port)
    ]
    command = [sys.executable, "-m", "kiosk.cli", "up"]
    command += ["--grpc-port", str(ports[0]), "--web-port", str(ports[1])]
    # Whatever is set for a kiosk that stays: this one serves this machine for a minute.
    environment = child_environment(
        settings, KIOSK_AUTH__REQUIRED="false", KIOSK_LISTEN__HOST="127.0.0.1"
    )
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        yield _wait_until_up(process, settings.home)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(process: subprocess.Popen[bytes], home: Path) -> RunningKiosk:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        kiosk = running(home)
        if kiosk is not None and kiosk.pid == process.pid:
            return kiosk
        if process.poll() is not None:
            raise PermanentError("The kiosk did not start; the lines above say why.")
        time.sleep(0.1)
    raise PermanentError(f"The kiosk was not ready after {START_S:g} seconds.")


def _report(sample: Sample, result: Segmentation, seconds: float, console: Console) -> None:
    """Counts per frame, and agreement with the ground truth at IoU 0.5."""
    table = Table("frame", "nuclei in truth", "nuclei found", "F1")
    total = MatchCounts(0, 0, 0)
    for t, (truth, found) in enumerate(zip(sample.labels, result.labels, strict=True)):
        counts = count_matches(intersection_over_union(truth, found), 0.5)
        total += counts
        truth_count, found_count = (np.unique(a[a > 0]).size for a in (truth, found))
        table.add_row(str(t), str(truth_count), str(found_count), f"{counts.f1:.3f}")
    console.print(table)
    frames = len(sample.images)
    console.print(
        f"F1 {total.f1:.3f} (precision {total.precision:.3f}, recall {total.recall:.3f}) at IoU"
        f" 0.5; {seconds:.1f} s for {frames} frames from upload to results,"
        f" {seconds / frames:.2f} s per frame."
    )

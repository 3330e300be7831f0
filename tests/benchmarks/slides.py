"""A whole slide through the running kiosk: memory of the consumer, seconds per gigapixel, seams.

The slide is made up: uint16, tiled, with about 450 nuclei per megapixel. It goes through twice,
with two sizes of blocks, and the labels of both runs are matched: where blocks meet, nothing may
differ.

    make bench-slide                                          20,000 x 20,000 pixels
    .venv/bin/python tests/benchmarks/slides.py --side 8192   a smaller one
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from rich.console import Console
from rich.table import Table

from kiosk.client import Kiosk
from kiosk.demo import started
from kiosk.imaging.sample import make_sample

PIECE_PX, NUCLEI_PER_PIECE, PIECES = 2048, 1880, 12
TILE_PX = 512
SAME_IOU = 0.9
FORMATS = ("labels", "table", "overlay")


@dataclass
class Run:
    """One slide through the kiosk."""

    block_px: int
    seconds: float
    peak_bytes: int
    instances: int
    cut: int
    labels: Path


def make_slide(path: Path, side_px: int) -> None:
    """A mosaic of samples, turned and mirrored, written row of tiles by row of tiles."""
    pieces = [
        make_sample(1, PIECE_PX, PIECE_PX, NUCLEI_PER_PIECE, seed).images[0]
        for seed in range(PIECES)
    ]
    random = np.random.default_rng(1)
    count = -(-side_px // PIECE_PX)
    choice, turns = (
        random.integers(PIECES, size=(count, count)),
        random.integers(4, size=(count,) * 2),
    )

    def tiles() -> Iterator[np.ndarray]:
        for i in range(count):
            row = [np.rot90(pieces[choice[i, j]], turns[i, j]) for j in range(count)]
            band = np.concatenate(row, axis=1)[: side_px - i * PIECE_PX, :side_px]
            for top in range(0, band.shape[0], TILE_PX):
                for left in range(0, side_px, TILE_PX):
                    yield band[top : top + TILE_PX, left : left + TILE_PX]

    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            tiles(),
            shape=(side_px, side_px),
            dtype=np.uint16,
            tile=(TILE_PX, TILE_PX),
            compression="zlib",
        )


def run(slide: Path, folder: Path, block_px: int) -> Run:
    os.environ["KIOSK_CONSUMER__BLOCK_PX"] = str(block_px)
    with started(folder / "home") as kiosk, Kiosk(kiosk.grpc_address) as client:
        began = time.perf_counter()
        upload = client.upload(slide)
        job = client.submit(upload, formats=FORMATS)
        client.wait(job.name)
        seconds = time.perf_counter() - began
        files = client.download(job.name, folder / "results")
        peak = max(_peak_bytes(pid) for pid in _consumers(kiosk.pid))
    record = json.loads(next(f for f in files if f.name.endswith("_run.json")).read_text())
    labels = next(f for f in files if f.name.endswith("_labels.tif"))
    return Run(
        block_px, seconds, peak, record["instances"], record["blocks"]["instances_cut"], labels
    )


def agreement(one: Path, other: Path) -> float:
    """F1 at IoU 0.9 of the instances of two label images, read band by band."""
    areas: list[dict[int, int]] = [{}, {}]
    shared: dict[tuple[int, int], int] = {}
    with tifffile.TiffFile(one) as first, tifffile.TiffFile(other) as second:
        for a, b in zip(_bands(first.pages[0]), _bands(second.pages[0]), strict=True):
            for labels, area in zip((a, b), areas, strict=True):
                for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
                    area[int(label)] = area.get(int(label), 0) + int(count)
            both = (a > 0) & (b > 0)
            pairs = a[both].astype(np.int64) << 32 | b[both]
            for pair, count in zip(*np.unique(pairs, return_counts=True), strict=True):
                key = (int(pair) >> 32, int(pair) & 0xFFFFFFFF)
                shared[key] = shared.get(key, 0) + int(count)
    matched = sum(
        count / (areas[0][a] + areas[1][b] - count) >= SAME_IOU for (a, b), count in shared.items()
    )
    instances = [len(area.keys() - {0}) for area in areas]
    return 2 * matched / max(1, sum(instances))


def _bands(page: tifffile.TiffPage) -> Iterator[np.ndarray]:
    """Rows of tiles of a label image, one after another."""
    height, width = page.shape
    across = -(-width // page.tilewidth)
    band = np.zeros((page.tilelength, across * page.tilewidth), page.dtype)
    for number, (tile, index, _) in enumerate(page.segments()):
        left = index[-2]
        band[:, left : left + page.tilewidth] = 0
        if tile is not None:
            pixels = tile[0, :, :, 0]
            band[: pixels.shape[0], left : left + pixels.shape[1]] = pixels
        if (number + 1) % across == 0:
            top = (number // across) * page.tilelength
            yield band[: height - top, :width]


def _consumers(pid: int) -> list[int]:
    """The consumer processes that a kiosk has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid and b"consumer" in words:
            found.append(int(folder.name))
    return found


def _peak_bytes(pid: int) -> int:
    """The most memory that a process has had (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side", type=int, default=20_000, help="pixels along a side")
    parser.add_argument("--blocks", type=int, nargs="+", default=[4096, 3000])
    arguments = parser.parse_args()
    console = Console()
    gigapixels = arguments.side**2 / 1e9
    os.environ.setdefault("KIOSK_LIMITS__UPLOAD_BYTES", str(32 * 2**30))
    with tempfile.TemporaryDirectory(prefix="kiosk-slide-") as name:
        slide = Path(name) / "slide.tif"
        make_slide(slide, arguments.side)
        console.print(
            f"{arguments.side} x {arguments.side} px, {slide.stat().st_size / 1e6:.0f} MB"
        )
        runs = []
        for block_px in arguments.blocks:
            runs.append(run(slide, Path(name) / str(block_px), block_px))
            found = runs[-1]
            console.print(f"blocks of {block_px} px: {found.seconds:.0f} s")
        table = Table("blocks", "s", "s per gigapixel", "peak of the consumer", "instances", "cut")
        for found in runs:
            table.add_row(
                f"{found.block_px} px",
                f"{found.seconds:.0f}",
                f"{found.seconds / gigapixels:.0f}",
                f"{found.peak_bytes / 2**20:.0f} MiB",
                str(found.instances),
                str(found.cut),
            )
        console.print(table)
        for found in runs[1:]:
            same = agreement(runs[0].labels, found.labels)
            console.print(
                f"{runs[0].block_px} against {found.block_px} px: F1 at IoU {SAME_IOU} {same:.5f}"
            )


if __name__ == "__main__":
    main()

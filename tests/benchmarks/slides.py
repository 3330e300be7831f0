"""A whole slide through the running kiosk: memory of the consumer, seconds per gigapixel, seams.

The slide is made up: uint16, tiled, with about 450 nuclei per megapixel; or a mosaic of images of
yours, grey or in colour. It goes through with several sizes of blocks, and the labels of all runs
are matched: where blocks meet, nothing may differ. Memory is the most that a process has had since
it was started (VmHWM).

    make bench-slide                                          20,000 x 20,000 pixels
    .venv/bin/python tests/benchmarks/slides.py --side 6144 --blocks 4096 2048 1500
    .venv/bin/python tests/benchmarks/slides.py --side 6144 --images tissue-*.tif
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
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
    server_peak_bytes: int
    scale: float
    instances: int
    cut: int
    labels: Path


def made_up_pieces() -> list[np.ndarray]:
    """(y, x) uint16 pieces of a slide."""
    return [
        make_sample(1, PIECE_PX, PIECE_PX, NUCLEI_PER_PIECE, seed).images[0]
        for seed in range(PIECES)
    ]


def pieces_of(paths: Sequence[Path]) -> list[np.ndarray]:
    """Pieces of a slide, each a mosaic of images that are alike in type: (y, x) or (y, x, 3)."""
    images = [tifffile.imread(path) for path in paths]
    side = min(min(image.shape[:2]) for image in images)
    random = np.random.default_rng(2)
    count = -(-PIECE_PX // side)

    def row() -> np.ndarray:
        chosen = [images[i][:side, :side] for i in random.integers(len(images), size=count)]
        return np.concatenate([np.rot90(image, random.integers(4)) for image in chosen], axis=1)

    return [
        np.concatenate([row() for _ in range(count)])[:PIECE_PX, :PIECE_PX] for _ in range(PIECES)
    ]


def make_slide(path: Path, side_px: int, pieces: Sequence[np.ndarray]) -> None:
    """A mosaic of pieces, turned, written row of tiles by row of tiles."""
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
            shape=(side_px, side_px, *pieces[0].shape[2:]),
            dtype=pieces[0].dtype,
            tile=(TILE_PX, TILE_PX),
            compression="zlib",
            photometric="rgb" if pieces[0].ndim == 3 else "minisblack",
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
        peak = max(_peak_bytes(pid) for pid in _children(kiosk.pid, b"consumer"))
        server_peak = max(_peak_bytes(pid) for pid in _children(kiosk.pid, b"server"))
    record = json.loads(next(f for f in files if f.name.endswith("_run.json")).read_text())
    labels = next(f for f in files if f.name.endswith("_labels.tif"))
    return Run(
        block_px=block_px,
        seconds=seconds,
        peak_bytes=peak,
        server_peak_bytes=server_peak,
        scale=record["scale"]["scale"],
        instances=record["instances"],
        cut=record["blocks"]["instances_cut"],
        labels=labels,
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


def _children(pid: int, role: bytes) -> list[int]:
    """The processes of a role that a kiosk has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if parent == pid and role in words:
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
    parser.add_argument("--images", type=Path, nargs="+", help="TIFF files to make the slide from")
    arguments = parser.parse_args()
    console = Console()
    gigapixels = arguments.side**2 / 1e9
    os.environ.setdefault("KIOSK_LIMITS__UPLOAD_BYTES", str(32 * 2**30))
    with tempfile.TemporaryDirectory(prefix="kiosk-slide-") as name:
        slide = Path(name) / "slide.tif"
        pieces = pieces_of(arguments.images) if arguments.images else made_up_pieces()
        make_slide(slide, arguments.side, pieces)
        console.print(
            f"{arguments.side} x {arguments.side} px, {slide.stat().st_size / 1e6:.0f} MB"
        )
        runs = []
        for block_px in arguments.blocks:
            runs.append(run(slide, Path(name) / str(block_px), block_px))
            found = runs[-1]
            console.print(f"blocks of {block_px} px: {found.seconds:.0f} s")
        columns = ("blocks", "scale", "s", "s per gigapixel", "consumer", "server")
        table = Table(*columns, "instances", "cut")
        for found in runs:
            table.add_row(
                f"{found.block_px} px",
                f"{found.scale:g}",
                f"{found.seconds:.0f}",
                f"{found.seconds / gigapixels:.0f}",
                f"{found.peak_bytes / 2**20:.0f} MiB",
                f"{found.server_peak_bytes / 2**20:.0f} MiB",
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

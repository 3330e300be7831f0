"""The running kiosk against the same model called by bare ONNX Runtime in one process.

Both do the same work on the same images (1280 x 1080, 16 bit): read the file, normalise, run the
network with all cores, find the instances. The kiosk also uploads, queues, stores and downloads.
Rounds of both alternate in one run, so a busy machine slows both; the ratio is what counts. Where
the processor computes in bfloat16 the kiosk does so and the reference does not: then the ratio is
below one and single instances may differ. The kiosk also measures the nuclei in a first pass and
shows the image to the network at the scale that it finds.

    make bench                                  12 images, 3 rounds
    .venv/bin/python tests/benchmarks/bench.py --images 24 --rounds 5 --json bench.json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import tifffile
from rich.console import Console
from rich.table import Table

from kiosk.adapters.triton import TritonInference
from kiosk.client import AsyncKiosk
from kiosk.demo import started
from kiosk.imaging.instances import find_instances
from kiosk.imaging.intensity import as_uint16, plane_limits
from kiosk.imaging.sample import make_sample
from kiosk.imaging.tiling import cut_plane, read_tile
from kiosk.machine import RunningKiosk
from kiosk.models import ModelCard
from kiosk.pipelines.parameters import instance_parameters
from kiosk.request import SegmentationRequest
from kiosk.settings import CHECKOUT

WIDTH_PX, HEIGHT_PX, NUCLEI = 1280, 1080, 420
FILES_IN_FLIGHT = 4
LARGEST_COUNT_DIFFERENCE = 0.01  # of all instances of an image


@dataclass
class Bare:
    """The model in this process: one session, all cores, nothing around it."""

    session: onnxruntime.InferenceSession
    card: ModelCard

    def count(self, path: Path) -> int:
        plane = tifffile.imread(path)[None]
        limits = plane_limits(plane, self.card.low_percentile, self.card.high_percentile)
        pixels, limits = as_uint16(plane, limits)
        height, width = plane.shape[1:]
        divisor = self.card.divisor_px
        pad = ((0, 0), (0, -height % divisor), (0, -width % divisor))
        inputs = {
            "image": np.pad(pixels, pad, mode="symmetric")[None],
            "limits": np.array([[limits.low, limits.high]], np.float32),
        }
        foreground, distance = self.session.run(["foreground", "distance"], inputs)
        labels = find_instances(
            np.ascontiguousarray(foreground[0, :height, :width]),
            np.ascontiguousarray(distance[0, :height, :width]),
            instance_parameters(self.card, SegmentationRequest()),
        )
        return int(labels.max())


async def through_kiosk(server: str, paths: list[Path]) -> tuple[list[int], int]:
    """Instances of each image, and the bytes of all results."""
    slots = asyncio.Semaphore(FILES_IN_FLIGHT)
    moved = 0
    async with AsyncKiosk(server) as kiosk:

        async def one(path: Path) -> int:
            nonlocal moved
            async with slots:
                result = await kiosk.segment(path, model="nuclei")
            moved += sum(map(len, result.files.values()))
            return int(result.labels.max())

        counts = await asyncio.gather(*(one(path) for path in paths))
    return list(counts), moved


def make_images(folder: Path, count: int) -> list[Path]:
    paths = []
    for seed in range(count):
        sample = make_sample(1, HEIGHT_PX, WIDTH_PX, NUCLEI, seed)
        paths.append(folder / f"field{seed:03d}.tif")
        tifffile.imwrite(paths[-1], sample.images[0])
    return paths


def tensor_bytes(path: Path, card: ModelCard) -> tuple[int, int]:
    """Bytes of one image to Triton and back."""
    plane = tifffile.imread(path)[None]
    tiles = cut_plane(*plane.shape[1:], card.tile_px, card.halo_px, card.divisor_px)
    pixels = [read_tile(plane, tile) for tile in tiles]
    return sum(p.nbytes + 8 for p in pixels), sum(2 * p[0].size for p in pixels)


def run(images: int, rounds: int, console: Console) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="kiosk-bench-") as name:
        folder = Path(name)
        paths = make_images(folder, images)
        with started(folder / "home") as kiosk:
            card = asyncio.run(_card(kiosk))
            weights = (
                CHECKOUT / "model_repository" / card.name / card.default_version / "model.onnx"
            )
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = os.cpu_count() or 1
            bare = Bare(onnxruntime.InferenceSession(weights, options), card)
            bare.count(paths[0])
            asyncio.run(through_kiosk(kiosk.grpc_address, paths[:2]))  # warm both
            times: dict[str, list[float]] = {"bare": [], "kiosk": [], "alone": []}
            moved = 0
            for number in range(rounds):
                began = time.perf_counter()
                expected = [bare.count(path) for path in paths]
                times["bare"].append((time.perf_counter() - began) / images)
                began = time.perf_counter()
                found, moved = asyncio.run(through_kiosk(kiosk.grpc_address, paths))
                times["kiosk"].append((time.perf_counter() - began) / images)
                if not np.allclose(found, expected, rtol=LARGEST_COUNT_DIFFERENCE):
                    raise SystemExit(f"the counts differ: {expected} and {found}")
                began = time.perf_counter()
                asyncio.run(through_kiosk(kiosk.grpc_address, paths[number : number + 1]))
                times["alone"].append(time.perf_counter() - began)
                console.print(
                    f"round {number + 1}: bare {times['bare'][-1]:.3f} s/image, kiosk"
                    f" {times['kiosk'][-1]:.3f} s/image, one image alone {times['alone'][-1]:.3f}"
                    f" s; {sum(expected)} and {sum(found)} instances"
                )
        to_triton, from_triton = tensor_bytes(paths[0], card)
        ratios = [k / b for k, b in zip(times["kiosk"], times["bare"], strict=True)]
        return {
            "images": images,
            "rounds": rounds,
            "nuclei_per_image": int(np.mean(expected)),
            "bare_s_per_image": statistics.median(times["bare"]),
            "kiosk_s_per_image": statistics.median(times["kiosk"]),
            "kiosk_s_for_one_image_alone": statistics.median(times["alone"]),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
            "upload_bytes_per_image": paths[0].stat().st_size,
            "to_triton_bytes_per_image": to_triton,
            "from_triton_bytes_per_image": from_triton,
            "results_bytes_per_image": moved // images,
        }


async def _card(kiosk: RunningKiosk) -> ModelCard:
    inference = TritonInference(kiosk.triton_address, 60.0, kiosk.triton_secret)
    cards = await inference.models()
    await inference.close()
    return next(card for card in cards if card.name == "nuclei")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    console = Console()
    figures = run(arguments.images, arguments.rounds, console)
    table = Table("figure", "value")
    for key, value in figures.items():
        table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()

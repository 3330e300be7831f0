"""A stack of 5,000 cells joined to volumes and measured: seconds of one core and peak memory.

.venv/bin/python -m tests.benchmarks.volumes          64 planes of 1024 x 1024 px, 2 channels
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np

from kiosk.imaging.overlap_counts import count_overlaps, label_areas
from kiosk.imaging.volume_measurements import VolumeMeasurements
from kiosk.imaging.volume_numbers import Volumes
from kiosk.imaging.volumes import VolumeLinker


def made_up(planes: int, side_px: int, cells: int) -> np.ndarray:
    """(z, y, x) uint32: ellipsoids in a grid that leaves little between them."""
    random = np.random.default_rng(1)
    across = round((cells / planes * side_px / 1.6) ** (1 / 3) * 1.6)
    along = -(-cells // across**2)
    pitch = np.array([planes / along, side_px / across, side_px / across])
    volume = np.zeros((planes, side_px, side_px), np.uint32)
    for number, place in enumerate(np.ndindex(along, across, across), start=1):
        if number > cells:
            break
        centre = (np.array(place) + random.uniform(0.45, 0.55, 3)) * pitch
        radius = pitch * random.uniform(0.4, 0.55, 3)
        low = np.maximum(0, centre - radius).astype(int)
        high = np.minimum(volume.shape, np.ceil(centre + radius)).astype(int)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        parts = zip(np.ogrid[window], centre, radius, strict=True)
        inside = sum(((grid - c) / r) ** 2 for grid, c, r in parts) < 1
        volume[window][inside & (volume[window] == 0)] = number
    return volume


def link(planes: np.ndarray) -> Volumes:
    linker = VolumeLinker(pixel_size_um=(0.2, 0.2), z_step_um=0.5)
    for z, plane in enumerate(planes):
        linker.add(
            label_areas(plane, int(plane.max()) + 1),
            count_overlaps(planes[z - 1], plane) if z else None,
            count_overlaps(planes[z - 2], plane) if z > 1 else None,
        )
    return linker.result()


def measure(planes: np.ndarray, pixels: np.ndarray, volumes: Volumes) -> dict[str, np.ndarray]:
    table = VolumeMeasurements(volumes.last_plane, planes.shape, ["one", "two"], (0.2, 0.2), 0.5)
    for z, plane in enumerate(planes):
        table.add(z, volumes.tables[z][plane], pixels[:, z])
    return table.columns()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--planes", type=int, default=64)
    parser.add_argument("--side-px", type=int, default=1024)
    parser.add_argument("--cells", type=int, default=5000)
    arguments = parser.parse_args()
    planes = made_up(arguments.planes, arguments.side_px, arguments.cells)
    random = np.random.default_rng(2)
    pixels = random.integers(0, 4096, (2, *planes.shape), dtype=np.uint16)
    print(f"{planes.max()} cells in {planes.shape}, {float((planes > 0).mean()):.0%} covered")
    for traced in (False, True):
        if traced:
            tracemalloc.start()
        began = time.process_time()
        volumes = link(planes)
        linked, peak_link = time.process_time(), tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        columns = measure(planes, pixels, volumes)
        ended, peak = time.process_time(), tracemalloc.get_traced_memory()[1]
        if traced:
            print(f"peak memory: {peak_link / 1e6:.0f} MB to link, {peak / 1e6:.0f} MB to measure")
        else:
            print(
                f"{volumes.count} volumes linked in {linked - began:.2f} s, {len(columns)} columns"
                f" measured in {ended - linked:.2f} s"
            )


if __name__ == "__main__":
    main()

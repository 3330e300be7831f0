"""Made-up stacks joined to volumes and measured: F1, seconds of one core, peak memory.

make bench-volumes                 5,000 cells in 64 planes of 1024 x 1024 px, 2 channels
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np

from kiosk.imaging.matching import count_matches, intersection_over_union
from kiosk.imaging.overlap_counts import count_overlaps, label_areas
from kiosk.imaging.volume_measurements import VolumeMeasurements
from kiosk.imaging.volume_numbers import Volumes
from kiosk.imaging.volumes import VolumeLinker
from tests.unit.volume_makers import damaged, ellipsoids

FAULTS = {
    "none": {},
    "shaken": {"shaken_px": 1},
    "5 % missing": {"missing": 0.05, "shaken_px": 1},
    "5 % halved": {"split": 0.05, "shaken_px": 1},
    "3 % merged": {"merged": 0.03, "shaken_px": 1},
    "all": {"missing": 0.03, "split": 0.03, "merged": 0.02, "shaken_px": 1},
}
SIZE_UM = 0.5


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


def print_agreement(seeds: tuple[int, ...] = (2, 3)) -> None:
    """F1 at IoU .5 for cells about 18 px wide, planes at several distances, several faults."""
    print("stacked  z step   " + "  ".join(FAULTS))
    for stacked in (0.0, 0.5):
        for z_step_px in (1, 2, 4, 6):
            row = []
            for faults in FAULTS.values():
                counts = []
                for seed in seeds:
                    shape = (max(6, 64 // z_step_px), 160, 160)
                    truth = ellipsoids(shape, 150, seed, z_step_px=z_step_px, stacked=stacked)
                    planes = damaged(truth, seed, **faults)  # type: ignore[arg-type]
                    tables = link(planes, SIZE_UM * z_step_px).tables
                    found = np.stack([t[p] for t, p in zip(tables, planes, strict=True)])
                    flat = (volume.reshape(len(volume), -1) for volume in (truth, found))
                    counts.append(count_matches(intersection_over_union(*flat), 0.5))
                row.append(sum(counts[1:], counts[0]).f1)
            figures = "  ".join(
                f"{f1:{len(name)}.3f}" for name, f1 in zip(FAULTS, row, strict=True)
            )
            print(f"{stacked:7.0%}  {z_step_px:3d} px   {figures}")


def link(planes: np.ndarray, z_step_um: float) -> Volumes:
    linker = VolumeLinker(pixel_size_um=(SIZE_UM, SIZE_UM), z_step_um=z_step_um)
    for z, plane in enumerate(planes):
        linker.add(
            label_areas(plane, int(plane.max()) + 1),
            count_overlaps(planes[z - 1], plane) if z else None,
            count_overlaps(planes[z - 2], plane) if z > 1 else None,
        )
    return linker.result()


def measure(planes: np.ndarray, pixels: np.ndarray, volumes: Volumes) -> dict[str, np.ndarray]:
    table = VolumeMeasurements(
        volumes.last_plane, planes.shape, ["one", "two"], (SIZE_UM, SIZE_UM), SIZE_UM
    )
    for z, plane in enumerate(planes):
        table.add(z, volumes.tables[z][plane], pixels[:, z])
    return table.columns()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--planes", type=int, default=64)
    parser.add_argument("--side-px", type=int, default=1024)
    parser.add_argument("--cells", type=int, default=5000)
    arguments = parser.parse_args()
    print_agreement()
    planes = made_up(arguments.planes, arguments.side_px, arguments.cells)
    random = np.random.default_rng(2)
    pixels = random.integers(0, 4096, (2, *planes.shape), dtype=np.uint16)
    print(f"{planes.max()} cells in {planes.shape}, {float((planes > 0).mean()):.0%} covered")
    for traced in (False, True):
        if traced:
            tracemalloc.start()
        began = time.process_time()
        volumes = link(planes, SIZE_UM)
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

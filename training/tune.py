"""Choose the post-processing parameters on the validation planes, never on test images.

`python -m training.tune --data DIR [DIR ...] --state RUN/state.pt` prints the best settings by F1
at IoU 0.5, pooled over all validation instances, and the figures per modality of the best one.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from kiosk.imaging.instances import InstanceParameters
from kiosk.imaging.matching import MatchCounts
from training.dataset import load_split
from training.evaluation import count_by_modality, predict_maps
from training.export import load_network
from training.train import best_device

FOREGROUND_THRESHOLDS = (0.4, 0.5)
SMOOTHING_PX = (0.7, 1.0, 1.5)
MERGE_HEIGHTS = (0.1, 0.15, 0.2, 0.25, 0.3)
PEAK_THRESHOLDS = (0.15, 0.3)
MIN_AREAS_PX = (12, 20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, nargs="+")
    parser.add_argument("--state", type=Path, required=True)
    arguments = parser.parse_args()
    device = best_device()
    _, planes = load_split(arguments.data, "train")
    network = load_network(arguments.state).to(device)
    maps = predict_maps(network, planes, device)
    found = []
    grid = (FOREGROUND_THRESHOLDS, SMOOTHING_PX, MERGE_HEIGHTS, PEAK_THRESHOLDS, MIN_AREAS_PX)
    for values in itertools.product(*grid):
        parameters = InstanceParameters(*values)
        counts = count_by_modality(planes, maps, parameters)
        total = sum(counts.values(), MatchCounts(0, 0, 0))
        found.append((total.f1, values, counts))
    found.sort(key=lambda item: -item[0])
    for f1, values, _ in found[:10]:
        print(f"{f1:.4f}", InstanceParameters(*values))
    for modality, counts in sorted(found[0][2].items()):
        print(f"  {modality}: F1 {counts.f1:.3f} AP {counts.average_precision:.3f}")


if __name__ == "__main__":
    main()

"""Choose the post-processing parameters on the validation planes, never on test images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from kiosk.heads import InstanceParameters
from training.dataset import LabelledPlane
from training.evaluation import pooled_counts

FOREGROUND_THRESHOLDS = (0.45, 0.5)
SMOOTHING_PX = (0.5, 0.7, 1.0)
MERGE_HEIGHTS = (0.25, 0.35, 0.45, 0.55)
PEAK_THRESHOLDS = (0.15, 0.3)
MIN_AREAS_PX = (12, 20)


def best_parameters(
    planes: Sequence[LabelledPlane], maps: Sequence[np.ndarray]
) -> InstanceParameters:
    """Those of the grid with the highest F1 at IoU 0.5, pooled over all instances."""
    grid = (FOREGROUND_THRESHOLDS, SMOOTHING_PX, MERGE_HEIGHTS, PEAK_THRESHOLDS, MIN_AREAS_PX)
    candidates = [InstanceParameters(*values) for values in itertools.product(*grid)]
    return max(candidates, key=lambda one: pooled_counts(planes, maps, one).f1)

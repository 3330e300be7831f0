"""The figures of an evaluation as plain values: for JSON and for CSV."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from kiosk.errors import InvalidRequest
from kiosk.evaluation.comparison import Evaluation, PlaneResult
from kiosk.imaging.matching import MatchCounts
from kiosk.imaging.scores import THRESHOLDS, Scores

DECIMALS = 4


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Everything: pooled figures at the top, `groups` by name, one row per plane in `planes`."""
    pooled = {"missing": evaluation.missing, **pooled_figures(evaluation.pooled)}
    if evaluation.group_by:
        pooled["group_by"] = evaluation.group_by
        pooled["groups"] = {n: pooled_figures(s) for n, s in evaluation.groups.items()}
    return {**pooled, "planes": [plane_row(result) for result in evaluation.planes]}


def pooled_figures(scores: Scores) -> dict[str, Any]:
    """Figures over planes; `ap` is pooled over instances, `mean_image_ap` over planes.

    `images` are planes: its name is older than stacks.
    """
    thresholds = [
        {"iou": iou, **_match_figures(counts), "mean_image_ap": _rounded(mean)}
        for iou, counts, mean in zip(THRESHOLDS, scores.counts, scores.mean_plane_ap, strict=True)
    ]
    errors = {"mean_absolute_count_error": _rounded(scores.mean_absolute_count_error)}
    return {"images": scores.planes, **_summary(scores), **errors, "thresholds": thresholds}


def plane_row(result: PlaneResult) -> dict[str, Any]:
    """One flat row: names, figures, then every figure per threshold as `f1_50`, `f1_55`, ..."""
    row: dict[str, Any] = {
        "name": result.pair.name,
        "plane": result.plane,
        "group": result.group,
        "prediction": result.pair.predicted.name if result.pair.predicted else "",
        **_summary(result.scores),
    }
    for iou, counts in zip(THRESHOLDS, result.scores.counts, strict=True):
        row |= {f"{key}_{iou * 100:.0f}": value for key, value in _match_figures(counts).items()}
    return row


def write_csv(path: Path, evaluation: Evaluation) -> None:
    """A table with one row per plane. Raises InvalidRequest when it cannot be written."""
    rows = [plane_row(result) for result in evaluation.planes]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror}.") from error


def _summary(scores: Scores) -> dict[str, Any]:
    relative = scores.relative_count_error
    return {
        "mean_ap": _rounded(scores.mean_ap),
        "mean_ap_50_95": _rounded(scores.mean_ap_50_95),
        "seg": _rounded(scores.seg.mean),
        "panoptic_quality": _rounded(scores.panoptic.quality),
        "segmentation_quality": _rounded(scores.panoptic.segmentation_quality),
        "recognition_quality": _rounded(scores.panoptic.recognition_quality),
        "truth_count": scores.truth_count,
        "predicted_count": scores.predicted_count,
        "count_error": scores.count_error,
        "relative_count_error": None if relative is None else _rounded(relative),
    }


def _match_figures(counts: MatchCounts) -> dict[str, Any]:
    return {
        "precision": _rounded(counts.precision),
        "recall": _rounded(counts.recall),
        "f1": _rounded(counts.f1),
        "ap": _rounded(counts.average_precision),
        "true_positives": counts.true_positives,
        "false_positives": counts.false_positives,
        "false_negatives": counts.false_negatives,
    }


def _rounded(value: float) -> float:
    return round(value, DECIMALS)

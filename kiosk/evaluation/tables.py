"""The figures of an evaluation for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from kiosk.evaluation.comparison import Evaluation
from kiosk.imaging.scores import THRESHOLDS, Scores


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Figures per IoU, those that have no threshold, and one row per group."""
    pooled = evaluation.pooled
    console.print(_threshold_table(pooled))
    console.print(
        f"{pooled.planes} planes, mean AP over IoU .5-.9: {pooled.mean_ap:.3f},"
        f" over .5-.95: {pooled.mean_ap_50_95:.3f}"
    )
    panoptic = pooled.panoptic
    console.print(
        f"SEG {pooled.seg.mean:.3f}, panoptic quality {panoptic.quality:.3f}"
        f" (segmentation {panoptic.segmentation_quality:.3f} x recognition"
        f" {panoptic.recognition_quality:.3f})"
    )
    console.print(
        f"{pooled.truth_count} true and {pooled.predicted_count} predicted instances: total error"
        f" {signed_percent(pooled.relative_count_error)}, mean absolute error"
        f" {pooled.mean_absolute_count_error:.1f} per plane",
        soft_wrap=True,
    )
    if evaluation.group_by:
        console.print(_group_table(evaluation))
    if missing := len(evaluation.missing):
        console.print(f"{missing} images had no prediction (counted as missed).")


def signed_percent(share: float | None) -> str:
    """A relative error for people; "-" where there is none."""
    return "-" if share is None else f"{share:+.1%}"


def _threshold_table(pooled: Scores) -> Table:
    table = Table("IoU", "precision", "recall", "F1", "AP", "AP (mean of images)", "TP", "FP", "FN")
    for iou, c, mean in zip(THRESHOLDS, pooled.counts, pooled.mean_plane_ap, strict=True):
        figures = (c.precision, c.recall, c.f1, c.average_precision, mean)
        counts = (c.true_positives, c.false_positives, c.false_negatives)
        table.add_row(f"{iou:.2f}", *(f"{v:.3f}" for v in figures), *map(str, counts))
    return table


def _group_table(evaluation: Evaluation) -> Table:
    headings = ("planes", "true", "error", "F1 .5", "AP .5-.95", "SEG", "PQ")
    # The names of groups are the one thing that may not be cut off.
    table = Table(Column(escape(evaluation.group_by), overflow="fold"), *headings)
    for name, scores in evaluation.groups.items():
        figures = (
            scores.counts[0].f1,
            scores.mean_ap_50_95,
            scores.seg.mean,
            scores.panoptic.quality,
        )
        error = signed_percent(scores.relative_count_error)
        numbers = (str(scores.planes), str(scores.truth_count), error)
        table.add_row(escape(name), *numbers, *(f"{v:.3f}" for v in figures))
    return table

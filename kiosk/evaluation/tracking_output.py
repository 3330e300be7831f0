"""The figures of tracking as JSON, as CSV, and for the terminal."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from kiosk.errors import InvalidRequest
from kiosk.evaluation.tracking import TOLERANCES_FRAMES, TrackEvaluation, TrackScores
from kiosk.imaging.matching import MatchCounts

DECIMALS = 4
MEASURES = ("seg", "det", "tra", "lnk")


def tracking_as_dict(evaluation: TrackEvaluation) -> dict[str, Any]:
    """Figures of all movies at the top, then one row per movie in `sequences`."""
    means = {name: _rounded(evaluation.mean(name)) for name in MEASURES}
    return {
        **means,
        **_division_figures(evaluation.divisions),
        "sequences": [
            {**_row(scores), **_division_figures(scores.divisions)} for scores in evaluation.scores
        ],
    }


def write_tracking_csv(path: Path, evaluation: TrackEvaluation) -> None:
    """A table with one row per movie. Raises InvalidRequest when it cannot be written."""
    rows = [{**_row(scores), **_headline(scores.divisions)} for scores in evaluation.scores]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InvalidRequest(f"'{path}' cannot be written: {error.strerror}.") from error


def print_tracking(evaluation: TrackEvaluation, console: Console) -> None:
    """A row per movie, then the divisions."""
    table = Table(Column("sequence", overflow="fold"), "frames", *(m.upper() for m in MEASURES))
    for scores in evaluation.scores:
        figures = (_shown(getattr(scores, name)) for name in MEASURES)
        table.add_row(escape(scores.sequence.name), str(scores.frames), *figures)
    if len(evaluation.scores) > 1:
        means = (_shown(evaluation.mean(name)) for name in MEASURES)
        table.add_row("mean", "", *means)
    console.print(table)
    heading = Column("divisions", overflow="fold")
    table = Table(heading, "precision", "recall", "F1", "TP", "FP", "FN")
    for tolerance, counts in zip(TOLERANCES_FRAMES, evaluation.divisions, strict=True):
        frames = "frame" if tolerance == 1 else "frames"
        name = f"within {tolerance} {frames}" if tolerance else "in the right frame"
        figures = (_shown(value) for value in _shares(counts).values())
        numbers = (counts.true_positives, counts.false_positives, counts.false_negatives)
        table.add_row(name, *figures, *map(str, numbers))
    console.print(table)


def _row(scores: TrackScores) -> dict[str, Any]:
    return {
        "name": scores.sequence.name,
        "prediction": str(scores.sequence.predicted),
        "truth": str(scores.sequence.truth),
        "frames": scores.frames,
        **{name: _rounded(getattr(scores, name)) for name in MEASURES},
        **asdict(scores.corrections),
    }


def _division_figures(divisions: tuple[MatchCounts, ...]) -> dict[str, Any]:
    """The figures in the right frame, then those of every tolerance in `divisions`."""
    rows = [
        {
            "tolerance_frames": tolerance,
            **{name: _rounded(value) for name, value in _shares(counts).items()},
            **asdict(counts),
        }
        for tolerance, counts in zip(TOLERANCES_FRAMES, divisions, strict=True)
    ]
    return {**_headline(divisions), "divisions": rows}


def _headline(divisions: tuple[MatchCounts, ...]) -> dict[str, Any]:
    exact = divisions[0]
    figures = {f"division_{name}": _rounded(value) for name, value in _shares(exact).items()}
    return {
        **figures,
        "true_divisions": exact.true_positives + exact.false_negatives,
        "predicted_divisions": exact.true_positives + exact.false_positives,
    }


def _shares(counts: MatchCounts) -> dict[str, float | None]:
    """Precision, recall and F1; None where there is no division at all."""
    shares = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    nothing = not (counts.true_positives + counts.false_positives + counts.false_negatives)
    return {name: None if nothing else value for name, value in shares.items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

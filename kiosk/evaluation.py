"""`kiosk evaluate`: label images against ground truth, pooled over images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest
from kiosk.imaging.matching import MatchCounts, count_matches, intersection_over_union

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
SUFFIXES = {".tif", ".tiff"}


@dataclass
class Scores:
    """Matches of one or many images at each IoU threshold."""

    images: int = 0
    counts: dict[float, MatchCounts] = field(
        default_factory=lambda: {t: MatchCounts(0, 0, 0) for t in THRESHOLDS}
    )
    average_precisions: dict[float, list[float]] = field(
        default_factory=lambda: {t: [] for t in THRESHOLDS}
    )
    missing: list[str] = field(default_factory=list)

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Count one plane."""
        overlaps = intersection_over_union(truth, predicted)
        self.images += 1
        for threshold in THRESHOLDS:
            found = count_matches(overlaps, threshold)
            self.counts[threshold] += found
            self.average_precisions[threshold].append(found.average_precision)

    def as_dict(self) -> dict[str, Any]:
        """Figures per threshold; `ap` is pooled over instances, `mean_image_ap` over images."""
        rows = [
            {
                "iou": threshold,
                "precision": round(counts.precision, 4),
                "recall": round(counts.recall, 4),
                "f1": round(counts.f1, 4),
                "ap": round(counts.average_precision, 4),
                "mean_image_ap": round(float(np.mean(self.average_precisions[threshold])), 4),
                "true_positives": counts.true_positives,
                "false_positives": counts.false_positives,
                "false_negatives": counts.false_negatives,
            }
            for threshold, counts in self.counts.items()
        ]
        mean_ap = float(np.mean([counts.average_precision for counts in self.counts.values()]))
        return {
            "images": self.images,
            "missing": self.missing,
            "mean_ap": round(mean_ap, 4),
            "thresholds": rows,
        }


def evaluate(predicted: Path, truth: Path) -> Scores:
    """Compare two label files, or two folders of them.

    In folders, `<stem>_labels.tif` (or `<stem>.tif`) belongs to `<stem>.tif` of the truth
    (which may end in _labels, _mask or _gt as well). Instances of truth images without a
    prediction count as missed.

    Raises:
        InvalidRequest: nothing to compare, or shapes that differ.
    """
    scores = Scores()
    for truth_file, predicted_file in _pairs(predicted, truth):
        expected = _read(truth_file)
        if predicted_file is None:
            scores.missing.append(truth_file.name)
            found = np.zeros_like(expected)
        else:
            found = _read(predicted_file)
        if expected.shape != found.shape:
            raise InvalidRequest(
                f"The shapes differ: {truth_file.name} has {expected.shape}, the prediction has"
                f" {found.shape}. They must show the same image."
            )
        for truth_plane, found_plane in zip(_planes(expected), _planes(found), strict=True):
            scores.add(truth_plane, found_plane)
    return scores


def _pairs(predicted: Path, truth: Path) -> Iterator[tuple[Path, Path | None]]:
    for path in (predicted, truth):
        if not path.exists():
            raise InvalidRequest(f"'{path}' does not exist.")
    if truth.is_file() and predicted.is_file():
        yield truth, predicted
        return
    if truth.is_file() or predicted.is_file():
        raise InvalidRequest("Give two files or two folders.")
    found = {_stem(path): path for path in _label_files(predicted)}
    expected = _label_files(truth)
    if not expected or not found:
        raise InvalidRequest(f"There are no TIFF files in '{truth if found else predicted}'.")
    matched = [(path, found.get(_stem(path))) for path in expected]
    if all(path is None for _, path in matched):
        raise InvalidRequest(
            f"No name in '{predicted}' fits one in '{truth}': NAME_labels.tif belongs to NAME.tif."
        )
    yield from matched


def _label_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _stem(path: Path) -> str:
    return re.sub(r"_(labels?|masks?|gt)$", "", path.stem)


def _read(path: Path) -> np.ndarray:
    try:
        return np.asarray(tifffile.imread(path))
    except Exception as error:
        raise InvalidRequest(f"'{path}' cannot be read as a TIFF label image: {error}.") from error


def _planes(labels: np.ndarray) -> Iterator[np.ndarray]:
    yield from labels.reshape(-1, *labels.shape[-2:])

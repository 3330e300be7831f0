"""Our post-processing beside that of others, on the same maps, in one run.

    make compare                     made-up maps
    make compare DATA=folder         and real maps: the model `nuclei` on FOLDER/test/images

One thread each. Times are the least of several runs; what counts is their ratio within one table,
since a busy machine slows all of them. F1 may be compared between routes of the same maps only.
"same" is the share of the original's instances that ours match with an IoU above 0.5; of those the
mean and the least IoU, and the share of 0.98 or more.
"""

from __future__ import annotations

import argparse
import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from kiosk.heads import (
    BoundaryParameters,
    ClassParameters,
    FlowParameters,
    InstanceParameters,
    StarParameters,
)
from kiosk.imaging.matching import MatchCounts, count_matches, intersection_over_union
from kiosk.imaging.postprocessing import label_maps
from kiosk.pipelines.parameters import instance_parameters
from kiosk.request import SegmentationRequest
from tests.comparison import libraries
from tests.comparison.planes import CELLPOSE_SCALE, MADE_UP, Plane, made_up, real_planes

ROOT = Path(__file__).resolve().parents[2]
MEGAPIXEL = 1 << 20
IOUS = (0.5, 0.7, 0.9)
ALIKE = 0.98
RUNS, LONGEST_S = 7, 4.0
DENSITIES = {"dense": 1000, "sparse": 300}

Route = Callable[[dict[str, np.ndarray], Any], np.ndarray]


@dataclass(frozen=True)
class Contest:
    """Routes over the same maps with the same parameters; the first of `others` is the original.

    `proofs` are ours with the differences to the original taken away.
    """

    head: str
    parameters: Any
    others: dict[str, Route]
    name: str = ""
    proofs: dict[str, Route] = field(default_factory=dict)


@dataclass
class Row:
    """Figures of one route, pooled over the planes of a contest."""

    maps: str
    route: str
    ms_per_megapixel: float
    f1: list[float]
    same: list[float] = field(default_factory=list)


DISTANCE = InstanceParameters(0.5, 1.5, 0.15, 0.15, 20)
DISTANCE_ROUTES: dict[str, Route] = {
    "skimage h_maxima + watershed": libraries.h_maxima_watershed,
    "skimage peak_local_max + watershed": libraries.peaks_watershed,
    "deepcell-toolbox deep_watershed": libraries.deepcell,
}
# Logits, so the threshold is Cellpose's 0; all holes are filled, as there.
FLOWS = FlowParameters(foreground_threshold=0, flow_scale=CELLPOSE_SCALE, fill_holes_px=1e9)
CONTESTS = [
    Contest("distance", DISTANCE, DISTANCE_ROUTES),
    Contest(
        "boundary", BoundaryParameters(), {"skimage cores + watershed": libraries.cores_watershed}
    ),
    # The border class makes instances of its own here: low F1 against the truth, same for both.
    Contest("classes", ClassParameters(), {"skimage label of argmax": libraries.connected_classes}),
    Contest("stars", StarParameters(), {"stardist": libraries.stardist}, "stars, grid 1"),
    Contest("stars", StarParameters(grid_px=2), {"stardist": libraries.stardist}, "stars, grid 2"),
    Contest(
        "flows",
        FLOWS,
        {"cellpose": libraries.cellpose},
        "flows, no check",
        {"kiosk, flows read where Cellpose does": libraries.kiosk_with_cellposes_places},
    ),
    Contest(
        "flows",
        FlowParameters(**{**asdict(FLOWS), "flow_error_threshold": 0.4}),
        {"cellpose": libraries.cellpose},
        "flows, check 0.4",
    ),
]


def compete(contest: Contest, planes: list[Plane], name: str, console: Console) -> list[Row]:
    """All routes over all planes; ours first."""

    def ours(maps: dict[str, np.ndarray], parameters: Any) -> np.ndarray:
        return label_maps(contest.head, maps, parameters)

    rows, answers = [], {}
    for route, function in {"kiosk": ours, **contest.proofs, **contest.others}.items():
        seconds, labels = 0.0, []
        try:
            for plane in planes:
                least, found = timed(function, plane.maps, contest.parameters)
                seconds += least
                labels.append(found)
        except ImportError as error:
            console.print(f"{route} is left out: {error}")
            continue
        answers[route] = labels
        size = sum(plane.truth.size for plane in planes) / MEGAPIXEL
        f1 = [pooled(planes, labels, iou).f1 for iou in IOUS]
        rows.append(Row(f"{name}: {contest.name or contest.head}", route, seconds / size * 1e3, f1))
    original = answers.get(next(iter(contest.others)))
    for row in rows:
        if original is not None and row.route not in contest.others:
            row.same = agreement(original, answers[row.route])
    return rows


def timed(
    function: Route, maps: dict[str, np.ndarray], parameters: Any
) -> tuple[float, np.ndarray]:
    """(least seconds, label image) of a few runs; slow ones run once after a first."""
    least, spent, labels = np.inf, 0.0, None
    for _ in range(RUNS):
        began = time.perf_counter()
        labels = function(maps, parameters)
        seconds = time.perf_counter() - began
        least, spent = min(least, seconds), spent + seconds
        if spent > LONGEST_S:
            break
    assert labels is not None
    return least, labels


def pooled(planes: list[Plane], labels: list[np.ndarray], iou: float) -> MatchCounts:
    counts = MatchCounts(0, 0, 0)
    for plane, found in zip(planes, labels, strict=True):
        counts += count_matches(intersection_over_union(plane.truth, found), iou)
    return counts


def agreement(originals: list[np.ndarray], ours: list[np.ndarray]) -> list[float]:
    """Share of the original's instances that are matched; their mean, least and 0.98 share."""
    overlaps = [intersection_over_union(a, b) for a, b in zip(originals, ours, strict=True)]
    iou = np.concatenate([o.iou[o.iou > 0.5] for o in overlaps])
    total = sum(o.truth_count for o in overlaps)
    high = float((iou >= ALIKE).mean())
    return [iou.size / max(1, total), float(iou.mean()), float(iou.min()), high]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with test/images and test/labels")
    parser.add_argument("--model", type=Path, default=ROOT / "model_repository" / "nuclei")
    parser.add_argument("--images", type=int, default=24, help="most real images")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(width=150)
    rows: list[Row] = []
    for density, nuclei in DENSITIES.items():
        truth = made_up(nuclei)
        for contest in CONTESTS:
            rows += compete(contest, [MADE_UP[contest.head](truth)], density, console)
    if arguments.data and (arguments.data / "test" / "images").is_dir():
        card, planes = real_planes(arguments.model, arguments.data, arguments.images)
        parameters = instance_parameters(card, SegmentationRequest())
        contest = Contest("distance", parameters, DISTANCE_ROUTES)
        rows += compete(contest, planes, f"real, {card.name}:{card.default_version}", console)
    else:
        console.print("Without DATA=folder there are no real maps in the table.")
    console.print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))


def table(rows: list[Row]) -> Table:
    shown = Table(
        "maps",
        "route",
        "ms/MP",
        *(f"F1 .{round(iou * 10)}" for iou in IOUS),
        "same, mean, least IoU, >= .98",
    )
    for row in rows:
        same = ", ".join(f"{value:.3f}" for value in row.same)
        scores = [f"{value:.3f}" for value in row.f1]
        shown.add_row(row.maps, row.route, f"{row.ms_per_megapixel:.1f}", *scores, same)
    return shown


if __name__ == "__main__":
    main()

"""A prediction against its ground truth: every plane, pooled, per group, the worst planes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kiosk.evaluation.groups import Groups
from kiosk.evaluation.pairs import Pair, find_pairs, read_planes
from kiosk.imaging.scores import Scores, score_plane

Track = Callable[[Sequence[Pair]], Iterable[Pair]]


@dataclass(frozen=True)
class PlaneResult:
    """The figures of one plane; `plane` counts the planes of its file from 0."""

    pair: Pair
    plane: int
    group: str
    scores: Scores

    @property
    def f1(self) -> float:
        """F1 at IoU 0.5."""
        return self.scores.counts[0].f1


@dataclass(frozen=True)
class Evaluation:
    """All planes, in the order of the files; `group_by` is "" where there are no groups."""

    planes: Sequence[PlaneResult]
    group_by: str = ""

    @property
    def missing(self) -> list[str]:
        """Truth files without a prediction."""
        return [
            result.pair.truth.name
            for result in self.planes
            if result.pair.predicted is None and result.plane == 0
        ]

    @cached_property
    def pooled(self) -> Scores:
        return _sum(self.planes)

    @cached_property
    def groups(self) -> dict[str, Scores]:
        """Pooled figures of each group, by name; empty without groups."""
        names = sorted({result.group for result in self.planes}) if self.group_by else []
        return {n: _sum(result for result in self.planes if result.group == n) for n in names}

    def worst(self, count: int) -> list[PlaneResult]:
        """The planes of lowest F1 at IoU 0.5; among equals those with more mistakes first."""

        def badness(result: PlaneResult) -> tuple[float, int]:
            counts = result.scores.counts[0]
            return result.f1, -(counts.false_positives + counts.false_negatives)

        return sorted(self.planes, key=badness)[:count]


def evaluate(
    predicted: Path, truth: Path, *, groups: Groups | None = None, track: Track = iter
) -> Evaluation:
    """Compare two label files, or two folders of them; see `find_pairs` for the names.

    Planes of stacks are compared one by one. Instances of truth images without a prediction
    count as missed.

    Args:
        predicted, truth: files or folders.
        groups: the group of each image.
        track: handed the pairs, gives them back one after the other (a progress bar).

    Raises:
        InvalidRequest: nothing to compare, shapes that differ, images without a group.
    """
    pairs = find_pairs(predicted, truth)
    if groups is not None:
        groups.check(pairs)
    planes = []
    for pair in track(pairs):
        group = groups.of(pair) if groups else ""
        for number, (expected, found) in enumerate(read_planes(pair)):
            planes.append(PlaneResult(pair, number, group, score_plane(expected, found)))
    return Evaluation(planes, groups.column if groups else "")


def _sum(planes: Iterable[PlaneResult]) -> Scores:
    return sum((result.scores for result in planes), Scores())

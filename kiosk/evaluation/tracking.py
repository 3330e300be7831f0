"""A tracked movie against its ground truth: SEG, DET, TRA, LNK and divisions.

The measures are those of py-ctcmetrics, the Cell Tracking Challenge's own package. Instances are
matched here, as it does it but faster and for labels of any size: a true instance belongs to the
predicted one that covers more than half of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.evaluation.ctc_folders import (
    CtcSequence,
    TrackFolder,
    read_mask,
    read_predicted,
    read_truth,
)
from kiosk.evaluation.ctc_rules import broken_rule
from kiosk.imaging.matching import (
    MatchCounts,
    SegMeasure,
    intersection_over_union,
    seg_measure,
)

# A division counts as found when it is this many frames early or late, at most.
TOLERANCES_FRAMES = (0, 1, 2, 3)
Track = Callable[[Sequence[Path]], Iterable[Path]]


@dataclass(frozen=True)
class Corrections:
    """What would have to be done to the prediction to get the truth (Matula et al. 2015)."""

    split_vertices: int = 0
    missed_vertices: int = 0
    invented_vertices: int = 0
    invented_edges: int = 0
    missed_edges: int = 0
    wrong_edges: int = 0


@dataclass(frozen=True, kw_only=True)
class TrackScores:
    """The figures of one movie.

    Attributes:
        seg: None where the truth has no SEG masks.
        lnk: None where the truth has no links.
        divisions: counts for each of TOLERANCES_FRAMES.
    """

    sequence: CtcSequence
    frames: int
    seg: float | None
    det: float
    tra: float
    lnk: float | None
    divisions: tuple[MatchCounts, ...]
    corrections: Corrections


@dataclass(frozen=True)
class TrackEvaluation:
    """All movies, each with the same weight; divisions are added up."""

    scores: Sequence[TrackScores]

    def mean(self, measure: str) -> float | None:
        """Mean of `seg`, `det`, `tra` or `lnk` over the movies that have it."""
        values = [getattr(one, measure) for one in self.scores]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    @property
    def divisions(self) -> tuple[MatchCounts, ...]:
        """Counts of all movies, for each of TOLERANCES_FRAMES."""
        sums = [MatchCounts(0, 0, 0)] * len(TOLERANCES_FRAMES)
        for one in self.scores:
            sums = [a + b for a, b in zip(sums, one.divisions, strict=True)]
        return tuple(sums)


@dataclass
class _Matches:
    """Labels and matches of every frame, as py-ctcmetrics takes them."""

    labels_ref: list[list[int]] = field(default_factory=list)
    labels_comp: list[list[int]] = field(default_factory=list)
    mapped_ref: list[list[int]] = field(default_factory=list)
    mapped_comp: list[list[int]] = field(default_factory=list)


def evaluate_tracking(sequences: Sequence[CtcSequence], *, track: Track = iter) -> TrackEvaluation:
    """Score every sequence.

    Args:
        track: handed the masks of a sequence, gives them back one after the other (a progress
            bar).

    Raises:
        InvalidRequest: a file is missing or broken, shapes differ, or a prediction is not valid.
    """
    return TrackEvaluation([_score(sequence, track) for sequence in sequences])


def _score(sequence: CtcSequence, track: Track) -> TrackScores:
    predicted, truth = read_predicted(sequence.predicted), read_truth(sequence.truth)
    if len(predicted.masks) != len(truth.masks):
        raise InvalidRequest(
            f"'{predicted.folder}' has {len(predicted.masks)} frames, '{truth.folder}' has"
            f" {len(truth.masks)}; they must show the same movie."
        )
    matches = _matches(predicted, truth, track)
    # What the challenge does too: only the prediction has to have a mask in every frame.
    _check_valid(truth, matches.labels_ref, gaps_allowed=True)
    _check_valid(predicted, matches.labels_comp)
    counts = _count_corrections(predicted.tracks, truth.tracks, matches)
    from ctc_metrics.metrics import det, lnk, raw_division_metrics, tra

    divisions = [
        MatchCounts(*map(int, raw_division_metrics(
            predicted.tracks, truth.tracks, matches.mapped_ref, matches.mapped_comp, tolerance
        )))
        for tolerance in TOLERANCES_FRAMES
    ]  # fmt: skip
    return TrackScores(
        sequence=sequence,
        frames=len(truth.masks),
        seg=_seg(sequence, predicted),
        det=det(**counts),
        tra=tra(**counts)[0],
        lnk=lnk(**counts) if counts["num_edges"] else None,
        divisions=tuple(divisions),
        corrections=Corrections(*(counts[key] for key in ("NS", "FN", "FP", "ED", "EA", "EC"))),
    )


def _matches(predicted: TrackFolder, truth: TrackFolder, track: Track) -> _Matches:
    found = _Matches()
    for path, file in zip(track(truth.masks), predicted.masks, strict=True):
        expected, labels = _pair(path, file)
        ref, comp = _labels(expected), _labels(labels)
        overlaps = intersection_over_union(expected, labels)
        covered = overlaps.truth_covered > 0.5
        found.labels_ref.append(ref.tolist())
        found.labels_comp.append(comp.tolist())
        found.mapped_ref.append(ref[overlaps.truth[covered]].tolist())
        found.mapped_comp.append(comp[overlaps.predicted[covered]].tolist())
    if len(truth.masks) == 1:
        # py-ctcmetrics needs two frames; an empty one changes nothing.
        for lists in (found.labels_ref, found.labels_comp, found.mapped_ref, found.mapped_comp):
            lists.append([])
    return found


def _pair(truth: Path, predicted: Path, plane: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    expected, labels = read_mask(truth), read_mask(predicted, plane)
    if expected.shape != labels.shape:
        raise InvalidRequest(
            f"The shapes differ: '{truth}' has {expected.shape}, '{predicted}' has"
            f" {labels.shape}. They must show the same movie."
        )
    return expected, labels


def _labels(mask: np.ndarray) -> np.ndarray:
    labels = np.unique(mask).astype(np.int64)
    return labels[labels != 0]


def _count_corrections(
    predicted: np.ndarray, truth: np.ndarray, matches: _Matches
) -> dict[str, int]:
    """Operations on vertices and edges, as py-ctcmetrics counts and calls them."""
    if not len(predicted):
        # Nothing to correct but everything to add.
        vertices = sum(map(len, matches.labels_ref))
        pairs = zip(matches.labels_ref, matches.labels_ref[1:], strict=False)
        edges = sum(len(set(a) & set(b)) for a, b in pairs) + int(np.sum(truth[:, 3] > 0))
        nothing = dict.fromkeys(("NS", "FP", "ED", "EC"), 0)
        return {**nothing, "FN": vertices, "EA": edges, "num_vertices": vertices,
                "num_edges": edges}  # fmt: skip
    from ctc_metrics.utils.representations import count_acyclic_graph_correction_operations

    counts = count_acyclic_graph_correction_operations(
        truth, predicted, matches.labels_ref, matches.labels_comp, matches.mapped_ref,
        matches.mapped_comp,
    )  # fmt: skip
    return {key: int(value) for key, value in counts.items()}


def _seg(sequence: CtcSequence, predicted: TrackFolder) -> float | None:
    masks = sequence.seg_masks
    total = SegMeasure(0.0, 0)
    for frame, plane, path in masks:
        if frame >= len(predicted.masks):
            raise InvalidRequest(f"'{path}' is of a frame that '{predicted.folder}' has not.")
        total += seg_measure(intersection_over_union(*_pair(path, predicted.masks[frame], plane)))
    return total.mean if masks else None


def _check_valid(
    folder: TrackFolder, labels: list[list[int]], *, gaps_allowed: bool = False
) -> None:
    """Raises InvalidRequest for tracks and masks that do not fit each other."""
    labels = labels[: len(folder.masks)]
    if problem := broken_rule(folder.tracks, labels, gaps_allowed=gaps_allowed):
        raise InvalidRequest(
            f"'{folder.folder}' does not follow the rules of the Cell Tracking Challenge:"
            f" {problem}. Correct it until ctc_validate finds nothing.",
            reason="INVALID_TRACKS",
        )

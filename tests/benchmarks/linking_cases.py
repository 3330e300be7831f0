"""Sequences with truth, made harder, and how well links agree with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import tifffile

from kiosk.imaging.links import Links

# Source frame, source track, target frame, target track.
Link = tuple[int, int, int, int]
MISSED, INVENTED, WRONG_KIND = 1.5, 1.0, 1.0
"""Weights of AOGM-A: Matula et al., PLOS ONE 2015, doi:10.1371/journal.pone.0144959."""


@dataclass(frozen=True)
class Case:
    """What is done to a sequence.

    Attributes:
        step: only every so many-th frame.
        drop: share of the instances that are left out.
        drift_px: standard deviation of a random walk of the whole frame.
    """

    name: str
    step: int = 1
    drop: float = 0.0
    drift_px: float = 0.0
    seed: int = 7


CASES = (
    Case("true labels"),
    Case("step 3, drop .03", step=3, drop=0.03),
    Case("step 2", step=2),
    Case("step 2, drift 6", step=2, drift_px=6),
)


@dataclass(frozen=True)
class Sequence:
    """Attributes:
    labels: (y, x) uint32 for each frame, with scrambled labels; images: as many.
    tracks: (label,) for each frame, the true track of each label, 0 for label 0.
    frames_of: track -> frames in which it truly is; parent_of: track -> its mother or 0.
    """

    labels: list[np.ndarray]
    images: list[np.ndarray]
    tracks: list[np.ndarray]
    frames_of: dict[int, list[int]]
    parent_of: dict[int, int]


def read_case(folder: Path, case: Case) -> Sequence:
    """A sequence in the layout of the Cell Tracking Challenge, with what `case` does to it.

    Args:
        folder: of the images, such as Fluo-SemiSynth/01; FOLDER_GT/TRA has the truth.
    """
    truth = folder.with_name(folder.name + "_GT") / "TRA"
    masks = sorted(truth.glob("man_track*.tif"))[:: case.step]
    images = sorted(folder.glob("t*.tif"))[:: case.step]
    random = np.random.default_rng(case.seed)
    found = Sequence([], [], [], {}, {})
    shift = np.zeros(2)
    for frame, (mask, image) in enumerate(zip(masks, images, strict=True)):
        labels, pixels = tifffile.imread(mask), tifffile.imread(image)
        if case.drift_px:
            shift = shift + random.normal(0, case.drift_px, 2)
            labels = _shifted(labels, shift, 0)
            pixels = _shifted(pixels, shift, int(np.median(pixels)))
        tracks = np.unique(labels[labels > 0])
        for track in tracks:
            found.frames_of.setdefault(int(track), []).append(frame)
        kept = random.permutation(tracks[random.random(len(tracks)) >= case.drop])
        table = np.zeros(int(labels.max()) + 1, np.uint32)
        table[kept] = np.arange(1, len(kept) + 1)
        found.labels.append(table[labels])
        found.images.append(pixels)
        found.tracks.append(np.concatenate([[0], kept]).astype(np.int64))
    rows = [line.split() for line in (truth / "man_track.txt").read_text().splitlines() if line]
    parents = {int(row[0]): int(row[3]) for row in rows}
    for track, frames in found.frames_of.items():
        parent = parents.get(track, 0)
        while parent and parent not in found.frames_of:
            parent = parents.get(parent, 0)
        before = parent and found.frames_of[parent][-1] < frames[0]
        found.parent_of[track] = parent if before else 0
    return found


def _shifted(plane: np.ndarray, shift: np.ndarray, fill: int) -> np.ndarray:
    y, x = np.round(shift).astype(int)
    height, width = plane.shape
    out = np.full_like(plane, fill)
    out[max(0, y) : height + min(0, y), max(0, x) : width + min(0, x)] = plane[
        max(0, -y) : height + min(0, -y), max(0, -x) : width + min(0, -x)
    ]
    return out


@dataclass(frozen=True)
class Agreement:
    """Attributes:
    lnk: 1 - AOGM-A / AOGM-A of no links at all; ceiling: that of the best possible links.
    divisions: true ones that were found, ones that were made up, true ones that were missed.
    link_f1: against the best possible links, those over gaps included.
    """

    lnk: float
    ceiling: float
    divisions: tuple[int, int, int]
    link_f1: float


def agreement(sequence: Sequence, links: Links) -> Agreement:
    """Compare links with the truth.

    A link over a gap that is right is neither an edge of the truth nor an error, as in the
    measure of the challenge, where it stands between two tracks.
    """
    tracks = sequence.tracks
    found = {
        (int(a), int(tracks[a][i]), int(b), int(tracks[b][j]))
        for a, i, b, j in zip(
            links.source_frame,
            links.source_label,
            links.target_frame,
            links.target_label,
            strict=True,
        )
    }
    seen: dict[int, list[int]] = {}
    for frame, of_frame in enumerate(tracks):
        for track in of_frame[1:]:
            seen.setdefault(int(track), []).append(frame)
    every = _links(sequence.frames_of, sequence.parent_of)
    # A track that leaves the frame for a while has no edge over that, as the challenge counts.
    truth = {link: mother for link, mother in every.items() if mother or link[2] - link[0] == 1}
    best = set(_links(seen, sequence.parent_of))
    divided = _divisions(truth)
    ours = _divisions(found)
    return Agreement(
        _lnk(found, truth, best),
        _lnk(best, truth, best),
        (len(ours & divided), len(ours - divided), len(divided - ours)),
        2 * len(found & best) / max(1, len(found) + len(best)),
    )


def _links(frames_of: dict[int, list[int]], parent_of: dict[int, int]) -> dict[Link, bool]:
    """Every link of some tracks, and whether it leads from a mother to a daughter."""
    links = {
        (a, track, b, track): False
        for track, frames in frames_of.items()
        for a, b in pairwise(frames)
    }
    for track, parent in parent_of.items():
        if parent and track in frames_of and parent in frames_of:
            last, first = frames_of[parent][-1], frames_of[track][0]
            if last < first:
                links[last, parent, first, track] = True
    return links


def _lnk(found: set[Link], truth: dict[Link, bool], best: set[Link]) -> float:
    children = Counter(link[:2] for link in found)
    right = [link for link in found if link in truth]
    wrong_kind = sum(truth[link] != (children[link[:2]] > 1) for link in right)
    invented = sum(
        link not in truth and (link[2] - link[0] == 1 or link not in best) for link in found
    )
    missed = len(truth) - len(right)
    cost = MISSED * missed + INVENTED * invented + WRONG_KIND * wrong_kind
    worst = MISSED * len(truth)
    return 1 - min(cost, worst) / worst if truth else 1.0


def _divisions(links: Iterable[Link]) -> set[tuple[int, ...]]:
    daughters: dict[tuple[int, int], list[int]] = {}
    for frame, track, _, other in links:
        daughters.setdefault((frame, track), []).append(other)
    return {
        (track, *sorted(others)) for (_, track), others in daughters.items() if len(others) == 2
    }

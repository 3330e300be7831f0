"""What is wrong with a lineage, for people who correct one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kiosk.imaging.lineage import MOST_DAUGHTERS, Lineage

# A table of another movie is wrong in every row; nobody reads a million sentences.
MOST_PER_KIND = 1000


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong, and where.

    Attributes:
        frame: counted from 0; -1 where it is about a whole track.
        label: of the instance in its frame, 0 where it is about a whole track.
        track: its number, or 0.
        sentence: what is wrong and what to do.
        is_allowed: odd, but no reason to refuse the lineage.
    """

    frame: int
    label: int
    track: int
    sentence: str
    is_allowed: bool = False


def check_lineage(
    lineage: Lineage,
    frame_labels: Sequence[np.ndarray] | None = None,
    *,
    every_label: bool = True,
) -> list[Violation]:
    """What is wrong with a lineage, in the order of frames; at most MOST_PER_KIND of each kind.

    Args:
        frame_labels: for each frame the labels (n,) that the label images have; None = not known.
        every_label: every one of them must belong to a track.
    """
    kinds = [_instances(lineage), _parents(lineage), _daughters(lineage)]
    if frame_labels is not None:
        kinds.append(_against_labels(lineage, frame_labels, every_label))
    found = [violation for kind in kinds for violation in islice(kind, MOST_PER_KIND)]
    return sorted(found, key=lambda item: (item.frame, item.label, item.track))


def _instances(lineage: Lineage) -> Iterator[Violation]:
    frame, label, track = lineage.frame, lineage.label, lineage.track
    again = np.flatnonzero((frame[1:] == frame[:-1]) & (label[1:] == label[:-1])) + 1
    for at in again.tolist():
        yield Violation(
            *_place(lineage, at),
            f"Label {label[at]} of frame {frame[at]} is in two rows, of tracks {track[at - 1]} and"
            f" {track[at]}; keep one of them.",
        )
    order = np.lexsort((label, track, frame))
    same = (frame[order][1:] == frame[order][:-1]) & (track[order][1:] == track[order][:-1])
    for place in (np.flatnonzero(same) + 1).tolist():
        at, other = int(order[place]), int(order[place - 1])
        if label[at] == label[other]:
            continue
        yield Violation(
            *_place(lineage, at),
            f"Track {track[at]} has two cells in frame {frame[at]}, labels {label[other]} and"
            f" {label[at]}; give one of them another track.",
        )
    for at in np.flatnonzero(track <= 0).tolist():
        yield Violation(
            *_place(lineage, at),
            f"Label {label[at]} of frame {frame[at]} has track {track[at]}; tracks are numbered"
            " from 1.",
        )


def _parents(lineage: Lineage) -> Iterator[Violation]:
    known, circles = lineage.has_mother, _in_circles(lineage)
    mother = lineage.rows_of(np.where(known, lineage.parent_id, lineage.track_id))
    last_of_mother = lineage.last_frame[mother]
    unknown = (lineage.parent_id != 0) & ~known
    late = known & (last_of_mother >= lineage.first_frame)
    for row in np.flatnonzero(unknown | circles | late).tolist():
        track, parent = int(lineage.track_id[row]), int(lineage.parent_id[row])
        first = int(lineage.first_frame[row])
        if unknown[row]:
            sentence = (
                f"The mother of track {track} is track {parent}, which has no cells; correct"
                " parent_id, or set it to 0."
            )
        elif circles[row]:
            sentence = f"Track {track} is its own ancestor; correct parent_id of its family."
        else:
            sentence = (
                f"Track {track} begins in frame {first}, but its mother {parent} is still there in"
                f" frame {last_of_mother[row]}; a mother ends before her daughters begin."
            )
        yield Violation(first, _label_at(lineage, first, track), track, sentence)


def _daughters(lineage: Lineage) -> Iterator[Violation]:
    daughters, counts = lineage.daughters(), lineage.daughter_counts()
    for row in np.flatnonzero((counts != 0) & (counts != MOST_DAUGHTERS)).tolist():
        track, last = int(lineage.track_id[row]), int(lineage.last_frame[row])
        children = daughters[track]
        place = (last, _label_at(lineage, last, track), track)
        if len(children) > MOST_DAUGHTERS:
            names = ", ".join(map(str, children))
            yield Violation(
                *place, f"Track {track} has {len(children)} daughters ({names}); at most two."
            )
        else:
            yield Violation(
                *place,
                f"Track {track} has one daughter only, track {children[0]}: the other one is"
                " missing, or both are one track.",
                is_allowed=True,
            )


def _against_labels(
    lineage: Lineage, frame_labels: Sequence[np.ndarray], every_label: bool
) -> Iterator[Violation]:
    frames = len(frame_labels)
    for number, expected in enumerate(frame_labels):
        here = lineage.instances_of(number)
        labels, tracks = lineage.label[here], lineage.track[here]
        for at in np.flatnonzero(~np.isin(labels, expected)).tolist():
            label, track = int(labels[at]), int(tracks[at])
            yield Violation(
                number,
                label,
                track,
                f"Track {track} has label {label} in frame {number}, but the label image has no"
                " such cell there; remove the row or correct its label.",
            )
        for label in np.setdiff1d(expected, labels).tolist() if every_label else ():
            yield Violation(
                number, label, 0, f"Label {label} of frame {number} belongs to no track."
            )
    for at in np.flatnonzero((lineage.frame >= frames) | (lineage.frame < 0)).tolist():
        yield Violation(
            *_place(lineage, at),
            f"Track {lineage.track[at]} has a cell in frame {lineage.frame[at]}, but the movie has"
            f" {frames} frames, counted from 0.",
        )


def _in_circles(lineage: Lineage) -> np.ndarray:
    """(track,) bool: a track from which its mothers lead back to itself, or into a circle."""
    own = np.arange(len(lineage.track_id))
    known = lineage.has_mother
    previous = np.where(known, np.searchsorted(lineage.track_id, lineage.parent_id), own)
    ends = known & (lineage.parent_id == lineage.track_id)
    ancestor = previous
    for _ in range(len(own).bit_length() + 1):
        ancestor = ancestor[ancestor]
    # Those without a mother stay where they are; all others are still on their way round.
    return ends | known[ancestor]


def _place(lineage: Lineage, at: int) -> tuple[int, int, int]:
    return int(lineage.frame[at]), int(lineage.label[at]), int(lineage.track[at])


def _label_at(lineage: Lineage, frame: int, track: int) -> int:
    here = lineage.instances_of(frame)
    found = np.flatnonzero(lineage.track[here] == track)
    return int(lineage.label[here][found[0]]) if len(found) else 0

"""Lineage: the tracks of a movie, who is whose daughter, made from links or from tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kiosk.imaging.links import Links

MOST_DAUGHTERS = 2


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """Tracks and the instances they are made of.

    A track is one cell from its first frame to its last; where a cell divides, its track ends and
    two daughters begin. Columns of equal length, all int64.

    Attributes:
        frame, label, track: (instance,), ascending by frame, then label; the instance `label` of
            frame `frame` belongs to track `track`.
        confidence: (instance,) float32; of the link that leads to it, NaN where there is none.
        track_id: (track,) ascending. Made from links: 1..n in the order of first frames. Made from
            tracks that people have numbered: their numbers.
        first_frame, last_frame: (track,).
        parent_id: (track,) the mother, or 0.
        root_id: (track,) the first ancestor; a track without a mother is its own.
        generation: (track,) 0 for tracks without a mother.
    """

    frame: np.ndarray
    label: np.ndarray
    track: np.ndarray
    confidence: np.ndarray
    track_id: np.ndarray
    first_frame: np.ndarray
    last_frame: np.ndarray
    parent_id: np.ndarray
    root_id: np.ndarray
    generation: np.ndarray

    def rows_of(self, track_ids: np.ndarray) -> np.ndarray:
        """(n,) int64 positions of these tracks in the columns of tracks.

        Raises:
            ValueError: there is no such track.
        """
        rows = np.searchsorted(self.track_id, track_ids)
        rows = np.minimum(rows, max(0, len(self.track_id) - 1))
        if len(track_ids) and (
            not len(self.track_id) or np.any(self.track_id[rows] != np.asarray(track_ids))
        ):
            raise ValueError("there is no such track")
        return rows

    def instances_of(self, frame: int) -> slice:
        """Where the instances of a frame are in the columns of instances."""
        first, end = np.searchsorted(self.frame, (frame, frame + 1))
        return slice(int(first), int(end))

    @property
    def has_mother(self) -> np.ndarray:
        """(track,) bool: the track has a mother, and she has instances."""
        return _has_mother(self.track_id, self.parent_id)

    def daughters(self) -> dict[int, list[int]]:
        """The daughters of every track that has some, ascending."""
        found: dict[int, list[int]] = {}
        for child, parent in zip(self.track_id.tolist(), self.parent_id.tolist(), strict=True):
            if parent:
                found.setdefault(parent, []).append(child)
        return found

    def daughter_counts(self) -> np.ndarray:
        """(track,) int64 number of daughters."""
        counts = np.zeros(len(self.track_id), np.int64)
        np.add.at(counts, self.rows_of(self.parent_id[self.has_mother]), 1)
        return counts


def tracklets(lineage: Lineage) -> np.ndarray:
    """(track,) int64: the track itself; for an only daughter the tracklet of her mother.

    Tracklets end where cells divide and nowhere else, as graphs of links have it.
    """
    own = np.arange(len(lineage.track_id))
    mother = np.searchsorted(lineage.track_id, lineage.parent_id)
    alone = lineage.has_mother.copy()
    alone[alone] = lineage.daughter_counts()[mother[alone]] == 1
    first, _ = _roots(np.where(alone, mother, own))
    return np.asarray(lineage.track_id[first])


def lineage_from_links(frame_labels: Sequence[np.ndarray], links: Links) -> Lineage:
    """The lineage of a movie. A link over several frames closes a gap: its track goes on.

    Args:
        frame_labels: for each frame the labels (n,) of its instances, each once, in any order.
        links: between instances that are there.

    Raises:
        ValueError: a label twice in a frame, a link to nothing or back in time, more than two
            links from an instance or more than one to it.
    """
    frame, label = _instances(frame_labels)
    source = _positions(frame, label, links.source_frame, links.source_label, "source")
    target = _positions(frame, label, links.target_frame, links.target_label, "target")
    targets_of = np.bincount(source, minlength=len(frame))
    _check_links(frame, label, source, target, targets_of)
    # A link from an instance with one link goes on; two are a division.
    previous = np.arange(len(frame))
    goes_on = targets_of[source] == 1
    previous[target[goes_on]] = source[goes_on]
    head, _ = _roots(previous)
    is_head = head == np.arange(len(frame))
    track = np.cumsum(is_head)[head]
    born = ~goes_on
    parent_id = np.zeros(int(is_head.sum()), np.int64)
    parent_id[track[target[born]] - 1] = track[source[born]]
    confidence = np.full(len(frame), np.nan, np.float32)
    confidence[target] = links.confidence
    return _lineage(frame, label, track, confidence, np.arange(1, len(parent_id) + 1), parent_id)


def lineage_from_tracks(
    frame: np.ndarray,
    label: np.ndarray,
    track: np.ndarray,
    parents: Mapping[int, int] | None = None,
    confidence: np.ndarray | None = None,
) -> Lineage:
    """The lineage of instances whose tracks are known, as in corrected data.

    Whatever is given becomes a lineage; `check_lineage` says what is wrong with it.

    Args:
        frame, label, track: (instance,) integers in any order; tracks above 0.
        parents: mother of a track; 0 or nothing for tracks that have none. Tracks without
            instances are left out.
        confidence: (instance,) float32 of the link that leads to it; None = not known.
    """
    frame, label, track = (np.asarray(column, np.int64) for column in (frame, label, track))
    if confidence is None:
        confidence = np.full(len(frame), np.nan)
    order = np.lexsort((label, frame))
    track_id = np.unique(track)
    parents = parents or {}
    parent_id = np.array([parents.get(one, 0) for one in track_id.tolist()], np.int64)
    columns = (frame[order], label[order], track[order], np.asarray(confidence, np.float32)[order])
    return _lineage(*columns, track_id, parent_id)


def _lineage(
    frame: np.ndarray,
    label: np.ndarray,
    track: np.ndarray,
    confidence: np.ndarray,
    track_id: np.ndarray,
    parent_id: np.ndarray,
) -> Lineage:
    rows = np.searchsorted(track_id, track)
    first_frame = np.full(len(track_id), np.iinfo(np.int64).max)
    last_frame = np.full(len(track_id), -1, np.int64)
    np.minimum.at(first_frame, rows, frame)
    np.maximum.at(last_frame, rows, frame)
    own = np.arange(len(track_id))
    mother = np.searchsorted(track_id, parent_id)
    root, generation = _roots(np.where(_has_mother(track_id, parent_id), mother, own))
    return Lineage(
        frame=frame,
        label=label,
        track=track,
        confidence=confidence,
        track_id=track_id,
        first_frame=first_frame,
        last_frame=last_frame,
        parent_id=parent_id,
        root_id=track_id[root],
        generation=generation,
    )


def _has_mother(track_id: np.ndarray, parent_id: np.ndarray) -> np.ndarray:
    return (parent_id != 0) & np.isin(parent_id, track_id)


def _instances(frame_labels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(frame, label) of all instances, ascending."""
    ordered = [np.sort(np.asarray(labels, np.int64)) for labels in frame_labels]
    for number, labels in enumerate(ordered):
        if np.any(labels[1:] == labels[:-1]):
            raise ValueError(f"frame {number} has a label twice")
    counts = [len(labels) for labels in ordered]
    frame = np.repeat(np.arange(len(ordered)), counts)
    return frame, np.concatenate([np.zeros(0, np.int64), *ordered])


def _positions(
    frame: np.ndarray, label: np.ndarray, at_frame: np.ndarray, at_label: np.ndarray, end: str
) -> np.ndarray:
    """Where the instances at these frames and labels are among all."""
    if not len(at_frame):
        return np.zeros(0, np.int64)
    at_frame, at_label = np.asarray(at_frame, np.int64), np.asarray(at_label, np.int64)
    most = int(max(label.max(initial=0), np.max(at_label))) + 1
    keys, wanted = frame * most + label, at_frame * most + at_label
    places = np.minimum(np.searchsorted(keys, wanted), max(0, len(keys) - 1))
    missing = keys[places] != wanted if len(keys) else np.ones(len(wanted), bool)
    if np.any(missing):
        bad = int(np.argmax(missing))
        raise ValueError(
            f"a link has its {end} at label {at_label[bad]} of frame {at_frame[bad]}, which is not"
            " there"
        )
    return places


def _check_links(
    frame: np.ndarray,
    label: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    targets_of: np.ndarray,
) -> None:
    backwards = frame[source] >= frame[target]
    if np.any(backwards):
        at = source[np.argmax(backwards)]
        raise ValueError(f"a link from label {label[at]} of frame {frame[at]} goes back in time")
    if np.any(targets_of > MOST_DAUGHTERS):
        at = int(np.argmax(targets_of))
        raise ValueError(f"label {label[at]} of frame {frame[at]} has more than two links onwards")
    sources_of = np.bincount(target, minlength=len(frame))
    if np.any(sources_of > 1):
        at = int(np.argmax(sources_of))
        raise ValueError(f"label {label[at]} of frame {frame[at]} has two links from before")


def _roots(previous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The end of the chain that begins at each position, and how many steps away it is.

    Args:
        previous: (n,) the position before each one; its own where there is none. Where chains run
            in a circle, each position of it is its own end at 0 steps.
    """
    ancestor, own = previous.copy(), np.arange(len(previous))
    steps = (previous != own).astype(np.int64)
    # Every round doubles the steps taken.
    for _ in range(len(previous).bit_length() + 1):
        steps += steps[ancestor]
        ancestor = ancestor[ancestor]
        if np.array_equal(ancestor, previous[ancestor]):
            return ancestor, steps
    in_circle = previous[ancestor] != ancestor
    return np.where(in_circle, own, ancestor), np.where(in_circle, 0, steps)

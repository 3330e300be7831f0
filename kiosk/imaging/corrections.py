"""From what people have corrected, a table of tracks or label images, back to a lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from kiosk.errors import InvalidRequest
from kiosk.imaging.corrected_rows import CorrectedRows, mothers_of
from kiosk.imaging.doubtful_links import previous_instances
from kiosk.imaging.lineage import Lineage, lineage_from_tracks
from kiosk.imaging.lineage_checks import Violation, check_lineage

# What is wrong is listed up to this number of sentences; the rest is counted.
MOST_SENTENCES = 20
FARTHEST_PX = 2**31
# (frame, (n, 3) whole pixels z, y, x) -> (n,) labels there, 0 for what is outside of the image; z
# is 0 in images without z.
LabelsAt = Callable[[int, np.ndarray], np.ndarray]


def lineage_from_rows(
    rows: CorrectedRows, frame_labels: Sequence[np.ndarray], labels_at: LabelsAt, name: str
) -> Lineage:
    """The lineage that an edited table of tracks describes. Tracks keep their numbers.

    Cells whose rows were deleted belong to no track. Links that were not touched keep their
    confidence, the others have none.

    Args:
        frame_labels: for each frame the labels (n,) of the label image that the table is of.
        labels_at: looks labels up, for rows that have a position but no label.
        name: of the table, for messages.

    Raises:
        InvalidRequest: the table does not fit the label image, or is no lineage.
    """
    label = _labels(rows, len(frame_labels), labels_at, name)
    columns = (rows.frame, label, rows.track)
    lineage = lineage_from_tracks(*columns, mothers_of(rows), rows.confidence)
    refuse_violations(check_lineage(lineage, frame_labels, every_label=False), name)
    _forget_changed_links(lineage)
    return lineage


def lineage_from_label_images(
    frame_labels: Sequence[np.ndarray], mothers: Mapping[int, int] | None, name: str
) -> Lineage:
    """The lineage of label images in which a cell has one number through time.

    Args:
        frame_labels: for each frame its labels (n,), each once.
        mothers: of the tracks, from NAME_tracks.csv or res_track.txt; mothers that are not in the
            images are left out. None = there are none.
        name: of the images, for messages.

    Raises:
        InvalidRequest: this is no lineage.
    """
    frame = np.repeat(np.arange(len(frame_labels)), [len(labels) for labels in frame_labels])
    label = np.concatenate([np.zeros(0, np.int64), *frame_labels]).astype(np.int64)
    there = set(np.unique(label).tolist())
    known = {track: one for track, one in (mothers or {}).items() if one in there}
    lineage = lineage_from_tracks(frame, label, label, known)
    refuse_violations(check_lineage(lineage), name)
    return lineage


def refuse_violations(violations: Sequence[Violation], name: str) -> None:
    """Raises InvalidRequest with the first violations that are not allowed, if there are any."""
    wrong = [violation for violation in violations if not violation.is_allowed]
    if not wrong:
        return
    sentences = " ".join(map(_placed, wrong[:MOST_SENTENCES]))
    more = len(wrong) - MOST_SENTENCES
    rest = f" And {more} more." if more > 0 else ""
    raise InvalidRequest(f"'{name}' is no lineage yet. {sentences}{rest}", reason="INVALID_LINEAGE")


def _placed(violation: Violation) -> str:
    """The sentence with where to look, unless it says so itself."""
    frame, sentence = f"frame {violation.frame}", violation.sentence
    says_so = frame in sentence.lower() and f"label {violation.label}" in sentence.lower()
    if not violation.label or says_so:
        return sentence
    return f"{frame.capitalize()}, label {violation.label}: {sentence}"


def _labels(rows: CorrectedRows, frames: int, labels_at: LabelsAt, name: str) -> np.ndarray:
    """The label of every row: its own, or that of the cell at its position."""
    label = rows.label.copy()
    unknown = np.flatnonzero(label < 0)
    late = unknown[rows.frame[unknown] >= frames]
    if len(late):
        raise InvalidRequest(
            f"Line {rows.line[late[0]]} of '{name}' is of frame {rows.frame[late[0]]}, but the"
            f" movie has {frames} frames, counted from 0.",
            reason="BAD_TRACKS",
        )
    for frame in np.unique(rows.frame[unknown]).tolist():
        here = unknown[rows.frame[unknown] == frame]
        places = np.rint(np.nan_to_num(rows.place[here])).clip(-1, FARTHEST_PX).astype(np.int64)
        label[here] = labels_at(frame, places)
        missed = here[label[here] == 0]
        if len(missed):
            _, y, x = rows.place[missed[0]]
            raise InvalidRequest(
                f"Line {rows.line[missed[0]]} of '{name}' is at y {y:g}, x {x:g} of frame {frame},"
                " where the label image has no cell.",
                reason="BAD_TRACKS",
            )
    return label


def _forget_changed_links(lineage: Lineage) -> None:
    """Confidence is kept of links between cells that have belonged together before."""
    previous = previous_instances(lineage)
    before = np.maximum(previous, 0)
    is_old = lineage.track == lineage.label
    kept = (lineage.label == lineage.label[before]) | (is_old & is_old[before])
    lineage.confidence[~kept | (previous < 0)] = np.nan

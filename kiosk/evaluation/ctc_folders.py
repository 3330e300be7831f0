"""Folders of the Cell Tracking Challenge: results, ground truth, and what belongs together.

01_RES/mask000.tif ... res_track.txt
01_GT/TRA/man_track000.tif ... man_track.txt
01_GT/SEG/man_seg000.tif ...                    some frames, or single planes of them
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest

RESULT_TRACKS, TRUTH_TRACKS = "res_track.txt", "man_track.txt"
_RESULT_MASK = re.compile(r"mask_?(\d+)\.tiff?", re.IGNORECASE)
_TRUTH_MASK = re.compile(r"man_track_?(\d+)\.tiff?", re.IGNORECASE)
_SEG_MASK = re.compile(r"man_seg_?(\d+)(?:_(\d+))?\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class TrackFolder:
    """One tracked movie: masks of its frames, and its tracks.

    Attributes:
        masks: the files of the frames, in order.
        tracks: (track, 4) int64: L B E P.
    """

    folder: Path
    masks: tuple[Path, ...]
    tracks: np.ndarray


@dataclass(frozen=True)
class CtcSequence:
    """A prediction and its ground truth; `name` is what both folders are called by."""

    name: str
    predicted: Path
    truth: Path

    @property
    def seg_masks(self) -> list[tuple[int, int | None, Path]]:
        """(frame, plane or None for the whole frame, file) of the masks for SEG; may be none."""
        folder = self.truth / "SEG"
        found = []
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if match := _SEG_MASK.fullmatch(path.name):
                plane = None if match[2] is None else int(match[2])
                found.append((int(match[1]), plane, path))
        return found


def find_sequences(predicted: Path, truth: Path) -> list[CtcSequence]:
    """The sequences of two folders; none where they are no folders of the challenge.

    Args:
        predicted: a folder with res_track.txt, or one that holds such folders.
        truth: a folder with TRA/man_track.txt, or one that holds such folders, `NN_GT`.

    Raises:
        InvalidRequest: a truth without its prediction, or a prediction without a truth.
    """
    truths = _folders(truth, f"TRA/{TRUTH_TRACKS}")
    found = _folders(predicted, RESULT_TRACKS) or _folders(predicted, f"TRA/{TRUTH_TRACKS}")
    if not truths and not found:
        return []
    if not truths:
        raise InvalidRequest(
            f"'{predicted}' has tracks, but '{truth}' has none: the ground truth of tracking is a"
            f" folder NN_GT with TRA/{TRUTH_TRACKS} in it."
        )
    if not found:
        raise InvalidRequest(
            f"'{truth}' has tracks, but '{predicted}' has none: the result of tracking is a folder"
            f" NN_RES with {RESULT_TRACKS} in it. Unpack NAME_RES.zip first."
        )
    if len(truths) == 1 and len(found) == 1:
        return [CtcSequence(_name(truths[0]), found[0], truths[0])]
    by_name = {_name(folder): folder for folder in found}
    for folder in truths:
        if _name(folder) not in by_name:
            raise InvalidRequest(
                f"There is no result for '{folder}': '{predicted}' needs a folder"
                f" '{_name(folder)}_RES' with {RESULT_TRACKS} in it."
            )
    return [CtcSequence(_name(folder), by_name[_name(folder)], folder) for folder in truths]


def read_predicted(folder: Path) -> TrackFolder:
    """The masks and tracks of a result; a folder of ground truth will do as well.

    Raises:
        InvalidRequest: a file is missing or cannot be read.
    """
    if (folder / RESULT_TRACKS).exists():
        return TrackFolder(folder, _masks(folder, _RESULT_MASK), _tracks(folder / RESULT_TRACKS))
    return read_truth(folder)


def read_truth(folder: Path) -> TrackFolder:
    """The masks and tracks of a ground truth. Raises InvalidRequest as `read_predicted`."""
    inner = folder / "TRA"
    tracks = _tracks(inner / TRUTH_TRACKS)
    if not len(tracks):
        raise InvalidRequest(f"'{inner / TRUTH_TRACKS}' has no tracks to compare with.")
    return TrackFolder(folder, _masks(inner, _TRUTH_MASK), tracks)


def read_mask(path: Path, plane: int | None = None) -> np.ndarray:
    """(y, x) or (z, y, x) labels, or one plane of them. Raises InvalidRequest."""
    try:
        labels = np.asarray(tifffile.imread(path))
    except Exception as error:
        raise InvalidRequest(f"'{path}' cannot be read as a TIFF mask: {error}.") from error
    if plane is None or labels.ndim < 3:
        return labels
    if plane >= len(labels):
        raise InvalidRequest(f"'{path}' has {len(labels)} planes; the truth has a plane {plane}.")
    return labels[plane]


def _folders(place: Path, mark: str) -> list[Path]:
    """The folder itself or, in order, the folders in it that have this file."""
    if (place / mark).is_file():
        return [place]
    if mark.startswith("TRA/") and (place / TRUTH_TRACKS).is_file():
        return [place.parent]
    inside = sorted(place.iterdir()) if place.is_dir() else []
    return [folder for folder in inside if (folder / mark).is_file()]


def _name(folder: Path) -> str:
    return re.sub(r"_(GT|RES)$", "", folder.resolve().name)


def _masks(folder: Path, pattern: re.Pattern[str]) -> tuple[Path, ...]:
    found = {}
    for path in folder.iterdir():
        if match := pattern.fullmatch(path.name):
            found[int(match[1])] = path
    missing = sorted(set(range(max(found, default=-1) + 1)) - found.keys())
    if missing or not found:
        raise InvalidRequest(
            f"'{folder}' has no mask of frame {missing[0] if missing else 0}; every frame needs"
            " one, counted from 0."
        )
    return tuple(found[frame] for frame in sorted(found))


def _tracks(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [[int(word) for word in line.split()] for line in lines if line.strip()]
        if all(len(row) == 4 for row in rows):
            return np.array(rows, np.int64).reshape(-1, 4)
    except (OSError, ValueError, OverflowError) as error:
        raise InvalidRequest(f"'{path}' cannot be read: {error}.") from error
    raise InvalidRequest(f"'{path}' needs four whole numbers in every line: L B E P.")

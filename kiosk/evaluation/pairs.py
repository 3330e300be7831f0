"""The files of prediction and ground truth that belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest

SUFFIXES = {".tif", ".tiff"}


@dataclass(frozen=True)
class Pair:
    """A label file of the ground truth and the prediction for it, if there is one."""

    truth: Path
    predicted: Path | None

    @property
    def name(self) -> str:
        """How tables, groups and pictures call it: the stem of the truth file."""
        return self.truth.stem

    @property
    def image_name(self) -> str:
        """The stem of the image itself: without _labels, _mask or _gt."""
        return image_stem(self.truth)


def find_pairs(predicted: Path, truth: Path) -> list[Pair]:
    """Two files, or all files of two folders in order.

    In folders, `<stem>_labels.tif` (or `<stem>.tif`) belongs to `<stem>.tif` of the truth
    (which may end in _labels, _mask or _gt as well).

    Raises:
        InvalidRequest: nothing to compare.
    """
    for path in (predicted, truth):
        if not path.exists():
            raise InvalidRequest(f"'{path}' does not exist.")
    if truth.is_file() and predicted.is_file():
        return [Pair(truth, predicted)]
    if truth.is_file() or predicted.is_file():
        raise InvalidRequest("Give two files or two folders.")
    found = {image_stem(path): path for path in _label_files(predicted)}
    expected = _label_files(truth)
    if not expected or not found:
        raise InvalidRequest(f"There are no TIFF files in '{truth if found else predicted}'.")
    pairs = [Pair(path, found.get(image_stem(path))) for path in expected]
    if all(pair.predicted is None for pair in pairs):
        raise InvalidRequest(
            f"No name in '{predicted}' fits one in '{truth}': NAME_labels.tif belongs to NAME.tif."
        )
    return pairs


def read_planes(pair: Pair) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(truth, prediction) of each plane; without a prediction its planes are empty.

    Raises:
        InvalidRequest: a file cannot be read, or the shapes differ.
    """
    expected = _read(pair.truth)
    found = np.zeros_like(expected) if pair.predicted is None else _read(pair.predicted)
    if expected.shape != found.shape:
        raise InvalidRequest(
            f"The shapes differ: {pair.truth.name} has {expected.shape}, the prediction has"
            f" {found.shape}. They must show the same image."
        )
    yield from zip(_planes(expected), _planes(found), strict=True)


def image_stem(path: Path) -> str:
    """Stem of the image that a label file belongs to."""
    return re.sub(r"_(labels?|masks?|gt)$", "", path.stem)


def _label_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _read(path: Path) -> np.ndarray:
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            labels, is_colour = np.asarray(series.asarray()), "S" in series.axes
    except Exception as error:
        raise InvalidRequest(f"'{path}' cannot be read as a TIFF label image: {error}.") from error
    if is_colour or labels.ndim < 2:
        raise InvalidRequest(
            f"'{path}' is no label image: it has colour samples. Save one integer per pixel,"
            " 0 = background."
        )
    return labels


def _planes(labels: np.ndarray) -> Iterator[np.ndarray]:
    yield from labels.reshape(-1, *labels.shape[-2:])

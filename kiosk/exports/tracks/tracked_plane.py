"""A plane whose labels are numbers of tracks, made from one whose labels are those of a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kiosk.exports.writer import LabelPlane
from kiosk.imaging.lineage import Lineage
from kiosk.ports import Window

# Up to this label a table of all labels is the fastest way to look them up.
LARGEST_TABLE = 2**22


class TrackedPlane:
    """The same plane with other labels; labels that are not in the lineage become background.

    Args:
        plane: its labels are those of frame `plane.t` of the lineage.
    """

    def __init__(self, plane: LabelPlane, lineage: Lineage) -> None:
        self._plane = plane
        self.t, self.z, self.shape = plane.t, plane.z, plane.shape
        here = lineage.instances_of(plane.t)
        self._labels, self._tracks = lineage.label[here], lineage.track[here]
        self.instances = plane.instances

    def labels(self, window: Window | None = None) -> np.ndarray:
        return replaced(self._plane.labels(window), self._labels, self._tracks)

    def small_labels(self, longest_px: int) -> np.ndarray:
        return replaced(self._plane.small_labels(longest_px), self._labels, self._tracks)

    def pixels(self, channels: Sequence[int], window: Window | None = None) -> np.ndarray:
        return self._plane.pixels(channels, window)

    def small_pixels(self, channels: Sequence[int], longest_px: int) -> np.ndarray:
        return self._plane.small_pixels(channels, longest_px)


def replaced(pixels: np.ndarray, labels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The pixels, uint32, with each of the labels replaced by its number, all others by 0.

    Args:
        pixels: label image of any shape.
        labels: (n,) ascending, each once.
        numbers: (n,) what they become.
    """
    if not len(labels):
        return np.zeros(pixels.shape, np.uint32)
    highest = max(int(labels[-1]), int(pixels.max(initial=0)))
    if highest <= LARGEST_TABLE:
        table = np.zeros(highest + 1, np.uint32)
        table[labels] = numbers
        return table[pixels]
    places = np.minimum(np.searchsorted(labels, pixels), len(labels) - 1)
    return np.where(labels[places] == pixels, numbers[places], 0).astype(np.uint32)

"""Made-up movies: a colony drawn as a microscope and a segmentation would have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from training.linking.cells import Cell, Colony
from training.linking.cutouts import Cutout

FRAMES = 40
LARGEST_PX = 448
# What shows less of itself is not annotated.
FEWEST_PX = 12
FEWEST_SHARE = 0.08


@dataclass(frozen=True)
class DrawnFrame:
    """One frame: labels (y, x) uint32, pixels (y, x) float32, and what each label is.

    `tracks` (label,) int64 starts with label 1; 0 = an instance that segmentation made up.
    """

    labels: np.ndarray
    pixels: np.ndarray
    tracks: np.ndarray


@dataclass(frozen=True)
class Faults:
    """What a segmentation does to true outlines; shares of the instances of a frame."""

    jitter: float
    split: float
    merge: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Faults:
        if random.random() < 0.4:
            return cls(random.uniform(0, 0.03), 0, 0)
        return cls(random.uniform(0, 0.1), random.uniform(0, 0.02), random.uniform(0, 0.02))


class Movie:
    """A movie of made-up life, drawn while it is iterated."""

    def __init__(self, cutouts: dict[str, list[Cutout]], random: np.random.Generator) -> None:
        self.random = random
        self.phase = bool(random.random() < 0.3)
        kind = "phase" if self.phase else "fluorescence"
        diameter = float(np.exp(random.uniform(np.log(6), np.log(56))))
        count = int(np.exp(random.uniform(np.log(4), np.log(90))))
        density = float(np.exp(random.uniform(np.log(0.06), np.log(0.65))))
        side = np.sqrt(count * np.pi / 4 / density)
        side = float(np.clip(side, 4, LARGEST_PX / diameter))
        count = max(2, round(density * side**2 * 4 / np.pi))
        self.diameter_px, self.side_px = diameter, max(48, round(side * diameter))
        self.colony = Colony(cutouts[kind], self.side_px / diameter, count, random)
        self.faults = Faults.drawn(random)
        self.contrast = float(np.exp(random.uniform(np.log(4), np.log(60))))
        self.bleaching = random.choice([1.0, random.uniform(0.96, 1.0)])
        self.blur_px = random.uniform(0, 0.05 * diameter)
        self.shade = 1 + random.uniform(0, 0.4) * _smooth(self.side_px, self.side_px / 2, random)
        rough = random.uniform(0, 0.5 if self.phase else 0.05)
        self.ground = rough * _smooth(self.side_px, diameter / 3, random)
        self.parents: dict[int, int] = {}

    def __iter__(self) -> Iterator[DrawnFrame]:
        for number in range(FRAMES):
            yield self._drawn(number)
            self.colony.step()

    def _drawn(self, number: int) -> DrawnFrame:
        side = self.side_px
        labels, pixels = np.zeros((side, side), np.uint32), self.ground.copy()
        tracks = []
        cells = self.colony.cells
        for cell in cells:
            self.parents[cell.track] = cell.parent
            tracks.append(cell.track)
            if not self._paint(cell, len(tracks), labels, pixels):
                self.colony.forget(cell)
        labels, tracks = self._segmented(labels, tracks)
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.3 + self.blur_px) * self.shade
        pixels *= self.bleaching**number
        spread = np.sqrt(np.maximum(0.3 + pixels, 0.1)) / self.contrast * 3
        pixels += spread * self.random.normal(0, 1, pixels.shape)
        return DrawnFrame(labels, pixels.astype(np.float32), np.array(tracks, np.int64))

    def _paint(self, cell: Cell, label: int, labels: np.ndarray, pixels: np.ndarray) -> bool:
        """Draw a cell; whether enough of it lies inside to be annotated."""
        look = cell.look
        scale = cell.size * self.diameter_px / look.diameter_px
        size = scale * cell.stretch
        turn = np.array(
            [
                [np.cos(cell.angle), -np.sin(cell.angle)],
                [np.sin(cell.angle), np.cos(cell.angle)],
            ]
        )
        matrix = turn @ np.diag(size)
        half = int(np.ceil(np.abs(matrix) @ np.array(look.mask.shape[::-1]) / 2).max()) + 1
        centre = cell.position * self.diameter_px
        corner = np.floor(centre).astype(int) - half
        window = tuple(slice(max(0, c), min(s, c + 2 * half)) for c, s in zip(corner, labels.shape))
        if any(w.start >= w.stop for w in window):
            return False
        inner = tuple(slice(w.start - c, w.stop - c) for w, c in zip(window, corner))
        middle = (np.array(look.mask.shape[::-1]) - 1) / 2
        offset = (centre - corner)[::-1] - matrix @ middle
        affine = np.column_stack([matrix, offset])
        grey, cover, mask = (
            cv2.warpAffine(part, affine, (2 * half, 2 * half))[inner]
            for part in (look.grey, look.cover, look.mask)
        )
        pixels[window] = pixels[window] * (1 - cover) + grey * cell.brightness * cover
        full = mask > 0.5
        if full.sum() < max(FEWEST_PX, FEWEST_SHARE * look.mask.sum() * size.prod()):
            return False
        labels[window][full] = label
        return True

    def _segmented(self, labels: np.ndarray, tracks: list[int]) -> tuple[np.ndarray, list[int]]:
        """The labels with faults; label n stands for tracks[n - 1] all the same."""
        faults, random = self.faults, self.random
        if faults.jitter:
            labels = _jittered(labels, faults.jitter * self.diameter_px, self.diameter_px, random)
        for label in np.unique(labels[labels > 0]):
            if not (labels == label).any():
                continue  # merged with one before
            if random.random() < faults.split:
                y, x = np.nonzero(labels == label)
                angle = random.uniform(0, np.pi)
                side = (y - y.mean()) * np.sin(angle) + (x - x.mean()) * np.cos(angle)
                cut = side > np.quantile(side, random.uniform(0.5, 0.8))
                tracks.append(0)
                labels[y[cut], x[cut]] = len(tracks)
            elif random.random() < faults.merge:
                grown = cv2.dilate((labels == label).astype(np.uint8), np.ones((5, 5), np.uint8))
                near = np.unique(labels[(grown > 0) & (labels != label) & (labels > 0)])
                if len(near):
                    labels[labels == near[0]] = label
        return labels, tracks


def _smooth(side_px: int, scale_px: float, random: np.random.Generator) -> np.ndarray:
    """(y, x) float32 noise of this scale, standard deviation 1."""
    coarse = max(3, round(side_px / max(scale_px, 1.0)))
    noise = random.normal(0, 1, (coarse, coarse)).astype(np.float32)
    return np.asarray(cv2.resize(noise, (side_px, side_px), interpolation=cv2.INTER_CUBIC))


def _jittered(
    labels: np.ndarray, by_px: float, diameter_px: float, random: np.random.Generator
) -> np.ndarray:
    side = len(labels)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    y += by_px * _smooth(side, diameter_px / 3, random)
    x += by_px * _smooth(side, diameter_px / 3, random)
    moved = cv2.remap(labels.astype(np.float32), x, y, cv2.INTER_NEAREST)
    return moved.astype(np.uint32)

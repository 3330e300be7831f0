"""Cut-outs: real nuclei and cells, one by one, that made-up movies are played with."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

LONGEST_PX = 72
SHORTEST_PX = 9
# Kinds of images by the beginning of their modality; others are not cut.
FLUORESCENCE = "fluo"
MOST_PER_IMAGE = 12


@dataclass(frozen=True)
class Cutout:
    """One instance.

    Attributes:
        grey: (y, x) float32, 0 = background, 1 = mean of the instance (of phase contrast: the
            standard deviation of the instance's grey values).
        cover: (y, x) float32 0..1, how far a pixel hides what lies below.
        mask: (y, x) float32, 0 or 1.
        diameter_px: of a circle of the same area.
    """

    grey: np.ndarray
    cover: np.ndarray
    mask: np.ndarray
    diameter_px: float


def load_cutouts(folders: list[Path], seed: int) -> dict[str, list[Cutout]]:
    """Isolated instances of the training images: "fluorescence" and "phase"."""
    random = np.random.default_rng(seed)
    found: dict[str, list[Cutout]] = {"fluorescence": [], "phase": []}
    for folder in folders:
        for name, modality in _training_images(folder):
            kind = "phase" if "phase" in folder.name else "fluorescence"
            if kind == "fluorescence" and not modality.startswith(FLUORESCENCE):
                continue
            image = tifffile.imread(folder / "train/images" / f"{name}.tif")
            labels = tifffile.imread(folder / "train/labels" / f"{name}.tif")
            if image.ndim == 2:
                found[kind] += _cut(image, labels, kind == "phase", random)
    return found


def _training_images(folder: Path) -> list[tuple[str, str]]:
    with (folder / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    return [(row["name"], row.get("modality", FLUORESCENCE)) for row in rows]


def _cut(
    image: np.ndarray, labels: np.ndarray, phase: bool, random: np.random.Generator
) -> list[Cutout]:
    cutouts = []
    background = float(np.median(image[labels == 0])) if (labels == 0).any() else 0.0
    names = np.unique(labels[labels > 0])
    for label in random.permutation(names):
        cutout = _isolated(image, labels, int(label), background, phase)
        if cutout is not None:
            cutouts.append(cutout)
        if len(cutouts) == MOST_PER_IMAGE:
            break
    return cutouts


def _isolated(
    image: np.ndarray, labels: np.ndarray, label: int, background: float, phase: bool
) -> Cutout | None:
    """None where the instance touches another one or the border, or is of an odd size."""
    y, x = np.nonzero(labels == label)
    margin = 6 if phase else 3
    top, left = y.min() - margin, x.min() - margin
    bottom, right = y.max() + 1 + margin, x.max() + 1 + margin
    if top < 0 or left < 0 or bottom > labels.shape[0] or right > labels.shape[1]:
        return None
    window = slice(top, bottom), slice(left, right)
    mask = (labels[window] == label).astype(np.float32)
    near = cv2.dilate(mask, np.ones((2 * margin + 1,) * 2, np.uint8)) > 0
    if (near & (labels[window] > 0) & (mask == 0)).any() or max(mask.shape) < SHORTEST_PX:
        return None
    values = image[window].astype(np.float32) - background
    inside = values[mask > 0]
    unit = float(inside.std() if phase else inside.mean())
    if unit <= 0:
        return None
    cover = cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3), np.uint8)), (0, 0), margin / 4)
    factor = min(1.0, LONGEST_PX / max(mask.shape))
    size = tuple(max(3, round(s * factor)) for s in mask.shape[::-1])
    pixels = cv2.resize(values / unit, size, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    small = (cv2.resize(mask, size, interpolation=cv2.INTER_AREA) > 0.5).astype(np.float32)
    return Cutout(pixels, cover, small, float(2 * np.sqrt(max(1.0, small.sum()) / np.pi)))


def blob(random: np.random.Generator, bright: float) -> Cutout:
    """A round, mottled body, as cells are while they divide or die."""
    side = 40
    y, x = (np.mgrid[:side, :side] - side / 2 + 0.5) / (side / 2 - 4)
    angle = np.arctan2(y, x)
    waves = sum(
        random.normal(0, 0.05) * np.cos(k * angle + random.uniform(0, 2 * np.pi))
        for k in range(2, 6)
    )
    radius = np.hypot(y, x) / (1 + waves)
    mask = (radius < 1).astype(np.float32)
    noise = cv2.GaussianBlur(random.normal(0, 1, (side, side)).astype(np.float32), (0, 0), 2.5)
    grey = np.clip(1 + noise / noise.std() * random.uniform(0.05, 0.4), 0.2, 3)
    cover = np.clip((1.12 - radius) / 0.24, 0, 1).astype(np.float32)
    return Cutout(
        (grey * bright * cover).astype(np.float32),
        cover,
        mask,
        float(2 * np.sqrt(mask.sum() / np.pi)),
    )

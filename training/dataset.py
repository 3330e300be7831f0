"""Labelled planes on disk, read once into memory and cut into augmented training crops.

A data folder holds `images/<name>.tif` and `labels/<name>.tif`; an `index.csv` beside the
split folders gives each image its modality and its group (tiles of one field of view).
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
import torch

from kiosk.imaging.intensity import plane_limits

CROP_PX = 256
VALIDATION_SHARE = 0.1
GENTLE_SHARE = 0.5
# Spread (of the logarithm) of the crops' scale around that of the served image: what the guess of
# a diameter is wrong by, and more for robustness.
GENTLE_SPREAD, ROUGH_SPREAD = 0.15, 0.3
# Of the colour crops, how many get another colour around their nuclei.
COUNTERSTAIN_SHARE = 0.5
SMALLEST_CROP_SCALE, LARGEST_CROP_SCALE = 0.25, 3.0
SMALL_AREA_PX = 200.0
LARGEST_SMALL_WEIGHT = 3.0
BORDER_WEIGHT = 8.0  # extra weight of the gap between two touching instances


@dataclass(frozen=True)
class LabelledPlane:
    """One training image: pixels (y, x) or (y, x, 3), labels (y, x), targets and kind."""

    name: str
    modality: str
    pixels: np.ndarray
    labels: np.ndarray


def load_split(
    roots: Sequence[Path], split: str, without: Sequence[str] = ()
) -> tuple[list[LabelledPlane], list[LabelledPlane]]:
    """Training and validation planes of `<root>/<split>`; whole groups go to one side.

    Args:
        without: modalities to leave out.
    """
    planes, groups = [], []
    for root in roots:
        for row in _rows(root, split):
            modality = row.get("modality") or root.name
            if modality in without:
                continue
            planes.append(
                LabelledPlane(
                    name=row["name"],
                    modality=modality,
                    pixels=tifffile.imread(root / split / "images" / f"{row['name']}.tif"),
                    labels=tifffile.imread(root / split / "labels" / f"{row['name']}.tif"),
                )
            )
            groups.append(row.get("group") or row["name"])
    kept = _validation_groups([plane.modality for plane in planes], groups)
    training = [plane for plane, group in zip(planes, groups) if group not in kept]
    validation = [plane for plane, group in zip(planes, groups) if group in kept]
    return training, validation


def _rows(root: Path, split: str) -> list[dict[str, str]]:
    """Rows of the index; without one, every image of the split is a group of its own."""
    index = root / "index.csv"
    if not index.exists():
        return [{"name": path.stem} for path in sorted((root / split / "images").glob("*.tif"))]
    with index.open() as file:
        return [row for row in csv.DictReader(file) if row["split"] == split]


def _validation_groups(modalities: list[str], groups: list[str]) -> set[str]:
    """A tenth of the groups by their hash, and of each modality left out its smallest group."""
    sizes: dict[str, Counter[str]] = {}
    for modality, group in zip(modalities, groups):
        sizes.setdefault(modality, Counter())[group] += 1
    kept = set()
    for counts in sizes.values():
        hashed = {group for group in counts if _is_validation(group)}
        if not hashed and len(counts) > 1:
            hashed = {min(counts, key=lambda group: (counts[group], group))}
        kept |= hashed
    return kept


def _is_validation(group: str) -> bool:
    digest = hashlib.sha256(f"validation:{group}".encode()).digest()
    return digest[0] < VALIDATION_SHARE * 256


def distance_target(labels: np.ndarray) -> np.ndarray:
    """Distance to the instance's outermost pixels, over its largest value: (y, x) float32.

    The outermost pixels are 0 whatever the size of the instance, so that a valley two pixels
    wide and as deep as can be runs between instances that touch, also between tiny ones.
    """
    target = np.zeros(labels.shape, np.float32)
    padded = np.pad(labels, 1)
    for label in np.unique(labels):
        if label == 0:
            continue
        rows, columns = np.nonzero(labels == label)
        y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
        mask = (padded[y0 : y1 + 2, x0 : x1 + 2] == label).astype(np.uint8)
        distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1]
        inside = mask[1:-1, 1:-1] > 0
        inner = np.clip(distance - 1.0, 0.0, None)
        target[y0:y1, x0:x1][inside] = (inner / max(inner.max(), 0.5))[inside]
    return target


def gap_weight(labels: np.ndarray) -> np.ndarray:
    """1 everywhere, more where two instances are less than about 3 px apart: (y, x) float32."""
    kernel = np.ones((5, 5), np.uint8)
    image = labels.astype(np.float32)
    highest = cv2.dilate(image, kernel)
    lowest = cv2.erode(np.where(image == 0, np.float32(1e6), image), kernel)
    touching = (lowest < 1e6) & (highest > 0) & (highest != lowest)
    return 1.0 + BORDER_WEIGHT * touching.astype(np.float32)


def small_weight(labels: np.ndarray) -> np.ndarray:
    """More weight in and around small instances: (y, x) float32 from 1 to LARGEST_SMALL_WEIGHT.

    F1 counts instances and a loss counts pixels; without this an instance of 40 pixels is worth
    a tenth of one of 400.
    """
    area_px = np.bincount(labels.ravel()).astype(np.float32)
    weight = np.sqrt(SMALL_AREA_PX / np.maximum(area_px, 1)).clip(1.0, LARGEST_SMALL_WEIGHT)
    weight[0] = 1.0
    inside = weight[labels].astype(np.float32)
    return cv2.dilate(inside, np.ones((5, 5), np.uint8))


class CropDataset(torch.utils.data.IterableDataset):
    """Endless stream of (pixels (3, y, x), targets (2, y, x), weight (y, x)) crops.

    Args:
        scales: of each plane, how much larger a running model sees it; None = as it is.
    """

    def __init__(
        self,
        planes: Sequence[LabelledPlane],
        seed: int,
        scales: Sequence[float] | None = None,
    ) -> None:
        self.planes = planes
        self.seed = seed
        self.scales = list(scales) if scales is not None else [1.0] * len(planes)
        self.pixels = [_three_channels(plane.pixels) for plane in planes]
        self.labels = [plane.labels.astype(np.float32) for plane in planes]
        self.distances = [distance_target(plane.labels) for plane in planes]
        self.limits = [_limit_table(plane.pixels) for plane in planes]
        self.probabilities = _sampling(planes)

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        cv2.setNumThreads(0)
        random = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.sample(random)

    def sample(self, random: np.random.Generator):
        index = int(random.choice(len(self.planes), p=self.probabilities))
        # Half the crops have nearly the scale and grey values that the network will meet. The
        # other half teaches it to be robust.
        gentle = random.random() < GENTLE_SHARE
        scale = self.scales[index]
        if not gentle or scale != 1.0:
            spread = GENTLE_SPREAD if gentle else ROUGH_SPREAD
            scale *= float(np.exp(spread * np.clip(random.normal(), -2.0, 2.0)))
        pixels, labels, distance = _warp(
            self.pixels[index], self.labels[index], self.distances[index], scale, random, gentle
        )
        pixels = _normalised(pixels, self.limits[index], random)
        if not _is_grey(pixels) and random.random() < COUNTERSTAIN_SHARE:
            pixels = _counterstained(pixels, labels, random)
        pixels = np.clip(pixels, 0.0, 1.5) if gentle else _recolour(pixels, random)
        targets = np.stack([(labels > 0).astype(np.float32), distance])
        return (
            torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))),
            torch.from_numpy(targets),
            torch.from_numpy(gap_weight(labels) * small_weight(labels)),
        )


def _sampling(planes: Sequence[LabelledPlane]) -> np.ndarray:
    """Rare modalities are drawn more often than their share: weight = count ** -0.5."""
    counts: dict[str, int] = {}
    for plane in planes:
        counts[plane.modality] = counts.get(plane.modality, 0) + 1
    weights = np.array(
        [counts[p.modality] ** -0.5 * (p.labels.size / CROP_PX**2) ** 0.3 for p in planes]
    )
    return weights / weights.sum()


def _three_channels(pixels: np.ndarray) -> np.ndarray:
    image = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
    return image.astype(np.float32)


LOW_PERCENTILES = (0.2, 1.0, 3.0)
HIGH_PERCENTILES = (99.3, 99.8, 99.95)


def _limit_table(pixels: np.ndarray) -> np.ndarray:
    """Limits at each of LOW_PERCENTILES and HIGH_PERCENTILES: (3, 2) float64."""
    image = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels
    pairs = zip(LOW_PERCENTILES, HIGH_PERCENTILES, strict=True)
    return np.array([astuple(plane_limits(image, low, high)) for low, high in pairs])


def _normalised(pixels: np.ndarray, limits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Scaled by limits between the table's rows, so that training does not rely on exact ones."""
    low = np.interp(random.uniform(0, 2), range(3), limits[:, 0])
    high = np.interp(random.uniform(0, 2), range(3), limits[:, 1])
    scaled = (pixels - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.clip(scaled, 0.0, 1.5)


def _warp(pixels, labels, distance, scale: float, random: np.random.Generator, gentle: bool):
    """A random crop, mirrored, rotated and scaled: the pixel grid is sampled only once."""
    height, width = labels.shape
    scale = min(LARGEST_CROP_SCALE, max(SMALLEST_CROP_SCALE, scale))
    stretch, angle = 1.0, float(random.integers(4) * np.pi / 2)
    if not gentle:
        stretch = float(np.exp(random.normal(0.0, 0.08)))
        if random.random() < 0.5:
            angle = random.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    matrix = (
        np.array([[cos * stretch, -sin], [sin * stretch, cos]]) @ np.diag([mirror, 1.0]) / scale
    )
    half = CROP_PX / 2
    reach_y, reach_x = min(height, CROP_PX / scale) / 2, min(width, CROP_PX / scale) / 2
    centre = np.array(
        [
            random.uniform(reach_x, max(reach_x, width - reach_x)),
            random.uniform(reach_y, max(reach_y, height - reach_y)),
        ]
    )
    offset = centre - matrix @ np.array([half, half])
    if scale == 1.0 and gentle:  # pixel centres on pixel centres: nothing is interpolated
        offset = np.round(offset)
    affine = np.hstack([matrix, offset[:, None]])
    size = (CROP_PX, CROP_PX)
    flags = cv2.WARP_INVERSE_MAP
    source = cv2.GaussianBlur(pixels, (0, 0), 0.4 / scale) if scale < 0.8 else pixels
    pixels = cv2.warpAffine(
        source, affine, size, flags=cv2.INTER_LINEAR | flags, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = cv2.warpAffine(
        labels, affine, size, flags=cv2.INTER_NEAREST | flags, borderMode=cv2.BORDER_REFLECT_101
    )
    distance = cv2.warpAffine(
        distance, affine, size, flags=cv2.INTER_LINEAR | flags, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = labels.astype(np.int32)
    return pixels, labels, np.where(labels > 0, distance, 0.0).astype(np.float32)


def _recolour(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Brightness, contrast, gamma, stain colour, blur and noise."""
    grey = _is_grey(pixels)
    if not grey:
        if random.random() < 0.15:
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
            grey = True
        else:
            pixels = pixels @ (np.eye(3) + random.normal(0, 0.06, (3, 3))).astype(np.float32)
            # Little: red blood cells must stay another colour than purple nuclei.
            pixels = pixels * random.uniform(0.85, 1.15, 3).astype(np.float32)
    if random.random() < 0.04:
        pixels = 1.0 - pixels
    if random.random() < 0.5:
        pixels = np.clip(pixels, 0, None) ** np.float32(np.exp(random.normal(0, 0.25)))
    if random.random() < 0.5:
        pixels = pixels * np.float32(random.uniform(0.75, 1.25)) + np.float32(
            random.uniform(-0.08, 0.08)
        )
    if random.random() < 0.25:
        pixels = cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.4, 1.5))
    if random.random() < 0.35:
        shape = (*pixels.shape[:2], 1) if grey else pixels.shape
        pixels = pixels + random.normal(0, random.uniform(0.005, 0.06), shape).astype(np.float32)
    return np.clip(pixels, 0.0, 1.5).astype(np.float32)


def _is_grey(pixels: np.ndarray) -> bool:
    return bool(
        (np.abs(pixels[:, :, 0] - pixels[:, :, 1]) < 1e-6).all()
        and (np.abs(pixels[:, :, 0] - pixels[:, :, 2]) < 1e-6).all()
    )


def _counterstained(
    pixels: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Pink to red around the nuclei, everywhere or in patches, as eosin and blood make it.

    The images to learn from are mostly stained in one colour; a network that has seen nothing else
    takes everything dark for nuclei. Colours are taken away as a dye does, pixel by pixel, so the
    texture stays.
    """
    passed = np.array(
        [random.uniform(0.75, 1.05), random.uniform(0.1, 0.7), random.uniform(0.2, 0.8)],
        np.float32,
    )
    around = cv2.GaussianBlur((labels == 0).astype(np.float32), (0, 0), random.uniform(0.5, 1.5))
    if random.random() < 0.7:
        around *= _patches(labels.shape, random)
    strength = around[:, :, None] * np.float32(random.uniform(0.4, 1.0))
    return pixels * (1 + strength * (passed - 1))


def _patches(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Smooth random patches, 0 to 1: (y, x) float32."""
    coarse = max(2, int(CROP_PX / random.uniform(20, 100)))
    noise = random.normal(size=(coarse, coarse)).astype(np.float32)
    field = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    edge = random.uniform(-0.5, 0.5)
    return np.clip((field - edge) * random.uniform(2, 12) + 0.5, 0, 1).astype(np.float32)

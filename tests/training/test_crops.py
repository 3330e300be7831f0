"""Training crops: seeded, and every other one on the pixel grid of its image."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch")

from training import dataset
from training.dataset import (
    CROP_PX,
    CropDataset,
    LabelledPlane,
    distance_target,
    small_weight,
)


def plane() -> LabelledPlane:
    random = np.random.default_rng(0)
    labels = np.zeros((300, 310), np.uint16)
    for i in range(40):
        y, x = random.integers(0, 280, 2)
        labels[y : y + 14, x : x + 11] = i + 1
    pixels = (labels * 37 % 200 + 20).astype(np.uint8)
    return LabelledPlane(name="a", modality="made up", pixels=pixels, labels=labels)


def test_equal_seeds_give_equal_crops() -> None:
    first, second = (CropDataset([plane()], seed=5) for _ in range(2))
    random = [np.random.default_rng(1) for _ in range(2)]
    for _ in range(4):
        for a, b in zip(first.sample(random[0]), second.sample(random[1]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_gentle_crops_interpolate_nothing() -> None:
    image = plane()
    labels = image.labels.astype(np.float32)
    pixels = np.repeat(image.pixels[..., None], 3, axis=2).astype(np.float32)
    random = np.random.default_rng(2)
    for _ in range(8):
        seen, found, _ = dataset._warp(pixels, labels, labels, 1.0, random, gentle=True)
        assert seen.shape == (CROP_PX, CROP_PX, 3)
        inside = found > 0
        # The grey value is a function of the label: it survives only without interpolation.
        np.testing.assert_array_equal(seen[..., 0][inside], (found * 37 % 200 + 20)[inside])


def test_crops_come_at_the_scale_of_their_plane() -> None:
    def covered(scale: float) -> float:
        crops = CropDataset([plane()], seed=4, scales=[scale])
        random = np.random.default_rng(1)
        sizes = []
        for _ in range(24):
            _, targets, _ = crops.sample(random)
            found, labels = cv2.connectedComponents(targets[0].numpy().astype(np.uint8))
            sizes += list(np.bincount(labels.ravel(), minlength=found)[1:])
        return float(np.median(sizes))

    assert covered(2.0) / covered(1.0) == pytest.approx(4, rel=0.35)


def test_distance_is_zero_at_the_outermost_pixels_and_one_in_the_middle() -> None:
    labels = np.zeros((9, 12), np.int32)
    labels[1:8, 1:6], labels[1:8, 6:11] = 1, 2
    target = distance_target(labels)
    assert target[4, 5] == target[4, 6] == target[1, 3] == 0
    assert target[4, 3] == target[4, 8] == 1
    assert (target[labels == 0] == 0).all()


def test_small_instances_and_what_is_around_them_weigh_more() -> None:
    labels = np.zeros((60, 60), np.int32)
    labels[5:35, 5:35] = 1  # 900 px
    labels[45:50, 45:55] = 2  # 50 px
    weight = small_weight(labels)
    assert weight[20, 20] == 1
    assert weight[47, 50] == weight[43, 50] == 2  # the root of 200 / 50, two pixels around it too
    assert weight[42, 50] == 1

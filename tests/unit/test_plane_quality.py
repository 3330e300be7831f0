"""How sharp planes are, and how saturated."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from result_makers import discs

from kiosk.imaging.plane_quality import plane_quality, saturated_share, soft_planes

RNG = np.random.default_rng(7)


def cells(blur_px: float = 0.0, gain: float = 1.0, offset: float = 100.0) -> np.ndarray:
    picture = (discs(120, 150) > 0).astype(np.float32) * 500
    if blur_px:
        picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
    noisy = picture * gain + offset + RNG.normal(0, 5, picture.shape)
    return noisy[None].clip(0, 65_535).astype(np.uint16)


def test_blur_is_seen_through_noise_brightness_and_offset() -> None:
    sharp = plane_quality([cells()]).focus
    assert plane_quality([cells(gain=0.3, offset=1000)]).focus == pytest.approx(sharp, rel=0.1)
    assert plane_quality([cells(blur_px=2)]).focus < 0.5 * sharp
    assert plane_quality([cells(blur_px=4)]).focus < 0.25 * sharp


def test_pieces_of_a_plane_add_up() -> None:
    plane = cells()
    whole, pieces = plane_quality([plane]), plane_quality([plane[:, :60], plane[:, 60:]])
    assert pieces.focus == pytest.approx(whole.focus, rel=0.1)
    assert (pieces.highest, pieces.at_highest, pieces.pixels) == (
        whole.highest, whole.at_highest, whole.pixels,
    )  # fmt: skip


def test_flat_planes_and_planes_without_numbers() -> None:
    assert plane_quality([np.full((1, 9, 9), 7, np.uint8)]).focus == 0
    nothing = plane_quality([np.full((1, 9, 9), np.nan, np.float32)])
    assert (nothing.focus, nothing.pixels, nothing.at_highest) == (0, 0, 0)
    assert saturated_share([nothing]) == 0
    assert saturated_share([]) == 0


def test_negative_grey_values() -> None:
    seen = plane_quality([np.array([[[-5, -3], [-3, -9]]], np.int16)])
    assert (seen.highest, seen.at_highest, seen.pixels) == (-3, 2, 4)


def test_saturation_counts_the_highest_value_of_all_planes() -> None:
    dim = plane_quality([np.full((1, 10, 10), 50, np.uint8)])
    bright = np.full((1, 10, 10), 10, np.uint8)
    bright[0, :5, 0] = 255
    assert saturated_share([dim, plane_quality([bright])]) == 5 / 200


def test_which_planes_are_soft() -> None:
    usual = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0])
    assert soft_planes(usual).tolist() == []
    assert soft_planes(np.array([1, 1.1, 0.2, 1.05, 0, 0.95, 1.0])).tolist() == [2]
    # A slow change is no fault of a plane.
    assert soft_planes(np.linspace(1.0, 0.4, 30)).tolist() == []
    assert soft_planes(np.array([1, 1, 0.1])).tolist() == []

"""A made-up time lapse of fluorescent nuclei with known ground truth, for demos and tests."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BACKGROUND = 400.0
READ_NOISE = 25.0


@dataclass(frozen=True)
class Sample:
    """Images (t, y, x) uint16 and the label of every pixel (t, y, x) uint16."""

    images: np.ndarray
    labels: np.ndarray


@dataclass
class _Nucleus:
    y: float
    x: float
    major_px: float
    minor_px: float
    angle: float
    brightness: float
    velocity: np.ndarray
    spin: float


def make_sample(
    frames: int = 10, height_px: int = 512, width_px: int = 512, nuclei: int = 120, seed: int = 7
) -> Sample:
    """Nuclei that drift and turn, some of them touching, under shot noise and uneven light.

    The same seed gives the same pixels.
    """
    random = np.random.default_rng(seed)
    population = _populate(random, height_px, width_px, nuclei)
    texture = _smooth_noise(random, height_px, width_px, 3.0)
    light = 1 + 0.25 * _smooth_noise(random, height_px, width_px, max(height_px, width_px) / 4)
    images = np.zeros((frames, height_px, width_px), np.uint16)
    labels = np.zeros((frames, height_px, width_px), np.uint16)
    for t in range(frames):
        glow = np.zeros((height_px, width_px), np.float32)
        for number, nucleus in enumerate(population, start=1):
            _draw(nucleus, number, labels[t], glow, texture)
            nucleus.y += nucleus.velocity[0] + random.normal(0, 0.6)
            nucleus.x += nucleus.velocity[1] + random.normal(0, 0.6)
            nucleus.angle += nucleus.spin
        images[t] = _expose(random, glow, light)
    return Sample(images, labels)


def _populate(
    random: np.random.Generator, height_px: int, width_px: int, count: int
) -> list[_Nucleus]:
    """Nuclei at places that keep about a nucleus's width between centres."""
    population: list[_Nucleus] = []
    taken = np.zeros((0, 3))  # y, x, radius of those that have a place
    for _ in range(count * 60):
        if len(population) == count:
            break
        y, x = random.uniform(8, height_px - 8), random.uniform(8, width_px - 8)
        major, minor = random.uniform(10, 15), random.uniform(7.5, 10)
        away = (taken[:, 0] - y) ** 2 + (taken[:, 1] - x) ** 2
        if np.all(away > (taken[:, 2] + minor + 1) ** 2):
            taken = np.vstack([taken, [y, x, minor]])
            population.append(
                _Nucleus(
                    y=y,
                    x=x,
                    major_px=major,
                    minor_px=minor,
                    angle=random.uniform(0, 180),
                    brightness=random.uniform(1800, 6000),
                    velocity=random.normal(0, 0.7, 2),
                    spin=random.normal(0, 2.0),
                )
            )
    return population


def _draw(
    nucleus: _Nucleus, number: int, labels: np.ndarray, glow: np.ndarray, texture: np.ndarray
) -> None:
    """Add one nucleus to the light of a frame and to its labels; earlier ones stay in front."""
    reach = int(nucleus.major_px) + 2
    top, left = max(0, int(nucleus.y) - reach), max(0, int(nucleus.x) - reach)
    around = np.s_[top : max(0, int(nucleus.y) + reach), left : max(0, int(nucleus.x) + reach)]
    labels, glow, texture = labels[around], glow[around], texture[around]
    if labels.size == 0:
        return  # it has drifted out of the frame
    mask = np.zeros(labels.shape, np.uint8)
    shift = 4  # sub-pixel drawing: coordinates in sixteenths of a pixel
    cv2.ellipse(
        mask,
        (round((nucleus.x - left) * 2**shift), round((nucleus.y - top) * 2**shift)),
        (round(nucleus.major_px * 2**shift), round(nucleus.minor_px * 2**shift)),
        nucleus.angle,
        0,
        360,
        1,
        cv2.FILLED,
        cv2.LINE_8,
        shift,
    )
    inside = (mask > 0) & (labels == 0)
    labels[inside] = number
    glow[inside] = nucleus.brightness * (1 + 0.25 * texture[inside])


def _expose(random: np.random.Generator, glow: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Blur of the optics, uneven light, shot noise and read noise of the camera."""
    sharp = cv2.GaussianBlur(glow, (0, 0), 1.2)
    haze = cv2.GaussianBlur(glow, (0, 0), 12.0) * 0.08
    photons = np.clip((sharp + haze) * light + BACKGROUND, 0, None)
    exposed = random.poisson(photons / 8) * 8 + random.normal(0, READ_NOISE, glow.shape)
    return np.clip(np.rint(exposed), 0, 65_535).astype(np.uint16)


def _smooth_noise(
    random: np.random.Generator, height_px: int, width_px: int, sigma_px: float
) -> np.ndarray:
    """Gaussian-filtered noise scaled to -1..1."""
    # Slow changes are made small and enlarged: a wide filter on all pixels would take a minute.
    shrink = max(1, int(sigma_px / 4))
    small = (-(-height_px // shrink), -(-width_px // shrink))
    noise = random.normal(0, 1, small).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma_px / shrink)
    if shrink > 1:
        smooth = cv2.resize(smooth, (width_px, height_px), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth / max(float(np.abs(smooth).max()), 1e-6), np.float32)

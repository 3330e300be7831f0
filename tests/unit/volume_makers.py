"""Made-up volumes of touching cells with known truth, and what a network might make of them."""

from __future__ import annotations

import numpy as np


def ellipsoids(
    shape: tuple[int, int, int],
    count: int,
    seed: int,
    *,
    radius_px: tuple[float, float] = (7.0, 11.0),
    z_step_px: float = 1.0,
    flatness: tuple[float, float] = (0.7, 1.2),
    closeness: float = 0.85,
    stacked: float = 0.0,
) -> np.ndarray:
    """(z, y, x) uint32 labels of ellipsoids at random places, many of them pressed together.

    Args:
        radius_px: range of the radius in the plane.
        z_step_px: distance of planes, in pixels.
        flatness: range of the radius along z, as a share of that in the plane.
        closeness: least distance of two centres, as a share of the sum of their radii.
        stacked: share of cells that are put right above or below another one.
    """
    random = np.random.default_rng(seed)
    extent = np.array([shape[0] * z_step_px, shape[1], shape[2]])
    centres, radii = np.zeros((0, 3)), np.zeros((0, 3))
    for _ in range(count * 60):
        if len(centres) == count:
            break
        in_plane = random.uniform(*radius_px)
        radius = np.array([in_plane * random.uniform(*flatness), in_plane, in_plane])
        centre = random.uniform(0, extent)
        if len(centres) and random.random() < stacked:
            other = random.integers(len(centres))
            centre = centres[other] + [0, *random.normal(0, 1.5, 2)]
            way = random.choice([-1, 1])
            centre[0] += way * (radius[0] + radii[other, 0]) * random.uniform(closeness, 1)
        if (centre < 0).any() or (centre >= extent).any():
            continue
        away = np.linalg.norm((centres - centre) / (radii + radius), axis=1)
        if np.all(away > closeness):
            centres, radii = np.vstack([centres, centre]), np.vstack([radii, radius])
    return _drawn(shape, centres, radii, z_step_px)


def _drawn(
    shape: tuple[int, int, int], centres: np.ndarray, radii: np.ndarray, z_step_px: float
) -> np.ndarray:
    """Where two ellipsoids overlap a pixel is of the one that it lies deeper in."""
    labels, depth = np.zeros(shape, np.uint32), np.ones(shape)
    step = np.array([z_step_px, 1, 1])
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True), start=1):
        low = np.maximum(0, np.floor((centre - radius) / step)).astype(int)
        high = np.minimum(shape, np.ceil((centre + radius) / step).astype(int) + 1)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = np.ogrid[window]
        axes = zip(grid, step, centre, radius, strict=True)
        distance = sum(((g * s - c) / r) ** 2 for g, s, c, r in axes)
        closer = distance < depth[window]
        labels[window][closer], depth[window][closer] = number, distance[closer]
    return labels


def numbered_by_plane(volume: np.ndarray, seed: int = 0) -> np.ndarray:
    """The planes with numbers of their own, 1..n in any order."""
    random = np.random.default_rng(seed)
    planes = np.zeros_like(volume)
    for z, plane in enumerate(volume):
        there = np.unique(plane[plane > 0])
        table = np.zeros(int(volume.max()) + 1, np.uint32)
        table[there] = random.permutation(len(there)) + 1
        planes[z] = table[plane]
    return planes


def damaged(
    volume: np.ndarray,
    seed: int,
    *,
    missing: float = 0.0,
    split: float = 0.0,
    merged: float = 0.0,
    shaken_px: int = 0,
) -> np.ndarray:
    """The volume as a network sees it plane by plane, with faults.

    Args:
        missing: share of sections that were not found.
        split: share that was cut in two.
        merged: share that was joined with a neighbour that it touches.
        shaken_px: sections are moved by up to so many pixels, grow and shrink.
    """
    random = np.random.default_rng(seed)
    found = np.zeros_like(volume)
    for z, plane in enumerate(volume):
        view, count = plane.copy(), int(volume.max())
        for label in np.unique(plane[plane > 0]):
            where = plane == label
            chance = random.random()
            if chance < missing:
                view[where] = 0
            elif chance < missing + split:
                y, x = np.nonzero(where)
                angle = random.uniform(0, np.pi)
                side = (y - y.mean()) * np.cos(angle) + (x - x.mean()) * np.sin(angle)
                at = random.uniform(-0.3, 0.3) * np.abs(side).max()
                count += 1
                view[y[side > at], x[side > at]] = count
            elif chance < missing + split + merged:
                ring = np.roll(where, 1, 0) | np.roll(where, 1, 1)
                beside = plane[ring & ~where & (plane > 0)]
                if beside.size:
                    view[where] = beside[0]
        found[z] = _shaken(view, random, shaken_px)
    return numbered_by_plane(found, seed)


def _shaken(plane: np.ndarray, random: np.random.Generator, shaken_px: int) -> np.ndarray:
    if not shaken_px:
        return plane
    shifted = np.zeros_like(plane)
    for label in np.unique(plane[plane > 0]):
        where = plane == label
        dy, dx = random.integers(-shaken_px, shaken_px + 1, 2)
        where = np.roll(np.pad(where, shaken_px), (dy, dx), (0, 1))
        where = where[shaken_px:-shaken_px, shaken_px:-shaken_px]
        if random.random() < 0.5:
            where &= np.roll(where, 1, 0) & np.roll(where, 1, 1)
        shifted[where & (shifted == 0)] = label
    return shifted

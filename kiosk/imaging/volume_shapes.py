"""Size and place of volumes, gathered plane by plane or window by window.

Definitions are those of scikit-image's `regionprops` on the volume, which the tests compare with.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.runs import Runs

# An ellipsoid's variance along an axis is a twentieth of the square of the axis.
AXIS_FACTOR = 20.0
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))  # of z, y, x


class VolumeShapes:
    """Sums that can be added to; arrays have an entry per volume, and one for 0, unused."""

    def __init__(self, count: int) -> None:
        size = count + 1
        self._voxels = np.zeros(size, np.int64)
        self._planes = np.zeros(size, np.int64)
        self._newest = np.full(size, -1)
        # Sums are taken from the first corner seen, so that they stay small.
        self._corner = np.zeros((size, 3), np.int64)
        self._sums = np.zeros((size, 3))
        self._squares = np.zeros((size, len(_PAIRS)))
        self._least = np.full((size, 3), np.iinfo(np.int64).max)
        self._most = np.zeros((size, 3), np.int64)

    def add(self, z: int, runs: Runs, origin_px: tuple[int, int]) -> None:
        """Add the pixels of a plane or of a window of it.

        Args:
            runs: of the labels of volumes.
            origin_px: (y, x) of the window's first pixel in its plane.
        """
        here = runs.labels
        depth = np.full(len(here), z)
        low_y, low_x = (runs.least(runs.y) + origin_px[0], runs.least(runs.x) + origin_px[1])
        high_y = runs.most(runs.y) + 1 + origin_px[0]
        high_x = runs.most(runs.x + runs.length) + origin_px[1]
        low = np.stack([depth, low_y, low_x], axis=1)
        high = np.stack([depth + 1, high_y, high_x], axis=1)
        fresh = self._voxels[here] == 0
        self._corner[here[fresh]] = low[fresh]
        self._least[here] = np.minimum(self._least[here], low)
        self._most[here] = np.maximum(self._most[here], high)
        self._planes[here] += self._newest[here] != z
        self._newest[here] = z
        self._add_moments(runs, self._corner[here] - [0, *origin_px], z)

    def _add_moments(self, runs: Runs, corner: np.ndarray, z: int) -> None:
        """Sums over a run have closed forms."""
        instance, here, n = runs.instance, runs.labels, runs.length
        y, x = runs.y - corner[instance, 1], runs.x - corner[instance, 2]
        depth = z - corner[:, 0]
        sum_x = n * x + n * (n - 1) // 2
        sum_xx = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
        voxels, of_y, of_x = runs.total(n), runs.total(n * y), runs.total(sum_x)
        self._voxels[here] += voxels
        self._sums[here] += np.stack([depth * voxels, of_y, of_x], axis=1)
        products = (
            depth * depth * voxels,
            depth * of_y,
            depth * of_x,
            runs.total(n * y * y),
            runs.total(y * sum_x),
            runs.total(sum_xx),
        )
        self._squares[here] += np.stack(products, axis=1)

    def columns(
        self, shape: tuple[int, int, int], spacing_px: tuple[float, float, float]
    ) -> dict[str, np.ndarray]:
        """One (volume,) array per column.

        Args:
            shape: (z, y, x) of the stack.
            spacing_px: (z, y, x) distances of voxels in pixels of the plane.
        """
        voxels = self._voxels[1:]
        with np.errstate(invalid="ignore"):
            mean = self._sums[1:] / voxels[:, None]
        centre = mean + self._corner[1:]
        low, high = self._least[1:], self._most[1:]
        touches = (low == 0) | (high == np.array(shape))
        axes = self._axes(mean, np.array(spacing_px))
        names = ("z", "y", "x")
        return {
            **{f"{name}_px": centre[:, axis] for axis, name in enumerate(names)},
            "volume_px": voxels,
            "planes": self._planes[1:],
            **{f"min_{name}_px": low[:, axis] for axis, name in enumerate(names)},
            **{f"max_{name}_px": high[:, axis] for axis, name in enumerate(names)},
            "equivalent_diameter_px": np.cbrt(6 / np.pi * voxels * np.prod(spacing_px)),
            "major_axis_px": axes[:, 0],
            "middle_axis_px": axes[:, 1],
            "minor_axis_px": axes[:, 2],
            "touches_border": touches.any(axis=1).astype(np.int64),
            "touches_z_border": touches[:, 0].astype(np.int64),
        }

    def _axes(self, mean: np.ndarray, spacing_px: np.ndarray) -> np.ndarray:
        """(volume, 3) axes, longest first, of the ellipsoids with the same second moments."""
        voxels = np.maximum(self._voxels[1:], 1)
        covariance = np.zeros((len(voxels), 3, 3))
        for number, (a, b) in enumerate(_PAIRS):
            value = self._squares[1:, number] / voxels - mean[:, a] * mean[:, b]
            covariance[:, a, b] = covariance[:, b, a] = value * spacing_px[a] * spacing_px[b]
        variance = np.linalg.eigvalsh(np.nan_to_num(covariance))[:, ::-1]
        return np.asarray(np.sqrt(AXIS_FACTOR * np.maximum(variance, 0)))

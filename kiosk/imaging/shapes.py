"""Size and shape of every instance of a plane, all instances at once.

Definitions are those of scikit-image's `regionprops`, which the tests compare with.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.hulls import hull_areas_px
from kiosk.imaging.perimeters import perimeters_px
from kiosk.imaging.runs import Runs


def shape_columns(runs: Runs, labels: np.ndarray) -> dict[str, np.ndarray]:
    """One (instance,) array per column.

    Args:
        runs: of the label plane.
        labels: (y, x), the plane itself.
    """
    area = runs.total(runs.length)
    min_y, min_x = runs.least(runs.y), runs.least(runs.x)
    max_y, max_x = runs.most(runs.y) + 1, runs.most(runs.x + runs.length)
    y, x, var_y, var_x, covariance = _moments(runs, area, min_y, min_x)
    major, minor, orientation = _axes(var_y, var_x, covariance)
    with np.errstate(invalid="ignore", divide="ignore"):
        eccentricity = np.where(major > 0, np.sqrt(np.maximum(0, 1 - (minor / major) ** 2)), 0.0)
    height, width = runs.shape
    border = (min_y == 0) | (min_x == 0) | (max_y == height) | (max_x == width)
    return {
        "y_px": y,
        "x_px": x,
        "area_px": area,
        "min_y_px": min_y,
        "min_x_px": min_x,
        "max_y_px": max_y,
        "max_x_px": max_x,
        "major_axis_px": major,
        "minor_axis_px": minor,
        "orientation_rad": orientation,
        "eccentricity": eccentricity,
        "perimeter_px": perimeters_px(labels, runs.labels),
        "solidity": area / hull_areas_px(runs),
        "touches_border": border.astype(np.int64),
    }


def _moments(
    runs: Runs, area: np.ndarray, min_y: np.ndarray, min_x: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Centroid (y, x), variances of y and x, and covariance of the pixel centres.

    Sums over a run have closed forms. They are exact integers, taken from the corner of the
    bounding box so that they stay small.
    """
    instance = runs.instance
    y, x, n = runs.y - min_y[instance], runs.x - min_x[instance], runs.length
    sum_x = n * x + n * (n - 1) // 2
    sum_xx = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
    mean_y, mean_x = runs.total(n * y) / area, runs.total(sum_x) / area
    var_y = runs.total(n * y * y) / area - mean_y**2
    var_x = runs.total(sum_xx) / area - mean_x**2
    covariance = runs.total(y * sum_x) / area - mean_y * mean_x
    return mean_y + min_y, mean_x + min_x, np.maximum(var_y, 0), np.maximum(var_x, 0), covariance


def _axes(
    var_y: np.ndarray, var_x: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes of the ellipse with these variances, and the angle of the major one to the y axis."""
    middle = (var_y + var_x) / 2
    spread = np.hypot((var_y - var_x) / 2, covariance)
    major = 4 * np.sqrt(middle + spread)
    minor = 4 * np.sqrt(np.maximum(middle - spread, 0))
    # A circle has no direction; what regionprops says then is half a quarter turn.
    orientation = np.where(
        np.isclose(var_y, var_x, rtol=1e-12, atol=1e-12),
        np.where(covariance > 0, np.pi / 4, -np.pi / 4),
        np.arctan2(2 * covariance, var_y - var_x) / 2,
    )
    return major, minor, orientation

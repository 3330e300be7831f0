"""Size and shape of every instance of a plane, all instances at once.

Definitions are those of scikit-image's `regionprops`, which the tests compare with.
"""

from __future__ import annotations

import numpy as np

from kiosk.imaging.hulls import hull_areas_px
from kiosk.imaging.perimeters import perimeters_px
from kiosk.imaging.runs import Runs, label_runs


def label_boxes(labels: np.ndarray, origin_px: tuple[int, int] = (0, 0)) -> dict[str, np.ndarray]:
    """The bounding boxes of the instances of a plane, or of a window of it.

    Args:
        labels: (y, x) of any integer dtype, 0 = background.
        origin_px: (y, x) of the window's first pixel in its plane.

    Returns:
        (instance,) int64 arrays `label`, ascending, and `min_y_px`, `min_x_px`, `max_y_px`,
        `max_x_px`: first row and column, last row and column + 1, in the plane.
    """
    runs = label_runs(labels)
    return {"label": runs.labels, **_boxes(runs, origin_px)}


def united_boxes(boxes: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One box for each label, around all boxes of that label; see `label_boxes`."""
    labels, place = np.unique(boxes["label"], return_inverse=True)
    united = {"label": labels}
    for name, values in boxes.items():
        if name != "label":
            start = np.iinfo(np.int64).max if name.startswith("min") else 0
            united[name] = np.full(len(labels), start, np.int64)
            pick = np.minimum if name.startswith("min") else np.maximum
            pick.at(united[name], place, values)
    return united


def shape_columns(
    runs: Runs,
    labels: np.ndarray,
    origin_px: tuple[int, int] = (0, 0),
    plane_shape: tuple[int, int] | None = None,
) -> dict[str, np.ndarray]:
    """One (instance,) array per column.

    Args:
        runs: of the label plane, or of a window of it.
        labels: (y, x), the plane or window itself.
        origin_px: (y, x) of the window's first pixel in its plane.
        plane_shape: (y, x) of the plane; None = the window is the plane.
    """
    area = runs.total(runs.length)
    boxes = _boxes(runs, origin_px)
    y, x, var_y, var_x, covariance = moments(runs, area)
    return {
        "y_px": y + origin_px[0],
        "x_px": x + origin_px[1],
        "area_px": area,
        **boxes,
        **ellipse_columns(var_y, var_x, covariance),
        "perimeter_px": perimeters_px(labels, runs.labels),
        "solidity": area / hull_areas_px(runs),
        "touches_border": touches_border(boxes, plane_shape or runs.shape),
    }


def _boxes(runs: Runs, origin_px: tuple[int, int]) -> dict[str, np.ndarray]:
    y, x = origin_px
    return {
        "min_y_px": runs.least(runs.y) + y,
        "min_x_px": runs.least(runs.x) + x,
        "max_y_px": runs.most(runs.y) + 1 + y,
        "max_x_px": runs.most(runs.x + runs.length) + x,
    }


def touches_border(boxes: dict[str, np.ndarray], plane_shape: tuple[int, int]) -> np.ndarray:
    """(instance,) int64: 1 where a box touches the border of the plane."""
    height, width = plane_shape
    first = (boxes["min_y_px"] == 0) | (boxes["min_x_px"] == 0)
    last = (boxes["max_y_px"] == height) | (boxes["max_x_px"] == width)
    return np.asarray((first | last).astype(np.int64))


def moments(runs: Runs, area: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centroid (y, x), variances of y and x, and covariance of the pixel centres.

    Sums over a run have closed forms. They are exact integers, taken from the corner of the
    bounding box so that they stay small.
    """
    instance = runs.instance
    min_y, min_x = runs.least(runs.y), runs.least(runs.x)
    y, x, n = runs.y - min_y[instance], runs.x - min_x[instance], runs.length
    sum_x = n * x + n * (n - 1) // 2
    sum_xx = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
    mean_y, mean_x = runs.total(n * y) / area, runs.total(sum_x) / area
    var_y = runs.total(n * y * y) / area - mean_y**2
    var_x = runs.total(sum_xx) / area - mean_x**2
    covariance = runs.total(y * sum_x) / area - mean_y * mean_x
    return mean_y + min_y, mean_x + min_x, np.maximum(var_y, 0), np.maximum(var_x, 0), covariance


def ellipse_columns(
    var_y: np.ndarray, var_x: np.ndarray, covariance: np.ndarray
) -> dict[str, np.ndarray]:
    """Axes, orientation and eccentricity of the ellipses with these second moments."""
    major, minor, orientation = _axes(var_y, var_x, covariance)
    with np.errstate(invalid="ignore", divide="ignore"):
        eccentricity = np.where(major > 0, np.sqrt(np.maximum(0, 1 - (minor / major) ** 2)), 0.0)
    return {
        "major_axis_px": major,
        "minor_axis_px": minor,
        "orientation_rad": orientation,
        "eccentricity": eccentricity,
    }


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

"""What is measured on every instance of a plane."""

from __future__ import annotations

import numpy as np

from kiosk.imaging.tiling import iter_bands

# Column name -> what it holds; the order of the columns in the table.
COLUMNS = {
    "label": "label of the instance in the label image of its plane",
    "y_px": "centroid, row, in pixels from the centre of the first pixel",
    "x_px": "centroid, column, in pixels from the centre of the first pixel",
    "area_px": "area in pixels",
    "min_y_px": "bounding box: first row",
    "min_x_px": "bounding box: first column",
    "max_y_px": "bounding box: last row + 1",
    "max_x_px": "bounding box: last column + 1",
    "mean_intensity": "mean grey value of the chosen channel (mean of R, G and B for colour)",
    "touches_border": "1 if the instance touches the border of the plane",
}


def measure(labels: np.ndarray, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Measure all instances of one plane in one pass over its pixels.

    Args:
        labels: (y, x) unsigned labels, 0 = background; may be a memory map.
        pixels: (channel, y, x) of any real dtype; NaN and infinities are left out of the mean.

    Returns:
        One array per name in COLUMNS, one entry per instance, ascending by label.
    """
    height, width = labels.shape
    size = int(labels.max(initial=0)) + 1
    area, valid = np.zeros(size, np.int64), np.zeros(size, np.int64)
    sum_y, sum_x, sum_value = (np.zeros(size, np.float64) for _ in range(3))
    min_y, min_x = np.full(size, height, np.int64), np.full(size, width, np.int64)
    max_y, max_x = np.zeros(size, np.int64), np.zeros(size, np.int64)
    for band in iter_bands(height, width):
        flat = np.ascontiguousarray(labels[band]).ravel()
        place = np.flatnonzero(flat)
        label = flat[place].astype(np.int64)
        y, x = np.divmod(place, width)
        y += band.start
        values = pixels[:, band].reshape(len(pixels), -1)[:, place]
        value = values.astype(np.float64).mean(axis=0)
        finite = np.isfinite(value)
        area += np.bincount(label, minlength=size)
        valid += np.bincount(label[finite], minlength=size)
        sum_y += np.bincount(label, y, size)
        sum_x += np.bincount(label, x, size)
        sum_value += np.bincount(label[finite], value[finite], size)
        np.maximum.at(max_y, label, y + 1)
        np.minimum.at(min_y, label, y)
        np.maximum.at(max_x, label, x + 1)
        np.minimum.at(min_x, label, x)
    there = np.flatnonzero(area)
    area, valid = area[there], valid[there]
    min_y, min_x, max_y, max_x = (edge[there] for edge in (min_y, min_x, max_y, max_x))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = sum_value[there] / valid
    border = (min_y == 0) | (min_x == 0) | (max_y == height) | (max_x == width)
    columns = [
        there,
        sum_y[there] / area,
        sum_x[there] / area,
        area,
        min_y,
        min_x,
        max_y,
        max_x,
        mean,
        border.astype(np.int64),
    ]
    return dict(zip(COLUMNS, columns, strict=True))

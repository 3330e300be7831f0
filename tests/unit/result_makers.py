"""Made-up images with instances, and writers driven as a join drives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.writer import ResultImage, Writer
from kiosk.imaging.measurements import column_names, measure
from kiosk.testing import MemoryPlane

BOX = ("label", "min_y_px", "min_x_px", "max_y_px", "max_x_px")
ABOUT = {"model": "nuclei", "model_version": "2"}


def labelled(picture: str) -> np.ndarray:
    """Labels from rows of digits and letters: "." is 0, "1" to "9", then "a" is 10."""
    return np.array([[0 if c == "." else int(c, 36) for c in row] for row in picture.split()])


def discs(height: int, width: int, pitch: int = 20, first_label: int = 1) -> np.ndarray:
    """Discs of different sizes on a grid, the outermost cut by the border."""
    y, x = np.mgrid[:height, :width]
    row, column = (y + pitch // 2) // pitch, (x + pitch // 2) // pitch
    distance = np.hypot(y - row * pitch, x - column * pitch)
    number = row * (width // pitch + 2) + column
    radius = pitch * (0.2 + 0.25 * ((number * 7) % 11) / 10)
    inside = distance <= radius
    labels = np.zeros((height, width), np.uint32)
    found, renumbered = np.unique(number[inside], return_inverse=True)
    assert len(found)
    labels[inside] = renumbered + first_label
    return labels


def stack(labels: np.ndarray, *, t: int = 1, z: int = 1, channels: int = 1) -> list[MemoryPlane]:
    """Planes with the same labels shifted from one to the next, and pixels that fit them."""
    planes = []
    for number in range(t * z):
        shown = np.roll(labels, number * 3, axis=1)
        grey = 100 + (shown > 0) * 900 + shown % 50
        pixels = np.stack([grey + 10 * channel for channel in range(channels)]).astype(np.uint16)
        planes.append(MemoryPlane(shown, pixels, t=number // z, z=number % z))
    return planes


def result_image(planes: Sequence[MemoryPlane], **changes: Any) -> ResultImage:
    pixels = planes[0].pixels(range(len(planes[0]._pixels)), (slice(0, 1), slice(0, 1)))
    names = changes.get("channel_names", tuple(f"channel {i}" for i in range(len(pixels))))
    size = changes.get("pixel_size_um")
    values: dict[str, Any] = {
        "stem": "cells",
        "sizes": {
            "t": max(plane.t for plane in planes) + 1,
            "c": len(pixels),
            "z": max(plane.z for plane in planes) + 1,
            "y": planes[0].shape[0],
            "x": planes[0].shape[1],
        },
        "dtype": pixels.dtype,
        "is_rgb": False,
        "channel_names": names,
        "channels": (0,),
        "pixel_size_um": None,
        "z_step_um": None,
        "frame_interval_s": None,
        "columns": ("t", "z", *column_names(names, size)),
        "label_dtype": np.dtype(np.uint16),
        "about": ABOUT,
    }
    return ResultImage(**{**values, **changes})


def write(
    writer: Callable[[Path, ResultImage], Writer],
    path: Path,
    planes: Iterable[MemoryPlane],
    image: ResultImage,
    at_once: int = 1000,
) -> Path:
    """Push planes, instances and rows through a writer; `at_once` boxes at a time."""
    made = writer(path, image)
    for plane in planes:
        table = rows_of(plane, image)
        boxes = {name: table[name] for name in BOX}
        for first in range(0, len(table["label"]), at_once):
            part = {name: column[first : first + at_once] for name, column in boxes.items()}
            made.add_instances(plane, part)
        made.add_plane(plane)
        made.add_rows(table)
    made.close()
    return path


def rows_of(plane: MemoryPlane, image: ResultImage) -> dict[str, np.ndarray]:
    names = image.channel_names
    pixels = plane.pixels(range(len(names)))
    table = measure(plane.labels(), pixels, names, image.pixel_size_um)
    count = len(table["label"])
    return {"t": np.full(count, plane.t), "z": np.full(count, plane.z), **table}

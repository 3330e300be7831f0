"""Small images of bright bars, and the files that hold them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import numpy as np
import tifffile


def spots(count: int = 5) -> np.ndarray:
    """(100, 120) uint16: `count` bars of 10 x 15 px, one below the other."""
    image = np.zeros((100, 120), np.uint16)
    for i in range(count):
        image[10 + 15 * i : 20 + 15 * i, 30:45] = 1000
    return image


def tiff(image: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()

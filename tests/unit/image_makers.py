"""Image files made in memory, and the reader opened on them, for the tests of image reading."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile

from kiosk.adapters.image_files import ImageFileReader
from kiosk.ports import ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

RNG = np.random.default_rng(5)


def pixels(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return RNG.random(shape) > 0.5
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def tiff(data: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    writer = {k: options.pop(k) for k in ("bigtiff", "byteorder", "imagej", "ome") if k in options}
    with tifffile.TiffWriter(buffer, **writer) as tif:
        tif.write(data, **options)
    return buffer.getvalue()


def opened(data: bytes, name: str = "cells.tif", **limits: int) -> ImageSource:
    return ImageFileReader(LimitSettings(**limits)).open(io.BytesIO(data), name)


def asked(data: bytes, name: str = "cells.tif", **options: Any) -> ImageSource:
    """Opened with the options of a caller."""
    return ImageFileReader(LimitSettings()).open(io.BytesIO(data), name, ReadOptions(**options))


def everything(source: ImageSource) -> np.ndarray:
    """(t, z, c, y, x)."""
    channels = range(source.sizes["c"])
    return np.stack(
        [
            np.stack([source.plane(t, z, channels) for z in range(source.sizes["z"])])
            for t in range(source.sizes["t"])
        ]
    )

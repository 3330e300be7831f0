"""The label image as OME-TIFF: tiled and with smaller resolutions where planes are large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from kiosk.exports.writer import LabelPlane, ResultImage, Writer

# Planes up to this side are one piece, which every program reads; larger ones are tiled and get
# smaller resolutions, so that a viewer need not unpack all of a slide.
LARGE_PX = 4096
TILE_PX = 512
# Resolutions are halved until a plane is about a screen.
SMALLEST_PX = 1024
ZLIB = {"compression": "zlib", "compressionargs": {"level": 4}, "photometric": "minisblack"}
MICROMETRE = "\u00b5m"


class LabelTiff(Writer):
    """Axes as in the image, without channels; zlib; uint16 or uint32; pixel size kept."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        sizes = image.sizes
        self._shape = (sizes["y"], sizes["x"])
        planes = sizes["t"] * sizes["z"]
        raw = planes * sizes["y"] * sizes["x"] * image.label_dtype.itemsize
        # Classic TIFF ends at 4 GiB; compressed labels are far smaller than their raw size, but a
        # file that cannot be written to its end is worse than one in the newer layout.
        self._tiff = tifffile.TiffWriter(path, bigtiff=raw > 2**32 - 2**25)
        self._description: str | None = _ome_xml(image)

    def add_plane(self, plane: LabelPlane) -> None:
        common: dict[str, Any] = {**ZLIB, "dtype": self.image.label_dtype, "metadata": None}
        # Only the first page carries the description of the whole file.
        first = {"description": self._description, "software": "kiosk"} if self._description else {}
        self._description = None
        if max(self._shape) <= LARGE_PX:
            labels = plane.labels().astype(self.image.label_dtype, copy=False)
            self._tiff.write(labels, **common, **first)
            return
        common |= {"tile": (TILE_PX, TILE_PX)}
        strides = _strides(self._shape)
        for number, stride in enumerate(strides):
            shape = tuple(-(-length // stride) for length in self._shape)
            extra: dict[str, Any] = (
                {**first, "subifds": len(strides) - 1} if number == 0 else {"subfiletype": 1}
            )
            self._tiff.write(self._tiles(plane, stride), shape=shape, **common, **extra)

    def _tiles(self, plane: LabelPlane, stride: int) -> Iterator[np.ndarray]:
        """The tiles of one resolution, row by row; each label as it is at every nth pixel."""
        height, width = self._shape
        step = TILE_PX * stride
        for top in range(0, height, step):
            window = slice(top, min(top + step, height)), slice(0, width)
            band = self._thinned(plane, window, stride)
            for left in range(0, band.shape[1], TILE_PX):
                yield np.ascontiguousarray(band[:, left : left + TILE_PX])

    def _thinned(self, plane: LabelPlane, window: tuple[slice, slice], stride: int) -> np.ndarray:
        """Every nth label of a band of rows, read in pieces of one row of tiles at most."""
        rows, columns = window
        pieces = []
        for top in range(rows.start, rows.stop, TILE_PX):
            piece = plane.labels((slice(top, min(top + TILE_PX, rows.stop)), columns))
            pieces.append(piece[::stride, ::stride].astype(self.image.label_dtype))
        return np.concatenate(pieces)

    def close(self) -> None:
        self._tiff.close()

    discard = close


def _strides(shape: tuple[int, int]) -> list[int]:
    """1, 2, 4, ... until the plane is small."""
    strides = [1]
    while max(shape) / strides[-1] > SMALLEST_PX and strides[-1] < TILE_PX:
        strides.append(strides[-1] * 2)
    return strides


def _ome_xml(image: ResultImage) -> str:
    sizes = image.sizes
    axes = [axis for axis in "tz" if sizes[axis] > 1] + ["y", "x"]
    shape = tuple(sizes[axis] for axis in axes)
    metadata: dict[str, Any] = {"axes": "".join(axes).upper(), "Name": "labels"}
    if image.pixel_size_um is not None:
        size_y, size_x = image.pixel_size_um
        metadata |= {"PhysicalSizeY": size_y, "PhysicalSizeYUnit": MICROMETRE}
        metadata |= {"PhysicalSizeX": size_x, "PhysicalSizeXUnit": MICROMETRE}
    if image.z_step_um and sizes["z"] > 1:
        metadata |= {"PhysicalSizeZ": image.z_step_um, "PhysicalSizeZUnit": MICROMETRE}
    if image.frame_interval_s and sizes["t"] > 1:
        metadata |= {"TimeIncrement": image.frame_interval_s, "TimeIncrementUnit": "s"}
    names = [image.channel_names[channel] for channel in image.channels]
    metadata["Channel"] = {"Name": f"labels of {', '.join(names)}"}
    xml = tifffile.OmeXml()
    pages = sizes["t"] * sizes["z"]
    xml.addimage(
        image.label_dtype,
        shape,
        (pages, 1, 1, sizes["y"], sizes["x"], 1),
        **metadata,
    )
    return str(xml.tostring())

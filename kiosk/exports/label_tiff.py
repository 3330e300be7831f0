"""The label image as OME-TIFF: tiled and with smaller resolutions where planes are large."""

from __future__ import annotations

import os
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import tifffile

from kiosk.exports.writer import LabelPlane, ResultImage, Writer
from kiosk.imaging.pyramids import Pyramid, level_count, level_shape, nearest
from kiosk.ports import Window

# Planes up to this side are one piece, which every program reads; larger ones are tiled and get
# smaller resolutions, so that a viewer need not unpack all of a slide.
LARGE_PX = 4096
TILE_PX = 512
# Resolutions are halved until a plane is about a screen.
SMALLEST_PX = 1024
ZLIB_LEVEL = 4
ZLIB = {"compression": "zlib", "compressionargs": {"level": ZLIB_LEVEL}}
# Tiles are packed by several threads, this many bytes at a time.
WORKERS = min(4, os.cpu_count() or 1)
AT_A_TIME_BYTES = 64 * 2**20
MICROMETRE = "\u00b5m"


class LabelTiff(Writer):
    """Axes as in the image, without channels; zlib; uint16 or uint32; pixel size kept."""

    name = "labels"

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        sizes = image.sizes
        self._shape = (sizes["y"], sizes["x"])
        self._tile = tile_shape(self._shape)
        planes = sizes["t"] * sizes["z"]
        raw = planes * sizes["y"] * sizes["x"] * image.label_dtype.itemsize
        # Classic TIFF ends at 4 GiB; compressed labels are far smaller than their raw size, but a
        # file that cannot be written to its end is worse than one in the newer layout. A third is
        # what smaller resolutions add. The name must not decide on OME: the description is ours.
        big = raw * 4 // 3 > 2**32 - 2**25
        self._tiff = tifffile.TiffWriter(path, bigtiff=big, ome=False)
        # Only the first page carries the description of the whole file.
        self._first: dict[str, Any] = {
            "description": _ome_xml(image, self.name),
            "software": "kiosk",
        }

    def labels_of(self, plane: LabelPlane, window: Window | None = None) -> np.ndarray:
        """(y, x) uint32 labels to be written, of the plane or of a window of it."""
        return plane.labels(window)

    def add_plane(self, plane: LabelPlane) -> None:
        dtype = self.image.label_dtype
        options: dict[str, Any] = {"dtype": dtype, "metadata": None, "photometric": "minisblack"}
        options |= ZLIB
        first, self._first = self._first, {}
        if max(self._shape) <= LARGE_PX:
            labels = self.labels_of(plane).astype(dtype, copy=False)
            self._tiff.write(labels, **options, **first)
            return
        options |= {"tile": self._tile}
        levels = level_count(self._shape, SMALLEST_PX)
        touched = self.image.touched
        if touched is not None and max(side.stop - side.start for side in touched) <= LARGE_PX:
            held = self.labels_of(plane, touched).astype(dtype, copy=False)
            few = _FewLabels(held, touched, self._tile)
            for level in range(levels):
                shape = level_shape(self._shape, level)
                own = {"subfiletype": 1} if level else {"subifds": levels - 1, **first}
                self._tiff.write(few.tiles(shape, level), shape=shape, **options, **own)
            return
        with tempfile.TemporaryFile(dir=self.path.parent) as file:
            smaller = _Smaller(self._shape, self._tile, levels, dtype, file)
            self._tiff.write(
                self._tiles(plane, smaller),
                shape=self._shape,
                subifds=levels - 1,
                maxworkers=WORKERS,
                buffersize=AT_A_TIME_BYTES,
                **options,
                **first,
            )
            for level in range(1, levels):
                shape = level_shape(self._shape, level)
                tiles = smaller.tiles(level)
                self._tiff.write(tiles, shape=shape, subfiletype=1, **options)

    def _tiles(self, plane: LabelPlane, smaller: _Smaller) -> Iterator[np.ndarray]:
        """The tiles of the full resolution, row by row; each row of the plane is read once."""
        (height, width), (tile_height, tile_width) = self._shape, self._tile
        for top in range(0, height, tile_height):
            window = slice(top, min(top + tile_height, height)), slice(0, width)
            band = self.labels_of(plane, window).astype(self.image.label_dtype, copy=False)
            smaller.push(band)
            yield from _cut(band, tile_width)
            del band  # or it would be there while the next one is read

    def close(self) -> None:
        self._tiff.close()

    discard = close


class _FewLabels:
    """Packed tiles of a plane that has labels in a small window only; the others are all alike.

    Args:
        labels: (y, x) those in the window.
    """

    def __init__(self, labels: np.ndarray, window: Window, tile: tuple[int, int]) -> None:
        self._labels, self._window, self._tile = labels, window, tile
        self._nothing = zlib.compress(bytes(tile[0] * tile[1] * labels.itemsize), ZLIB_LEVEL)

    def tiles(self, shape: tuple[int, int], level: int) -> Iterator[bytes]:
        """All tiles of a resolution of this (y, x) shape, row by row."""
        step = 2**level
        # Every step-th pixel of the plane, as `pyramids.nearest` takes them.
        first = [-(-side.start // step) for side in self._window]
        held = self._labels[
            tuple(
                slice(start * step - side.start, None, step)
                for start, side in zip(first, self._window, strict=True)
            )
        ]
        for top in range(0, shape[0], self._tile[0]):
            for left in range(0, shape[1], self._tile[1]):
                yield self._packed(held, top - first[0], left - first[1])

    def _packed(self, held: np.ndarray, top: int, left: int) -> bytes:
        """The tile at a place that counts from the first of the held labels."""
        height, width = self._tile
        part = held[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
        if not part.any():
            return self._nothing
        whole = np.zeros(self._tile, held.dtype)
        y, x = max(0, -top), max(0, -left)
        whole[y : y + part.shape[0], x : x + part.shape[1]] = part
        return zlib.compress(whole.tobytes(), ZLIB_LEVEL)


class _Smaller:
    """Packed tiles of the smaller resolutions, kept in a file until their turn comes."""

    def __init__(
        self,
        shape: tuple[int, int],
        tile: tuple[int, int],
        levels: int,
        dtype: np.dtype[Any],
        file: IO[bytes],
    ) -> None:
        self._pyramid = Pyramid(shape, levels, tile[0], nearest)
        self._tile = tile
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(levels)]
        self._dtype, self._file = dtype, file

    def push(self, band: np.ndarray) -> None:
        for level, _, rows in self._pyramid.push(band):
            for tile in _cut(rows, self._tile[1]) if level else ():
                whole = np.zeros(self._tile, self._dtype)
                whole[: tile.shape[0], : tile.shape[1]] = tile
                packed = zlib.compress(whole.tobytes(), ZLIB_LEVEL)
                self._places[level].append((self._file.tell(), len(packed)))
                self._file.write(packed)

    def tiles(self, level: int) -> Iterator[bytes]:
        for place, length in self._places[level]:
            self._file.seek(place)
            yield self._file.read(length)


def tile_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """(y, x) of the tiles of a plane: small along an axis that is; TIFF wants multiples of 16."""
    height, width = (min(TILE_PX, -(-length // 16) * 16) for length in shape)
    return height, width


def _cut(band: np.ndarray, width_px: int) -> Iterator[np.ndarray]:
    for left in range(0, band.shape[1], width_px):
        yield np.ascontiguousarray(band[:, left : left + width_px])


def _ome_xml(image: ResultImage, name: str) -> bytes:
    """The description that tifffile would write, for planes that are written one by one."""
    sizes = image.sizes
    axes = [axis for axis in "tz" if sizes[axis] > 1] + ["y", "x"]
    metadata: dict[str, Any] = {"axes": "".join(axes).upper(), "Name": name}
    if image.pixel_size_um is not None:
        size_y, size_x = image.pixel_size_um
        metadata |= {"PhysicalSizeY": size_y, "PhysicalSizeYUnit": MICROMETRE}
        metadata |= {"PhysicalSizeX": size_x, "PhysicalSizeXUnit": MICROMETRE}
    if image.z_step_um and sizes["z"] > 1:
        metadata |= {"PhysicalSizeZ": image.z_step_um, "PhysicalSizeZUnit": MICROMETRE}
    if image.frame_interval_s and sizes["t"] > 1:
        metadata |= {"TimeIncrement": image.frame_interval_s, "TimeIncrementUnit": "s"}
    names = [image.channel_names[channel] for channel in image.channels]
    metadata["Channel"] = {"Name": f"{name} of {', '.join(names)}"}
    # A join that is done twice leaves the same bytes.
    job = (image.about or {}).get("job", "")
    number = uuid.uuid5(uuid.NAMESPACE_URL, f"{job}/{image.stem}/{name}")
    xml = tifffile.OmeXml(Creator="kiosk", UUID=str(number))
    shape = tuple(sizes[axis] for axis in axes)
    stored = (sizes["t"] * sizes["z"], 1, 1, sizes["y"], sizes["x"], 1)
    xml.addimage(image.label_dtype, shape, stored, **metadata)
    return str(xml.tostring(declaration=True)).encode()

"""Image and labels as OME-Zarr 0.5 in one file: a zip without compression of its own.

    zarr.json                     the image: axes, pixel sizes, channels
    0, 1, ...                     its resolutions; chunks of 512 x 512 pixels, zstd
    labels/instances/zarr.json    the label image
    labels/instances/0, 1, ...    its resolutions, as many as the image has

Everything is written once and in one direction, so the plane may be of any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports.ome_zarr_metadata import (
    LABELS_NAME,
    axes_of,
    image_attributes,
    label_image_attributes,
    labels_attributes,
)
from kiosk.exports.writer import LabelPlane, ResultImage, Writer
from kiosk.imaging.intensity import Limits, plane_limits
from kiosk.imaging.pyramids import Pyramid, Shrink, level_count, level_shape, mean, nearest

CHUNK_PX = 512
SMALLEST_PX = 1024
# Grey values are taken from a picture of this size.
LOOK_PX = 1024
# Bands of several channels are read together up to this size: samples of one colour image lie
# together in its file.
AT_A_TIME_BYTES = 64 * 2**20


class OmeZarr(Writer):
    """Axes t, c and z where there is more than one, y, x; pixels in the dtype of the image."""

    def __init__(self, path: Path, image: ResultImage) -> None:
        super().__init__(path, image)
        from zarr.storage import ZipStore

        self._shape = (image.sizes["y"], image.sizes["x"])
        self._levels = level_count(self._shape, SMALLEST_PX)
        self._store = ZipStore(path, mode="w")
        self._pixels: list[Any] = []
        self._labels: list[Any] = []

    def add_plane(self, plane: LabelPlane) -> None:
        channels = range(self.image.sizes["c"])
        if not self._pixels:
            look = plane.small_pixels(channels, LOOK_PX)
            self._begin([plane_limits(channel[None], 0.5, 99.8) for channel in look])
        band_bytes = CHUNK_PX * self._shape[1] * self.image.dtype.itemsize
        at_once = max(1, AT_A_TIME_BYTES // band_bytes)
        for first in range(0, len(channels), at_once):
            some = channels[first : first + at_once]
            bands = (plane.pixels(some, window) for window in self._windows())
            self._write(self._pixels, [(plane.t, c, plane.z) for c in some], bands, mean)
        labels = (plane.labels(window)[None] for window in self._windows())
        self._write(self._labels, [(plane.t, 0, plane.z)], labels, nearest)

    def _windows(self) -> Iterator[tuple[slice, slice]]:
        height, width = self._shape
        for top in range(0, height, CHUNK_PX):
            yield slice(top, min(top + CHUNK_PX, height)), slice(0, width)

    def _write(
        self,
        arrays: Sequence[Any],
        places: Sequence[tuple[int, int, int]],
        bands: Iterator[np.ndarray],
        shrink: Shrink,
    ) -> None:
        """All resolutions of some (y, x) planes that come in bands of (plane, y, x)."""
        pyramids = [Pyramid(self._shape, self._levels, CHUNK_PX, shrink) for _ in places]
        for band in bands:
            for number, (place, pyramid) in enumerate(zip(places, pyramids, strict=True)):
                self._push(band[number], arrays, place, pyramid)
            del band  # or it would be there while the next one is read

    def _push(
        self, rows: np.ndarray, arrays: Sequence[Any], place: tuple[int, ...], pyramid: Pyramid
    ) -> None:
        for level, top, piece in pyramid.push(rows.astype(arrays[0].dtype, copy=False)):
            arrays[level][*self._index(place), top : top + len(piece), :] = piece

    def _index(self, place: tuple[int, ...]) -> tuple[int, ...]:
        present = axes_of(self.image)
        return tuple(n for axis, n in zip("tcz", place, strict=True) if axis in present)

    def _begin(self, limits: Sequence[Limits]) -> None:
        """All metadata, before the first pixel: entries of a zip cannot be changed."""
        import zarr

        image, levels = self.image, self._levels
        root = zarr.create_group(self._store, attributes=image_attributes(image, levels, limits))
        self._pixels = self._arrays(root, image.dtype.newbyteorder("="), image.sizes["c"])
        labels = root.create_group("labels", attributes=labels_attributes())
        group = labels.create_group(LABELS_NAME, attributes=label_image_attributes(image, levels))
        self._labels = self._arrays(group, image.label_dtype, 1)

    def _arrays(self, group: Any, dtype: np.dtype[Any], channels: int) -> list[Any]:
        from zarr.codecs import BloscCodec

        axes = axes_of(self.image)
        made = []
        for level in range(self._levels):
            height, width = level_shape(self._shape, level)
            sizes = {**self.image.sizes, "c": channels, "y": height, "x": width}
            # Chunks of a low or narrow plane are not filled up to a square.
            chunk = {axis: min(CHUNK_PX, sizes[axis]) for axis in "yx"}
            array = group.create_array(
                str(level),
                shape=tuple(sizes[axis] for axis in axes),
                chunks=tuple(chunk.get(axis, 1) for axis in axes),
                dtype=dtype,
                compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
                dimension_names=axes,
                fill_value=0,
            )
            made.append(array)
        return made

    def close(self) -> None:
        if not self._pixels:
            self._begin([Limits(0.0, 1.0)] * self.image.sizes["c"])
        self._store.close()

    def discard(self) -> None:
        self._store.close()

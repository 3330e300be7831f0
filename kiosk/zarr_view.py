"""A job's image and labels as OME-Zarr 0.4, made as it is asked for: nothing of it is stored.

    .zgroup .zattrs .zmetadata    the image: axes, pixel sizes, channels; and all of this in one
    0/.zarray 0/0/0/3/1           a resolution of it, chunks of one tile, packed by gzip
    labels/.zgroup .zattrs        which label images there are
    labels/cells/...              the label image, as the image; only once the job has succeeded

Version 0.4 (zarr 2) is what napari, vizarr, neuroglancer and Fiji all read; result files are 0.5.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kiosk.callers import Caller
from kiosk.errors import NotFound
from kiosk.exports.ome_zarr_metadata import (
    as_version_04,
    axes_of,
    image_attributes,
    label_image_attributes,
    labels_attributes,
)
from kiosk.exports.writer import ResultImage
from kiosk.image_info import ImageInfo, TileAt
from kiosk.imaging.intensity import Limits
from kiosk.imaging.tile_grid import TILE_PX
from kiosk.jobs import Job, result_stem
from kiosk.plane_pieces import ShownImage
from kiosk.tiles import Tiles

LABELS_NAME = "cells"
_LABELS = f"labels/{LABELS_NAME}"
_LABEL_DTYPE = np.dtype("<u4")
_GROUP = {"zarr_format": 2}
_CHUNK = re.compile(rf"(?:({_LABELS})/)?(\d{{1,2}})/((?:\d{{1,9}}/){{1,4}}\d{{1,9}})")


class ZarrView:
    """The files of that OME-Zarr."""

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles

    async def read(self, job_id: str, path: str, *, caller: Caller) -> bytes:
        """A file by its path in the OME-Zarr. Raises NotFound."""
        if chunk := _CHUNK.fullmatch(path):
            labels, level, index = chunk.groups()
            return await self._chunk(job_id, bool(labels), int(level), index, caller)
        if path.rpartition("/")[2].startswith(".z"):
            documents = await self._documents(job_id, caller)
            if path in documents:
                return json.dumps(documents[path]).encode()
        raise _nothing()

    async def _documents(self, job_id: str, caller: Caller) -> dict[str, Any]:
        job = await self._tiles.job(job_id, caller=caller)
        info = await self._tiles.job_image(job_id, caller=caller)
        if not info.channels:
            raise _nothing()
        image, levels = _result_image(job, info), len(info.levels)
        limits = [Limits(c.real(c.low), c.real(c.high)) for c in info.channels]
        colours = [channel.color for channel in info.channels]
        found: dict[str, Any] = {
            ".zgroup": _GROUP,
            ".zattrs": as_version_04(image_attributes(image, levels, limits, colours)),
            **_arrays("", image, info, _served(image.dtype), info.sizes["c"]),
        }
        if info.has_labels:
            attributes = label_image_attributes(image, levels, LABELS_NAME)
            found |= {
                "labels/.zgroup": _GROUP,
                "labels/.zattrs": as_version_04(labels_attributes(LABELS_NAME)),
                f"{_LABELS}/.zgroup": _GROUP,
                f"{_LABELS}/.zattrs": as_version_04(attributes),
                **_arrays(f"{_LABELS}/", image, info, _LABEL_DTYPE, 1),
            }
        consolidated = {"zarr_consolidated_format": 1, "metadata": dict(found)}
        return {**found, ".zmetadata": consolidated}

    async def _chunk(
        self, job_id: str, are_labels: bool, level: int, index: str, caller: Caller
    ) -> bytes:
        """A tile filled up to a whole chunk with zeros."""
        image = await self._tiles.shown(job_id, caller=caller)
        at = _place(image, level, [int(number) for number in index.split("/")])
        if are_labels:
            if at.c:
                raise _nothing()
            around = await self._tiles.job_label_array(job_id, at, caller=caller)
            tile, dtype = around[1:-1, 1:-1], _LABEL_DTYPE
        else:
            tile = await self._tiles.job_array(job_id, at, caller=caller)
            dtype = _served(image.dtype)
        chunk = np.zeros((TILE_PX, TILE_PX), dtype)
        chunk[: tile.shape[0], : tile.shape[1]] = tile
        return await self._tiles.packed(chunk)


def _nothing() -> NotFound:
    return NotFound("There is nothing at this address of the OME-Zarr.")


def _place(image: ShownImage, level: int, index: Sequence[int]) -> TileAt:
    """The tile of a chunk. Raises NotFound."""
    axes = [axis for axis in "tcz" if image.sizes[axis] > 1]
    if len(index) != len(axes) + 2:
        raise _nothing()
    place = dict(zip(axes, index, strict=False))
    return TileAt(
        level=level,
        t=place.get("t", 0),
        z=place.get("z", 0),
        c=place.get("c", 0),
        row=index[-2],
        column=index[-1],
    )


def _served(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of the pixels as others read it: little-endian, none that viewers do not know."""
    known = {("b", 1): "|u1", ("f", 2): "<f4", ("f", 16): "<f8"}
    return np.dtype(known.get((dtype.kind, dtype.itemsize), dtype.newbyteorder("<")))


def _arrays(
    path: str, image: ResultImage, info: ImageInfo, dtype: np.dtype[Any], channels: int
) -> dict[str, Any]:
    """The documents of the arrays of all resolutions."""
    axes, found = axes_of(image), {}
    for level, size in enumerate(info.levels):
        sizes = {**info.sizes, "c": channels, "y": size.height_px, "x": size.width_px}
        found[f"{path}{level}/.zarray"] = {
            "zarr_format": 2,
            "shape": [sizes[axis] for axis in axes],
            "chunks": [TILE_PX if axis in "yx" else 1 for axis in axes],
            "dtype": dtype.str,
            "compressor": {"id": "gzip", "level": 1},
            "fill_value": 0,
            "filters": None,
            "order": "C",
            "dimension_separator": "/",
        }
    return found


def _result_image(job: Job, info: ImageInfo) -> ResultImage:
    """The image as the writers of results see it, whose metadata are the same."""
    return ResultImage(
        stem=result_stem(job.file_name),
        sizes=info.sizes,
        dtype=np.dtype(info.dtype),
        is_rgb=info.is_rgb,
        channel_names=[channel.name for channel in info.channels],
        channels=info.shown_channels,
        pixel_size_um=info.pixel_size_um,
        z_step_um=info.z_step_um,
        frame_interval_s=info.frame_interval_s,
        columns=(),
        label_dtype=_LABEL_DTYPE,
        is_volume=info.labels_are_volumes,
        about={"job": job.id, "model": f"{job.model}:{job.model_version}"} if job.model else None,
    )

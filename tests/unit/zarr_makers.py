"""OME-Zarr hierarchies in folders and zips, made with the zarr package, for tests."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from kiosk.adapters.image_files import ImageFileReader
from kiosk.ports import ImageSource
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_UNITS = {"t": "second", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
SCALE = {"t": 60.0, "c": 1.0, "z": 2.0, "y": 0.5, "x": 0.25}


def axes_metadata(axes: str, units: Mapping[str, str] = _UNITS) -> list[dict[str, str]]:
    return [
        {"name": a, "type": _KINDS[a]} | ({"unit": units[a]} if a in units else {}) for a in axes
    ]


def multiscale(axes: str, paths: Sequence[str] = ("0",), **more: Any) -> dict[str, Any]:
    """Metadata with the scale of `SCALE` at full size."""
    datasets = [
        {
            "path": path,
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [SCALE[a] * (2**level if a in "yx" else 1) for a in axes],
                }
            ],
        }
        for level, path in enumerate(paths)
    ]
    return {"axes": axes_metadata(axes), "datasets": datasets, **more}


def write_group(folder: Path, ome: Mapping[str, Any], zarr_format: int) -> None:
    """A group with OME metadata where its format keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    if zarr_format == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps(ome))
    else:
        attributes = {"ome": {"version": "0.5", **ome}}
        text = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": attributes})
        (folder / "zarr.json").write_text(text)


def write_image(
    folder: Path,
    data: np.ndarray,
    axes: str,
    *,
    zarr_format: int = 3,
    levels: int = 1,
    ome: Mapping[str, Any] = {},
    **array: Any,
) -> list[np.ndarray]:
    """An OME-Zarr image; gives the data of its levels, every second pixel of the one before."""
    step = tuple(slice(None, None, 2 if a in "yx" else None) for a in axes)
    arrays = [data]
    for _ in range(levels - 1):
        arrays.append(arrays[-1][step])
    paths = [str(level) for level in range(levels)]
    write_group(folder, {"multiscales": [multiscale(axes, paths)], **ome}, zarr_format)
    array.setdefault("chunks", tuple(min(n, 16) for n in data.shape))
    for path, level in zip(paths, arrays, strict=True):
        options = dict(array)
        if "shards" not in options:
            options["chunks"] = tuple(
                min(a, b) for a, b in zip(options["chunks"], level.shape, strict=True)
            )
        stored = zarr.create_array(
            str(folder / path),
            shape=level.shape,
            dtype=level.dtype,
            zarr_format=zarr_format,
            **options,
        )
        stored[...] = level
    return arrays


def zipped(folder: Path, top: str = "", compression: int = zipfile.ZIP_STORED) -> bytes:
    """The files of a folder as a zip, below a folder `top`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{top}/{path.relative_to(folder)}".lstrip("/"))
    return buffer.getvalue()


def zip_of(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def reader(**limits: int) -> ImageFileReader:
    return ImageFileReader(LimitSettings(**limits))


def open_folder(folder: Path, series: int = 0, **limits: int) -> ImageSource:
    return reader(**limits).open(f"file://{folder}", "image.zarr", ReadOptions(series=series))


def open_zip(data: bytes, name: str = "cells.zip", member: str = "", **limits: int) -> ImageSource:
    return reader(**limits).open(io.BytesIO(data), name, ReadOptions(member=member))


def in_order(data: np.ndarray, axes: str) -> np.ndarray:
    """(t, z, c, y, x) from data with any of these axes."""
    missing = [a for a in "tzcyx" if a not in axes]
    data = data.reshape((1,) * len(missing) + data.shape)
    order = "".join(missing) + axes
    return data.transpose([order.index(a) for a in "tzcyx"])

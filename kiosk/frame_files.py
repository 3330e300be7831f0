"""A folder of single frames as one movie: an OME-TIFF that is sent in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from kiosk.errors import InvalidRequest, KioskError
from kiosk.image_paths import find_images
from kiosk.ports import ImageFiles, ImageSource

# Frames are packed fast: the file is sent once and thrown away.
ZLIB_LEVEL = 1


class FrameFolder:
    """The frames of a folder in natural order of their names; all alike but for their pixels.

    Args:
        skip_bad_frames: a file that cannot be read becomes an empty frame, and is in `bad`.
    """

    def __init__(self, folder: Path, files: ImageFiles, *, skip_bad_frames: bool = False) -> None:
        self._files, self._folder, self._skip = files, folder, skip_bad_frames
        self._names = [Path(name) for name in find_images([folder])]
        # What was wrong with the files that could not be read, by name.
        self.bad: dict[str, str] = {}

    def write(self, target: Path) -> None:
        """Write all frames as one OME-TIFF.

        Raises:
            InvalidRequest: a file cannot be read, holds several frames, or is unlike the others.
        """
        first, sizes, options = self._first()
        while True:
            try:
                self._write(target, first, sizes, options)
                return
            except _WiderType as wider:  # frames of 8 bit where they are enough, then one of 16
                first.dtype = wider.dtype

    def _write(
        self, target: Path, first: _Kind, sizes: dict[str, int], options: dict[str, Any]
    ) -> None:
        self.bad.clear()
        axes = "TYXS" if first.is_rgb else "TCZYX"
        shape = (len(self._names), *(sizes[a] for a in "czyx"))
        if first.is_rgb:
            shape = (len(self._names), sizes["y"], sizes["x"], sizes["c"])
        plane = (*shape[-3:],) if first.is_rgb else shape[-2:]
        raw = int(np.prod(shape, dtype=np.int64)) * first.dtype.itemsize
        with tifffile.TiffWriter(target, bigtiff=raw > 2**32 - 2**25, ome=True) as tif:
            tif.write(
                self._planes(first, sizes),
                shape=shape,
                dtype=first.dtype,
                metadata={"axes": axes, **options},
                photometric="rgb" if first.is_rgb else "minisblack",
                compression="zlib",
                compressionargs={"level": ZLIB_LEVEL},
                # A frame is one piece, which the reader unpacks whole.
                rowsperstrip=plane[0],
            )

    def _first(self) -> tuple[_Kind, dict[str, int], dict[str, Any]]:
        """What the first readable frame is like; the others have to be alike."""
        for path in self._names:
            try:
                with self._opened(path) as source:
                    return _Kind(source), dict(source.sizes), _metadata(source)
            except KioskError:
                if not self._skip:
                    raise
        raise InvalidRequest(f"No file in '{self._folder}' can be read as an image.")

    def _planes(self, kind: _Kind, sizes: dict[str, int]) -> Iterator[np.ndarray]:
        for path in self._names:
            try:
                yield from self._frame(path, kind, sizes)
            except KioskError as error:
                if not self._skip:
                    raise
                self.bad[path.name] = error.message
                count = 1 if kind.is_rgb else sizes["c"] * sizes["z"]
                samples = (sizes["c"],) if kind.is_rgb else ()
                for _ in range(count):
                    yield np.zeros((sizes["y"], sizes["x"], *samples), kind.dtype)

    def _frame(self, path: Path, kind: _Kind, sizes: dict[str, int]) -> list[np.ndarray]:
        with self._opened(path) as source:
            if source.sizes["t"] > 1:
                raise InvalidRequest(
                    f"'{path.name}' holds {source.sizes['t']} frames, and a folder is taken as one"
                    " movie of single frames; give such files by themselves."
                )
            if dict(source.sizes) != sizes:
                raise InvalidRequest(
                    f"'{path.name}' has {_listed(source.sizes)}, and the first frame"
                    f" {_listed(sizes)}; the frames of a movie must be of one size."
                )
            own = _held_in(source.dtype)
            if not np.can_cast(own, kind.dtype):
                raise _WiderType(np.promote_types(own, kind.dtype))
            channels = range(sizes["c"])
            planes = [source.plane(0, z, channels) for z in range(sizes["z"])]
        if own != source.dtype and any(_is_beyond(plane, kind.dtype) for plane in planes):
            raise _WiderType(np.dtype(np.float64))
        planes = [plane.astype(kind.dtype) for plane in planes]
        if kind.is_rgb:
            return [np.ascontiguousarray(np.moveaxis(planes[0], 0, -1))]
        return [plane[c] for c in channels for plane in planes]

    @contextmanager
    def _opened(self, path: Path) -> Iterator[ImageSource]:
        source = self._files.open(path.open("rb"), path.name)
        try:
            yield source
        finally:
            source.close()


class _WiderType(Exception):
    """A frame has values that the type of those before it cannot hold."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        super().__init__(dtype)
        self.dtype = np.dtype(np.float64) if dtype.kind in "iu" and dtype.itemsize == 8 else dtype


class _Kind:
    """What the pixels of a movie are."""

    def __init__(self, source: ImageSource) -> None:
        self.is_rgb, self.dtype = source.is_rgb, _held_in(source.dtype)


def _held_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type for pixels in an OME-TIFF, which has none of 64 bit for whole numbers."""
    if dtype.kind in "iu" and dtype.itemsize == 8:
        return np.dtype(np.uint32)
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _is_beyond(plane: np.ndarray, dtype: np.dtype[Any]) -> bool:
    """Whether there are whole numbers that another type of whole numbers cannot hold."""
    if plane.dtype.kind not in "iu" or dtype.kind not in "iu":
        return False
    limits = np.iinfo(dtype)
    return int(plane.min()) < limits.min or int(plane.max()) > limits.max


def _metadata(source: ImageSource) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if source.pixel_size_um is not None:
        size_y, size_x = source.pixel_size_um
        found |= {"PhysicalSizeY": size_y, "PhysicalSizeX": size_x}
        found |= {"PhysicalSizeYUnit": "\u00b5m", "PhysicalSizeXUnit": "\u00b5m"}
    if source.z_step_um is not None and source.sizes["z"] > 1:
        found |= {"PhysicalSizeZ": source.z_step_um, "PhysicalSizeZUnit": "\u00b5m"}
    if not source.is_rgb:
        found["Channel"] = {"Name": list(source.channel_names)}
    return found


def _listed(sizes: Any) -> str:
    names: Sequence[tuple[str, str]] = (("c", "channels"), ("z", "z-planes"))
    more = [f"{sizes[axis]} {name}" for axis, name in names if sizes[axis] > 1]
    return ", ".join([f"{sizes['y']} x {sizes['x']} pixels", *more])

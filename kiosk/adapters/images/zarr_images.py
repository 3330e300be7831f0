"""OME-Zarr images, 0.4 and 0.5: read chunk by chunk, only those that a window touches."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kiosk.adapters.images.plain_images import (
    BYTES_PER_PX,
    RGB_NAMES,
    check_sizes,
    check_sparse,
    corrupt,
    out_of_range,
)
from kiosk.adapters.images.zarr_documents import ArrayDocument, read_array
from kiosk.adapters.images.zarr_keys import ZarrKeys
from kiosk.adapters.images.zarr_layout import ZarrEntry, checked_path, find_images
from kiosk.adapters.images.zarr_metadata import (
    axes_of,
    channel_colors,
    channel_names,
    check_version,
    dataset_paths,
    is_rgb,
    shrinks_evenly,
    steps_of,
)
from kiosk.errors import InvalidRequest, KioskError, NotFound, TooLarge
from kiosk.ports import ImageEntry, Window
from kiosk.settings import LimitSettings

# A chunk is unpacked whole, which takes about three times its size in memory.
MAX_CHUNK_BYTES = 256 * 1024 * 1024
# A plane of very many tiny chunks would take hours to read.
MAX_TINY_CHUNKS, TINY_CHUNK_PX = 65_536, 1024


def zarr_entries(keys: ZarrKeys, limits: LimitSettings, member: str = "") -> list[ImageEntry]:
    """The images of a hierarchy, with their paths in it for titles. Raises InvalidRequest."""
    return [
        ImageEntry(member=member, series=number, title=image.path or _name(image))
        for number, image in enumerate(find_images(keys, limits))
    ]


def open_zarr(
    keys: ZarrKeys, series: int, limits: LimitSettings, close: Callable[[], None]
) -> ZarrImage:
    """Open image number `series` of a hierarchy; `close` is called with the source.

    Raises InvalidRequest (or TooLarge, NotFound), and TransientError when the store fails.
    """
    images = find_images(keys, limits)
    if series >= len(images):
        raise NotFound(
            f"'{keys.name}' has {len(images)} images, counted from 0, and none with number"
            f" {series}.",
            reason="SERIES_NOT_FOUND",
            field="series",
        )
    notes: list[str] = []
    if len(images) > 1:
        where = images[series].path or _name(images[series])
        notes.append(f"The file has {len(images)} images; number {series} is read ('{where}').")
    return ZarrImage(keys, images[series], limits, notes, close)


def _name(image: ZarrEntry) -> str:
    name = image.multiscale.get("name")
    return name[:200] if isinstance(name, str) else ""


class ZarrImage:
    """`ports.ImageSource` over one image of an OME-Zarr. Threads may read at the same time."""

    def __init__(
        self,
        keys: ZarrKeys,
        entry: ZarrEntry,
        limits: LimitSettings,
        notes: list[str],
        close: Callable[[], None],
    ) -> None:
        self._file_name, self._close = keys.name, close
        check_version(entry, keys.name)
        paths = [
            f"{entry.path}/{path}" if entry.path else path
            for path in (checked_path(p, keys.name) for p in dataset_paths(entry, keys.name))
        ]
        full = read_array(keys, paths[0])
        if full is None:
            raise corrupt(keys.name, f"its array '{paths[0]}' is missing")
        axes = axes_of(entry, len(full.shape), keys.name, notes)
        self._roles = "".join(axis.role for axis in axes)
        self.sizes: Mapping[str, int] = dict.fromkeys("tczyx", 1) | dict(
            zip(self._roles, full.shape, strict=True)
        )
        check_sizes(self.sizes, keys.name, limits, in_pieces=True)
        if keys.size_bytes is not None:
            check_sparse(self.sizes, full.dtype.itemsize, keys.size_bytes, keys.name)
        self._check_chunks(full, limits)
        self.dtype = full.dtype.newbyteorder("=")
        self._arrays = self._open_levels(keys, paths, full, limits)
        self.levels: Sequence[tuple[int, int]] = tuple(
            self._plane_shape(array.document) for array in self._arrays
        )
        self.format = "OME-Zarr"
        self.axes = self._roles.upper()
        names = channel_names(entry, self.sizes["c"])
        self.is_rgb = is_rgb(names)
        self.channel_names: Sequence[str] = RGB_NAMES if self.is_rgb else names
        if not self.is_rgb:
            self.channel_colors: Sequence[str] = channel_colors(entry, self.sizes["c"])
        steps = steps_of(entry, axes, notes)
        self.pixel_size_um, self.z_step_um = steps.pixel_size_um, steps.z_step_um
        self.frame_interval_s = steps.frame_interval_s
        self.notes: Sequence[str] = tuple(notes)

    def _plane_shape(self, document: ArrayDocument) -> tuple[int, int]:
        lengths = dict(zip(self._roles, document.shape, strict=True))
        return lengths["y"], lengths["x"]

    def _open_levels(
        self, keys: ZarrKeys, paths: Sequence[str], full: ArrayDocument, limits: LimitSettings
    ) -> list[Any]:
        """The arrays of full size and of those levels that are that image made smaller."""
        from kiosk.adapters.images.zarr_arrays import ZarrArray  # zarr takes half a second

        arrays = [ZarrArray(keys, paths[0], full)]
        for path in paths[1:]:
            try:
                level = read_array(keys, path)
                if level is None or level.dtype != full.dtype:
                    continue
                self._check_chunks(level, limits)
            except InvalidRequest:
                continue  # full size is all that is needed
            if len(level.shape) != len(full.shape) or any(
                role not in "yx" and small != large
                for role, small, large in zip(self._roles, level.shape, full.shape, strict=True)
            ):
                continue
            if shrinks_evenly(self._plane_shape(arrays[-1].document), self._plane_shape(level)):
                arrays.append(ZarrArray(keys, path, level))
        return arrays

    def _check_chunks(self, array: ArrayDocument, limits: LimitSettings) -> None:
        """Refuse chunks that take too much memory, and planes of very many tiny ones."""
        chunk = dict.fromkeys("tczyx", 1) | dict(zip(self._roles, array.chunks, strict=True))
        rows, columns = self._plane_shape(array)
        count = math.ceil(rows / chunk["y"]) * math.ceil(columns / chunk["x"])
        # A chunk may be larger than the image that it holds.
        too_large = array.chunk_bytes > min(BYTES_PER_PX * limits.plane_px, MAX_CHUNK_BYTES)
        seen_px = min(chunk["y"], rows) * min(chunk["x"], columns)
        if too_large or (count > MAX_TINY_CHUNKS and seen_px < TINY_CHUNK_PX):
            raise TooLarge(
                f"'{self._file_name}' is stored in chunks of {' x '.join(map(str, array.chunks))},"
                f" which are too {'large' if too_large else 'small'} to read; save it with chunks"
                " of about 1024 x 1024 pixels.",
                reason="IMAGE_TOO_LARGE",
            )

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest when the pixels are damaged."""
        sizes = self.sizes
        if not (
            0 <= t < sizes["t"] and 0 <= z < sizes["z"] and 0 <= level < len(self._arrays)
        ) or any(not 0 <= c < sizes["c"] for c in channels):
            raise out_of_range(self._file_name, t, z, channels)
        array = self._arrays[level]
        rows, columns = (
            range(length)[part]
            for length, part in zip(self.levels[level], window or (slice(None),) * 2, strict=True)
        )
        result = np.empty((len(channels), len(rows), len(columns)), self.dtype)
        chunk = dict.fromkeys("tczyx", 1) | dict(
            zip(self._roles, array.document.chunks, strict=True)
        )
        for some in _by_chunk(channels, chunk["c"]):
            low, high = min(channels[i] for i in some), max(channels[i] for i in some) + 1
            budget = _chunks_per_read(array.document.chunk_bytes)
            for ys, xs in _pieces(rows, columns, chunk["y"], chunk["x"], budget):
                pixels = self._read(array, t, z, (low, high), ys, xs)
                at = (
                    slice(ys.start - rows.start, ys.stop - rows.start),
                    slice(xs.start - columns.start, xs.stop - columns.start),
                )
                for i in some:
                    result[i, *at] = pixels[channels[i] - low]
        return result

    def _read(
        self, array: Any, t: int, z: int, channels: tuple[int, int], ys: range, xs: range
    ) -> np.ndarray:
        """(channels, y, x) from chunks that fit into memory together."""
        where: dict[str, int | slice] = {
            "t": t,
            "c": slice(*channels),
            "z": z,
            "y": slice(ys.start, ys.stop),
            "x": slice(xs.start, xs.stop),
        }
        with _damage(self._file_name, f"the pixels of t={t}, z={z} cannot be unpacked"):
            pixels: np.ndarray = array.read(tuple(where[role] for role in self._roles))
        left = [role for role in self._roles if role in "cyx"]
        if "c" not in left:
            pixels, left = pixels[np.newaxis], ["c", *left]
        return pixels.transpose([left.index(role) for role in "cyx"])

    def close(self) -> None:
        """Close what the keys are read from."""
        self._close()


def _by_chunk(channels: Sequence[int], length: int) -> list[list[int]]:
    """Positions in `channels`, those together that lie in one chunk."""
    groups: dict[int, list[int]] = {}
    for position, channel in enumerate(channels):
        groups.setdefault(channel // length, []).append(position)
    return list(groups.values())


def _chunks_per_read(chunk_bytes: int) -> int:
    from kiosk.adapters.images.zarr_arrays import READ_BYTES

    return max(READ_BYTES // max(chunk_bytes, 1), 1)


def _pieces(
    rows: range, columns: range, chunk_y: int, chunk_x: int, budget: int
) -> Iterator[tuple[range, range]]:
    """Cover a window by rectangles of whole chunks, at most `budget` chunks each."""
    across = -(-columns.stop // chunk_x) - columns.start // chunk_x
    width = chunk_x * max(min(budget, across), 1)
    height = chunk_y * max(budget // max(across, 1), 1)
    for ys in _cuts(rows, chunk_y, height):
        for xs in _cuts(columns, chunk_x, width):
            yield ys, xs


def _cuts(span: range, chunk: int, step: int) -> Iterator[range]:
    """Cut a span at multiples of `chunk`, into pieces of at most `step`."""
    start = span.start
    while start < span.stop:
        stop = min(start // chunk * chunk + step, span.stop)
        yield range(start, stop)
        start = stop


@contextlib.contextmanager
def _damage(file_name: str, what: str) -> Iterator[None]:
    """Turn whatever zarr or a decoder raises into one sentence."""
    try:
        yield
    except KioskError:
        raise
    except MemoryError as error:
        message = f"'{file_name}' does not fit into memory; save it with smaller chunks."
        raise TooLarge(message, reason="IMAGE_TOO_LARGE") from error
    except Exception as error:
        raise corrupt(file_name, what) from error

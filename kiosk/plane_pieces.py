"""Pixels and labels of any part of any plane at any resolution, kept for whoever asks next.

What viewers ask for comes in bursts: all tiles of a plane, then the next time point. So a plane is
read once, as a whole where it is small and in squares where it is large, and the tiles are cut from
that. A resolution that is not stored in the file is made from the one above it in memory.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from kiosk.imaging.intensity import sample_step
from kiosk.imaging.pyramids import mean, nearest
from kiosk.imaging.stored_values import StoredValues, measured_values, plain_values
from kiosk.imaging.tile_grid import TileGrid
from kiosk.piece_cache import PieceCache
from kiosk.pipelines.context import OpenImages, Origin
from kiosk.pipelines.label_planes import shrunk_labels, shrunk_pixels
from kiosk.ports import ImageFiles, ImageSource, ObjectStore, Window, channel_colors_of

# Some frames of a camera with their smaller sizes, or what a few screens show of a slide.
CACHE_BYTES = 256 * 2**20
# Images that are read at a time, each by a process and a thread of its own; a piece of a large
# plane may take a hundred megabytes while it is made.
READ_AT_A_TIME = 4
# Images that are kept open, so that the next piece comes without opening.
KEPT_OPEN = 8
# What is known of images is kept for so many, and of their channels.
MOST_KNOWN = 64
MOST_VALUES = 4096
LONGEST_NAME = 200
# A slide without smaller resolutions is read whole for its overview: gigapixels within this.
PATIENCE_S = 60.0
# Contrast is measured on overviews where those of all channels are made from up to so many pixels,
# about a second's reading.
LOOK_PX = 64_000_000
# Else on windows of this side along the diagonal.
LOOK_WINDOW_PX = 512
_LOOK_AT = (0.25, 0.5, 0.75)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ShownImage:
    """What is known of an image that was opened; the fields are those of `ports.ImageSource`.

    Attributes:
        grid: its tiles, whose levels need not be those that are stored.
    """

    origin: Origin
    sizes: Mapping[str, int]
    dtype: np.dtype[Any]
    is_rgb: bool
    channel_names: Sequence[str]
    channel_colors: Sequence[str]
    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None
    levels: Sequence[tuple[int, int]]
    grid: TileGrid

    def with_sizes(self, sizes: Mapping[str, int]) -> ShownImage:
        """The same with other lengths of axes."""
        return replace(self, sizes=sizes)

    def read_together(self, channel: int) -> tuple[int, ...]:
        """The channels that are read with a channel: colours lie together in a file."""
        return (0, 1, 2) if self.is_rgb and channel < 3 else (channel,)

    def is_stored(self, level: int) -> bool:
        """Whether a stored resolution is nearer to this level than the level above is."""
        (height, width), (above, _) = self.grid.shapes[level], self.grid.shapes[level - 1]
        return any(y >= height - 1 and x >= width - 1 and y < above - 1 for y, x in self.levels)


@dataclass(frozen=True)
class _Wanted:
    """What a piece is of: pixels of these channels, or the labels in the first one."""

    t: int
    z: int
    channels: tuple[int, ...]
    are_labels: bool = False


class PlanePieces:
    """Pieces of the planes of all images that are looked at.

    Errors are those of `OpenImages.use_origin` and of reading, and TooLarge where a piece takes too
    long.
    """

    def __init__(self, store: ObjectStore, images: ImageFiles) -> None:
        self._opened = OpenImages(store, images, keep=KEPT_OPEN)
        self._cache = PieceCache(CACHE_BYTES)
        self._slots = asyncio.Semaphore(READ_AT_A_TIME)
        self._turns: WeakValueDictionary[Origin, asyncio.Lock] = WeakValueDictionary()
        self._readers = ThreadPoolExecutor(READ_AT_A_TIME, "read")
        self._workers = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "tiles")
        self._known: OrderedDict[Origin, ShownImage] = OrderedDict()
        self._values: OrderedDict[tuple[Origin, tuple[int, ...]], StoredValues] = OrderedDict()

    async def image(self, origin: Origin) -> ShownImage:
        """What is known of an image, which is opened the first time."""
        if origin not in self._known:
            self._known[origin] = await self._with(origin, lambda source: _known(source, origin))
        self._known.move_to_end(origin)
        found = self._known[origin]
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return found

    async def pixels(
        self, image: ShownImage, t: int, z: int, channel: int, level: int, window: Window
    ) -> np.ndarray:
        """(y, x) pixels in the dtype of the image, of a window at a level that lies in one tile."""
        channels = image.read_together(channel)
        extent = image.grid.piece(level, window)
        piece = await self._piece(image, _Wanted(t, z, channels), level, extent)
        return np.asarray(piece[channels.index(channel)][_inside(extent, window)])

    async def labels(
        self, image: ShownImage, t: int, z: int, level: int, tile: Window
    ) -> np.ndarray:
        """(y + 2, x + 2) uint32 labels of a tile and one pixel around it, 0 outside of the image.

        Raises InvalidRequest where the image has values that are no labels.
        """
        shape = image.grid.shapes[level]
        extent = image.grid.piece(level, tile, margin_px=1)
        piece = await self._piece(image, _Wanted(t, z, (0,), are_labels=True), level, extent)
        window = tuple(
            slice(max(0, part.start - 1), min(length, part.stop + 1))
            for part, length in zip(tile, shape, strict=True)
        )
        top, left = (part.start - inner.start + 1 for part, inner in zip(window, tile, strict=True))
        height, width = (part.stop - part.start for part in tile)
        found = np.zeros((height + 2, width + 2), np.uint32)
        labels = piece[0][_inside(extent, (window[0], window[1]))]
        found[top : top + labels.shape[0], left : left + labels.shape[1]] = labels
        return found

    async def values(self, image: ShownImage, channel: int) -> StoredValues:
        """How the values of a channel are stored, and its limits of contrast."""
        key = (image.origin, image.read_together(channel))
        if key not in self._values:
            places = _places_to_look(image.sizes, bool(plain_values(image.dtype)))
            looks = [await self._look(image, *place, key[1]) for place in places]
            self._values[key] = await self.work(lambda: measured_values(looks[0], looks[1:]))
            while len(self._values) > MOST_VALUES:
                self._values.popitem(last=False)
        return self._values[key]

    async def _look(
        self, image: ShownImage, t: int, z: int, channels: tuple[int, ...]
    ) -> np.ndarray:
        """Pixels that stand for a plane."""
        level = len(image.grid.shapes) - 1
        height, width = image.grid.shapes[level]
        stored_px = min(y * x for y, x in image.levels if y >= height - 1 and x >= width - 1)
        if stored_px * image.sizes["c"] <= LOOK_PX:
            # Where the full size is read for it anyway, its own pixels say more than averages.
            if stored_px == image.sizes["y"] * image.sizes["x"] and image.grid.is_whole(0):
                level, (height, width) = 0, image.grid.shapes[0]
            everything = slice(0, height), slice(0, width)
            plane = await self._piece(image, _Wanted(t, z, channels), level, everything)
            step = sample_step(plane.size)
            return plane[:, ::step, ::step]
        return await self._with(
            image.origin,
            lambda source: np.concatenate(
                [source.plane(t, z, channels, window).ravel() for window in _diagonal(image)]
            ),
        )

    async def _piece(
        self, image: ShownImage, wanted: _Wanted, level: int, extent: Window
    ) -> np.ndarray:
        """(channel, y, x) pixels of a piece of a level."""
        key = (image.origin, wanted, level, extent[0].start, extent[1].start)
        return await self._cache.get(key, lambda: self._made(image, wanted, level, extent))

    async def _made(
        self, image: ShownImage, wanted: _Wanted, level: int, extent: Window
    ) -> np.ndarray:
        grid = image.grid
        if level and grid.is_whole(level - 1) and not image.is_stored(level):
            height, width = grid.shapes[level - 1]
            everything = slice(0, height), slice(0, width)
            above = await self._piece(image, wanted, level - 1, everything)
            shrink = nearest if wanted.are_labels else mean
            return await self.work(lambda: np.stack([shrink(plane) for plane in above]))
        return await self._with(
            image.origin, lambda source: _read(source, wanted, grid, level, extent)
        )

    async def _with(self, origin: Origin, use: Callable[[ImageSource], T]) -> T:
        """What a function makes of the opened image, in a thread."""
        loop = asyncio.get_running_loop()
        # Those who wait for one image must not take the slots of others.
        turn = self._turns.setdefault(origin, asyncio.Lock())
        async with turn, self._slots, self._opened.use_origin(origin) as source:
            return await loop.run_in_executor(self._readers, use, source)

    async def work(self, do: Callable[[], T]) -> T:
        """What a function that does not wait for anything returns, in one of a few threads."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, do)

    def close(self) -> None:
        self._cache.close()
        self._opened.close()
        self._readers.shutdown(wait=False)
        self._workers.shutdown(wait=False)


def _known(source: ImageSource, origin: Origin) -> ShownImage:
    return ShownImage(
        origin=origin,
        sizes=dict(source.sizes),
        dtype=np.dtype(source.dtype),
        is_rgb=source.is_rgb,
        channel_names=tuple(name[:LONGEST_NAME] for name in source.channel_names),
        channel_colors=tuple(channel_colors_of(source)),
        pixel_size_um=source.pixel_size_um,
        z_step_um=source.z_step_um,
        frame_interval_s=source.frame_interval_s,
        levels=tuple(source.levels),
        grid=TileGrid((source.sizes["y"], source.sizes["x"])),
    )


def _read(
    source: ImageSource, wanted: _Wanted, grid: TileGrid, level: int, extent: Window
) -> np.ndarray:
    shown = grid.at_full_size(level, extent)
    size = extent[0].stop - extent[0].start, extent[1].stop - extent[1].start
    place, slack_px = (wanted.t, wanted.z), min(level, 1)
    if wanted.are_labels:
        labels = shrunk_labels(source, place, shown, size, slack_px=slack_px, patience_s=PATIENCE_S)
        return labels[None]
    pixels = shrunk_pixels(
        source, place, wanted.channels, shown, size, slack_px=slack_px, patience_s=PATIENCE_S
    )
    if pixels.dtype != source.dtype and source.dtype.kind in "iu":
        pixels = np.rint(pixels)
    return pixels.astype(source.dtype, copy=False)


def _inside(extent: Window, window: Window) -> Window:
    """A window as one of a piece that holds it."""
    rows, columns = (
        slice(part.start - whole.start, part.stop - whole.start)
        for whole, part in zip(extent, window, strict=True)
    )
    return rows, columns


def _places_to_look(sizes: Mapping[str, int], are_plain: bool) -> list[tuple[int, int]]:
    """(t, z) of the planes that values are measured on, the middle one first."""
    middle = sizes["t"] // 2, sizes["z"] // 2
    others = () if are_plain else ((0, middle[1]), (sizes["t"] - 1, middle[1]))
    return list(dict.fromkeys((middle, *others)))


def _diagonal(image: ShownImage) -> list[Window]:
    starts = [
        [max(0, round(share * length) - LOOK_WINDOW_PX // 2) for length in image.grid.shapes[0]]
        for share in _LOOK_AT
    ]
    return [
        (slice(top, top + LOOK_WINDOW_PX), slice(left, left + LOOK_WINDOW_PX))
        for top, left in starts
    ]

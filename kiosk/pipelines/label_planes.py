"""Finished planes as the writers of results see them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from kiosk.errors import ReaderFailed, TooLarge
from kiosk.imaging.masks import mask_labels
from kiosk.imaging.overviews import small_labels, small_plane
from kiosk.imaging.rendering import display_size
from kiosk.imaging.scaling import resized
from kiosk.imaging.tiling import iter_bands
from kiosk.ports import ImageSource, Interruptible, Window

# Channels are read together up to this: samples of one pixel lie together in many files, and are
# unpacked together.
AT_A_TIME_BYTES = 64 * 2**20
RESIZABLE = (np.uint8, np.uint16, np.float32)


class ReadLabels(Protocol):
    """Anything that labels can be read from in windows."""

    def read(self, window: Window) -> np.ndarray:
        """(y, x) uint32 labels."""


class HeldLabels:
    """Labels of a plane that fits into memory."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels

    def read(self, window: Window) -> np.ndarray:
        return self._labels[window]


class FinishedPlane:
    """`exports.writer.LabelPlane` over the labels of a plane and the image it is from.

    `table`, where given, is what each label becomes: (labels + 1,) uint32, 0 = no instance.
    `shown` is the part of the plane that small pictures are made of; default: all of it.
    """

    def __init__(
        self,
        source: ImageSource,
        place: tuple[int, int],
        labels: ReadLabels,
        instances: int,
        table: np.ndarray | None = None,
        shown: Window | None = None,
    ) -> None:
        self.t, self.z = place
        self.shape = (source.sizes["y"], source.sizes["x"])
        self._shown = shown or (slice(0, self.shape[0]), slice(0, self.shape[1]))
        self.instances = instances
        self._source, self._labels, self._table = source, labels, table
        self._pictures: dict[tuple[int, ...], np.ndarray] = {}

    def labels(self, window: Window | None = None) -> np.ndarray:
        labels = self._labels.read(window or (slice(0, self.shape[0]), slice(0, self.shape[1])))
        return labels if self._table is None else self._table[labels]

    def pixels(self, channels: Sequence[int], window: Window | None = None) -> np.ndarray:
        return self._source.plane(self.t, self.z, channels, window)

    def each_channel(self, window: Window) -> Iterator[np.ndarray]:
        """(y, x) pixels of every channel of the image in turn."""
        return each_channel(self._source, (self.t, self.z), window)

    def small_labels(self, longest_px: int) -> np.ndarray:
        shape = _shape(self._shown)
        size = display_size(*shape, longest_px)
        return small_labels(lambda window: self.labels(_inside(self._shown, window)), shape, size)

    def small_pixels(self, channels: Sequence[int], longest_px: int) -> np.ndarray:
        """As `small_pixels`; a smaller picture of the same channels is made from a larger one,
        because the first goes through the whole plane."""
        height, width = display_size(*_shape(self._shown), longest_px)
        held = self._pictures.get(tuple(channels))
        if held is None or held.shape[1] < height or held.shape[2] < width:
            place = (self.t, self.z)
            held = small_pixels(self._source, place, channels, longest_px, self._shown)
            self._pictures[tuple(channels)] = held
        if held.shape[1:] != (height, width) and held.dtype not in RESIZABLE:
            held = held.astype(np.float32)
        return resized(held, height, width)


def area_px(window: Window) -> int:
    """Pixels of a window."""
    return int(np.prod([part.stop - part.start for part in window]))


def bands_of(window: Window, band_px: int) -> Iterator[Window]:
    """A window in bands of about so many pixels, from top to bottom."""
    rows, columns = window
    for band in iter_bands(rows.stop - rows.start, columns.stop - columns.start, band_px):
        yield slice(rows.start + band.start, rows.start + band.stop), columns


def each_channel(
    source: ImageSource, place: tuple[int, int], window: Window
) -> Iterator[np.ndarray]:
    """(y, x) pixels of every channel in turn, a few of them in memory at a time."""
    rows, columns = window
    size = (rows.stop - rows.start) * (columns.stop - columns.start) * source.dtype.itemsize
    at_once = max(1, AT_A_TIME_BYTES // max(1, size))
    channels = range(source.sizes["c"])
    for first in range(0, len(channels), at_once):
        yield from source.plane(*place, channels[first : first + at_once], window)


def small_pixels(
    source: ImageSource,
    place: tuple[int, int],
    channels: Sequence[int],
    longest_px: int,
    shown: Window | None = None,
    *,
    patience_s: float = math.inf,
) -> np.ndarray:
    """(len(channels), y, x) pixels of the plane at (t, z), at most `longest_px` along a side.

    The size is that of the full resolution shrunk, which labels have too; else as `shrunk_pixels`.
    `shown`: of this part only.
    """
    full = source.levels[0]
    shown = shown or (slice(0, full[0]), slice(0, full[1]))
    size = display_size(*_shape(shown), longest_px)
    return shrunk_pixels(source, place, channels, shown, size, patience_s=patience_s)


def shrunk_pixels(
    source: ImageSource,
    place: tuple[int, int],
    channels: Sequence[int],
    shown: Window,
    size: tuple[int, int],
    *,
    slack_px: int = 0,
    patience_s: float = math.inf,
) -> np.ndarray:
    """(len(channels), *size) pixels of a part of the plane at (t, z), shrunk by averaging.

    Made from the smallest stored resolution that is large enough. A source that can be
    interrupted is, when the time is over; else the time is looked at before each band of pixels.

    Args:
        slack_px: a stored resolution may be smaller by this: programs round in their own ways.

    Raises:
        TooLarge: with the reason TOO_SLOW, when it takes longer than `patience_s`.
    """
    level, part = _stored_level(source, shown, (size[0] - slack_px, size[1] - slack_px))
    value_bytes = len(channels) * source.dtype.itemsize
    with _patiently(source, patience_s) as check:

        def read(window: Window) -> np.ndarray:
            check()
            return source.plane(*place, channels, _inside(part, window), level)

        return small_plane(read, _shape(part), size, AT_A_TIME_BYTES // value_bytes)


def shrunk_labels(
    source: ImageSource,
    place: tuple[int, int],
    shown: Window,
    size: tuple[int, int],
    *,
    slack_px: int = 0,
    patience_s: float = math.inf,
) -> np.ndarray:
    """`size` labels of a part of the plane at (t, z) of a label image, by nearest pixel.

    Args, Raises: as `shrunk_pixels`; labels are of any type.
    """
    level, part = _stored_level(source, shown, (size[0] - slack_px, size[1] - slack_px))
    with _patiently(source, patience_s) as check:

        def read(window: Window) -> np.ndarray:
            check()
            labels: np.ndarray = source.plane(*place, [0], _inside(part, window), level)[0]
            return mask_labels(labels)

        return small_labels(read, _shape(part), size)


def _stored_level(source: ImageSource, shown: Window, size: tuple[int, int]) -> tuple[int, Window]:
    """The smallest stored resolution where a part has at least this size, and the part there."""
    full, level, part = source.levels[0], 0, shown
    for number, shape in enumerate(source.levels):
        smaller = _scaled(shown, full, shape)
        height, width = _shape(smaller)
        if height >= size[0] and width >= size[1]:
            level, part = number, smaller
    return level, part


@contextmanager
def _patiently(source: ImageSource, patience_s: float) -> Iterator[Callable[[], None]]:
    """Gives what raises TooLarge when the time is over; a reader that dies of it does too."""
    end_s = time.monotonic() + patience_s

    def check() -> None:
        if time.monotonic() > end_s:
            raise _too_slow()

    try:
        with _interrupted_after(source, patience_s):
            yield check
    except ReaderFailed as error:
        if time.monotonic() > end_s:
            raise _too_slow() from error
        raise


def _too_slow() -> TooLarge:
    return TooLarge(
        "A picture of this plane takes too long to make; save the image with smaller resolutions"
        " (a pyramid), from which pictures are made.",
        reason="TOO_SLOW",
    )


@contextmanager
def _interrupted_after(source: ImageSource, patience_s: float) -> Iterator[None]:
    """Interrupt a source that can be when what is done here takes longer."""
    if math.isinf(patience_s) or not isinstance(source, Interruptible):
        yield
        return
    timer = threading.Timer(max(patience_s, 0.0), source.interrupt)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # or it might hit the next one who reads


def _shape(window: Window) -> tuple[int, int]:
    rows, columns = window
    return rows.stop - rows.start, columns.stop - columns.start


def _inside(part: Window, window: Window) -> Window:
    """A window of a part, as a window of the plane."""
    rows, columns = (
        slice(whole.start + inner.start, whole.start + inner.stop)
        for whole, inner in zip(part, window, strict=True)
    )
    return rows, columns


def _scaled(part: Window, full: tuple[int, int], shape: tuple[int, int]) -> Window:
    """The same part of the plane at another resolution, rounded to whole pixels."""
    rows, columns = (
        slice(round(side.start * new / old), max(1, round(side.stop * new / old)))
        for side, old, new in zip(part, full, shape, strict=True)
    )
    return rows, columns

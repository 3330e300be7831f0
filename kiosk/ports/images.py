"""Image files, whatever their format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, runtime_checkable

import numpy as np

from kiosk.reading import ReadOptions

# Rows and columns of a plane, both with start and stop.
Window = tuple[slice, slice]


class ImageSource(Protocol):
    """One opened image. Pixels are read lazily; all methods are for use in a thread.

    Attributes:
        format: what the file is, e.g. "OME-TIFF".
        sizes: {"t": n, "c": n, "z": n, "y": n, "x": n}, every axis at least 1.
        axes: the axes as they lie in the file, slowest first, e.g. "TCYX".
        is_rgb: the three channels are red, green and blue samples.
        channel_names: one per channel; made up ("channel 0") where the file has none. What it says
            of their colours, few formats have: see `channel_colors_of`.
        pixel_size_um: (y, x), or None when the file does not say.
        z_step_um: distance of planes along z, or None.
        frame_interval_s: seconds from one time point to the next, or None.
        levels: (y, x) sizes of a plane at each stored resolution, full size first.
        notes: what was guessed or left out, in plain sentences.
    """

    format: str
    sizes: Mapping[str, int]
    axes: str
    dtype: np.dtype[Any]
    is_rgb: bool
    channel_names: Sequence[str]
    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None
    levels: Sequence[tuple[int, int]]
    notes: Sequence[str]

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels in the file's dtype: a whole plane, or a window of it.

        Args:
            window: rows and columns at that level; None = all.
            level: number of a resolution in `levels`.
        """

    def close(self) -> None: ...


def channel_colors_of(source: ImageSource) -> Sequence[str]:
    """Colours of the channels, "#RRGGBB" or "" for unknown: `channel_colors` where there is one."""
    colors: Sequence[str] = getattr(source, "channel_colors", ())
    return colors or ("",) * source.sizes["c"]


@runtime_checkable
class Interruptible(Protocol):
    """An `ImageSource` whose reading can be ended from outside."""

    def interrupt(self) -> None:
        """Have a thread that is in `plane` fail at once with ReaderFailed; for any thread.

        The source can still be read, or closed, also while that thread has not noticed yet.
        """


@dataclass(frozen=True, kw_only=True)
class ImageEntry:
    """One image of a file that may hold several.

    Attributes:
        member, series: as in ReadOptions.
        title: what the file calls it; may be empty.
    """

    member: str = ""
    series: int = 0
    title: str = ""


# An image file: its bytes, or the address (file://, s3://, gs://) where it or its folder lies.
File = BinaryIO | str


class ImageFiles(Protocol):
    """Opens image files, whatever their format."""

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        """Raises InvalidRequest with a plain sentence when the file cannot be read.

        Where another process reads it, also ReaderFailed, when that dies or is too slow.
        The source owns the file from then on; a file that is refused stays open.
        """

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        """The images in a file: one for most files, more for archives and multi-series files.

        Raises InvalidRequest as `open` does. The file stays open and belongs to the caller.
        """

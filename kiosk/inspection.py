"""What the kiosk sees in a file before anything runs: its images, with thumbnails."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kiosk.errors import InvalidRequest, KioskError, TooLarge
from kiosk.imaging.rendering import display_plane, encode_png
from kiosk.pipelines.label_planes import small_pixels
from kiosk.ports import File, ImageEntry, ImageFiles, ImageSource
from kiosk.reading import InspectedImage, ReadOptions

# Images of one file that are opened; a zip may have thousands, and headers take milliseconds.
MOST_OPENED = 100
LARGEST_THUMBNAIL_PX = 512


def inspect_file(
    files: ImageFiles,
    opened: Callable[[], File],
    file_name: str,
    reading: ReadOptions = ReadOptions(),
    *,
    thumbnail_px: int = 0,
    list_only: bool = False,
    most_thumbnail_bytes: float = math.inf,
    patience_s: float = math.inf,
) -> list[InspectedImage]:
    """Every image of a file, or the one that `reading` names.

    Args:
        opened: gives the file anew each time.
        reading: read as a job would with these options.
        thumbnail_px: longest side of thumbnails; 0 = none.
        list_only: do not open the images.
        most_thumbnail_bytes: for all together; the images after that come without.
        patience_s: for all together; images after that are not opened, and a thumbnail that takes
            longer is left out.

    Raises:
        InvalidRequest: the file as a whole cannot be read.
    """
    if not 0 <= thumbnail_px <= LARGEST_THUMBNAIL_PX:
        raise InvalidRequest(
            f"A thumbnail may have up to {LARGEST_THUMBNAIL_PX} pixels along its longer side, not"
            f" {thumbnail_px}.",
            reason="BAD_THUMBNAIL_SIZE",
            field="thumbnail_px",
        )
    end_s = time.monotonic() + patience_s
    entries = [ImageEntry(member=reading.member, series=reading.series)]
    if not reading.member and not reading.series:
        file = opened()
        try:
            entries = files.entries(file, file_name)
        finally:
            _close(file)
    asked = [replace(reading, member=item.member, series=item.series) for item in entries]
    found = []
    for number, (entry, options) in enumerate(zip(entries, asked, strict=True)):
        left_s = end_s - time.monotonic()
        if list_only or number >= MOST_OPENED or (number and left_s < 0):
            found.append(InspectedImage(reading=options, title=entry.title))
            continue
        longest_px = thumbnail_px if most_thumbnail_bytes > 0 else 0
        image = _inspected(files, opened, file_name, entry, options, longest_px, left_s)
        most_thumbnail_bytes -= len(image.thumbnail)
        found.append(image if most_thumbnail_bytes >= 0 else replace(image, thumbnail=b""))
    return found


def _inspected(
    files: ImageFiles,
    opened: Callable[[], File],
    file_name: str,
    entry: ImageEntry,
    options: ReadOptions,
    thumbnail_px: int,
    patience_s: float,
) -> InspectedImage:
    file = opened()
    try:
        source = files.open(file, file_name, options)
    except KioskError as error:
        _close(file)
        return InspectedImage(reading=options, title=entry.title, error=error)
    except BaseException:
        _close(file)
        raise
    try:
        thumbnail, notes = b"", list(source.notes)
        if thumbnail_px:
            thumbnail = _thumbnail(source, thumbnail_px, patience_s, notes)
        return InspectedImage(
            reading=options,
            title=entry.title,
            format=source.format,
            sizes=dict(source.sizes),
            axes=source.axes,
            dtype=str(np.dtype(source.dtype)),
            is_rgb=source.is_rgb,
            channel_names=tuple(source.channel_names),
            pixel_size_um=source.pixel_size_um,
            z_step_um=source.z_step_um,
            frame_interval_s=source.frame_interval_s,
            levels=tuple(source.levels),
            notes=tuple(notes),
            thumbnail=thumbnail,
        )
    except KioskError as error:  # the pixels are damaged, which only unpacking them shows
        return InspectedImage(reading=options, title=entry.title, error=error)
    finally:
        source.close()


def _close(file: File) -> None:
    if not isinstance(file, str):
        file.close()


def _thumbnail(source: ImageSource, longest_px: int, patience_s: float, notes: list[str]) -> bytes:
    """The middle plane: in colour, or its first channel. Without one, a note says why."""
    channels: Sequence[int] = range(3) if source.is_rgb else [0]
    middle = (source.sizes["t"] // 2, source.sizes["z"] // 2)
    try:
        pixels = small_pixels(source, middle, channels, longest_px, patience_s=patience_s)
    except TooLarge as error:
        if error.reason != "TOO_SLOW":
            raise
        notes.append("There is no thumbnail, because making one takes too long.")
        return b""
    return encode_png(display_plane(pixels, longest_px))

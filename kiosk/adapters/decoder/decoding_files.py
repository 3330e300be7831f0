"""`ports.ImageFiles` that opens each image in a process of its own, which may die."""

from __future__ import annotations

import logging
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters.decoder import landlock
from kiosk.adapters.decoder.facts import ImageFacts, entries_from, facts_from
from kiosk.adapters.decoder.readers import Readers
from kiosk.adapters.decoder.remote_reader import Reader, no_sense, store_error
from kiosk.adapters.decoder.wire import Broken
from kiosk.adapters.images.signatures import HEAD_BYTES, VENDORS
from kiosk.ports import File, ImageEntry, ImageSource, Window
from kiosk.reading import ReadOptions
from kiosk.settings import DecodingSettings, LimitSettings, store_environment

log = logging.getLogger(__name__)

# Libraries that take long to load, loaded once: 0.3 s, and 2 s for those of vendors, which make
# each fork three times as dear.
ZARR = "kiosk.adapters.images.zarr_arrays"
VENDOR_MODULES = ("bioio_nd2", "bioio_lif", "pylibCZIrw.czi")
OPEN_SETTING = "KIOSK_DECODING__OPEN_TIMEOUT_S"
PLANE_SETTING = "KIOSK_DECODING__PLANE_TIMEOUT_S"


class DecodingImageFiles:
    """Images of all formats; what reads them is another process, bounded and confined.

    One process reads one image and ends with it: whose fault a death is, is certain, nothing leaks
    from one image to the next, and starting one takes a millisecond.

    Args:
        modules: to be loaded in the readers: those of formats that are not built in.
    """

    def __init__(
        self, limits: LimitSettings, decoding: DecodingSettings, modules: Sequence[str] = ()
    ) -> None:
        self._decoding = decoding
        self._readers = Readers(limits, decoding, [ZARR, *modules])
        self._vendor_readers = Readers(limits, decoding, [ZARR, *VENDOR_MODULES, *modules])

    def prepare(self) -> None:
        """Start what starts readers, so that the first image does not wait for it."""
        self._readers.prepare()
        if not landlock.version():
            log.warning(
                "The kernel has no Landlock: a reader that an image has taken over has the rights"
                " of this user."
            )

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        """As `ports.ImageFiles.open`.

        Raises:
            ReaderFailed: the process died over the image, or took too long.
        """
        opening = self._opening(file, file_name, options)
        reader, facts = opening.again()
        return DecodedImage(opening, reader, facts)

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        """As `ports.ImageFiles.entries`. Raises ReaderFailed."""
        opening = self._opening(file, file_name, ReadOptions())
        reader, entries = opening.asked("entries")
        reader.end()
        try:
            return entries_from(entries)
        except Broken as error:
            raise no_sense(file_name) from error

    def _opening(self, file: File, file_name: str, options: ReadOptions) -> _Opening:
        readers = self._vendor_readers if _is_of_a_vendor(file) else self._readers
        return _Opening(readers, self._decoding, file, file_name, options)

    def close(self) -> None:
        """End all readers; to be called when no image is in use."""
        self._readers.close()
        self._vendor_readers.close()


class _Opening:
    """How an image is opened: once, and again when its reader has died."""

    def __init__(
        self,
        readers: Readers,
        decoding: DecodingSettings,
        file: File,
        file_name: str,
        options: ReadOptions,
    ) -> None:
        self._readers, self._decoding = readers, decoding
        self.file = None if isinstance(file, str) else file
        self._url = file if isinstance(file, str) else ""
        self.file_name, self._options = file_name, options

    def again(self) -> tuple[Reader, ImageFacts]:
        """A new reader with the image open in it. Raises KioskError."""
        reader, facts = self.asked("open")
        try:
            return reader, facts_from(facts)
        except Broken as error:
            reader.end()
            raise no_sense(self.file_name) from error

    def asked(self, step: str) -> tuple[Reader, Any]:
        """A new reader, and what it answers to its first question. Raises KioskError."""
        fd, size_bytes = _own_file(self.file)
        reader = self._readers.start()
        try:
            message = {
                "step": step,
                "file_name": self.file_name,
                "options": self._options.as_dict(),
                "url": self._url,
                # Secrets are for those only that cannot do without.
                "environment": store_environment() if self._url else {},
                "size_bytes": size_bytes,
            }
            return reader, self.ask(reader, message, fd=fd)
        except BaseException:
            reader.end()
            raise
        finally:
            if fd is not None:
                os.close(fd)

    def ask(
        self,
        reader: Reader,
        message: Mapping[str, Any],
        *,
        fd: int | None = None,
        pixels: tuple[tuple[int, ...], np.dtype] | None = None,
    ) -> Any:
        """What a reader of this image answers. Raises KioskError."""
        decoding = self._decoding
        return reader.ask(
            message,
            file_name=self.file_name,
            file=self.file,
            fd=fd,
            pixels=pixels,
            limit_s=decoding.plane_timeout_s if pixels else decoding.open_timeout_s,
            setting=PLANE_SETTING if pixels else OPEN_SETTING,
        )


def _is_of_a_vendor(file: File) -> bool:
    """By its first bytes; one at an address or in a zip loads the libraries for itself alone."""
    return not isinstance(file, str) and _read_head(file).startswith(VENDORS)


def _read_head(file: BinaryIO) -> bytes:
    try:
        file.seek(0)
        return file.read(HEAD_BYTES)
    except Exception as error:  # files of all kinds of stores
        raise store_error(error) from error


def _own_file(file: BinaryIO | None) -> tuple[int | None, int]:
    """A descriptor of the file where it lies on this machine, and its length.

    Raises:
        TransientError: what it is stored in fails.
    """
    if file is None:
        return None, 0
    try:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
    except Exception as error:  # files of all kinds of stores
        raise store_error(error) from error
    name = getattr(file, "name", "")
    if not isinstance(name, str) or not name:
        return None, size_bytes
    try:
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None, size_bytes
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode) and found.st_size == size_bytes:
        return fd, size_bytes
    os.close(fd)
    return None, size_bytes


class DecodedImage:
    """`ports.ImageSource` and `ports.Interruptible` over an image that another process has open."""

    def __init__(self, opening: _Opening, reader: Reader, facts: ImageFacts) -> None:
        self._opening, self._reader = opening, reader
        self._lock = threading.Lock()
        self._is_closed = False
        self.format, self.axes, self.is_rgb = facts.format, facts.axes, facts.is_rgb
        self.sizes: Mapping[str, int] = facts.sizes
        self.dtype: np.dtype[Any] = np.dtype(facts.dtype)
        self.channel_names: Sequence[str] = facts.channel_names
        self.channel_colors: Sequence[str] = facts.channel_colors
        self.pixel_size_um, self.z_step_um = facts.pixel_size_um, facts.z_step_um
        self.frame_interval_s = facts.frame_interval_s
        self.levels: Sequence[tuple[int, int]] = facts.levels
        self.notes: Sequence[str] = facts.notes

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels.

        Raises:
            InvalidRequest: as the reader of the format does.
            ReaderFailed: the process died over them, or took too long; the next call starts a
                new one.
        """
        known = 0 <= level < len(self.levels)
        size_yx = self.levels[level] if known else (0, 0)  # refused by the reader
        rows, columns = _cut(window, size_yx)
        shape = (len(channels), len(range(*rows)), len(range(*columns)))
        message = {
            "step": "plane",
            "t": int(t),
            "z": int(z),
            "channels": [int(channel) for channel in channels],
            "window": [rows, columns],
            "level": int(level),
            "shape": shape,
            "dtype": self.dtype.str,
        }
        with self._lock:
            try:
                return self._read(message, shape)
            finally:
                self._close_file_if_asked()

    def _read(self, message: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        if not self._reader.is_alive and not self._is_closed:
            self._reader, _ = self._opening.again()
        if self._is_closed:
            self._reader.end()
            raise ValueError("the image is closed")
        return self._opening.ask(self._reader, message, pixels=(shape, self.dtype))

    def interrupt(self) -> None:
        """End the process at once, also while a thread waits for it; for any thread."""
        self._reader.end()

    def close(self) -> None:
        """End the process and close the file; for any thread, as `interrupt`.

        A thread that is reading notices, and closes the file then.
        """
        self._is_closed = True
        self._reader.end()
        if self._lock.acquire(blocking=False):
            self._close_file_if_asked()
            self._lock.release()

    def _close_file_if_asked(self) -> None:
        if self._is_closed and self._opening.file is not None:
            self._opening.file.close()


def _cut(window: Window | None, size_yx: tuple[int, int]) -> list[tuple[int, int]]:
    """(start, stop) of rows and columns within a plane."""
    window = window or (slice(None), slice(None))
    ranges = [part.indices(size) for part, size in zip(window, size_yx, strict=True)]
    return [(start, max(start, stop)) for start, stop, _ in ranges]

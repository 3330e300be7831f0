"""What the readers of vendors' formats share: they need a path, they are an extra, they raise.

The libraries behind them are other people's and read the file in their own way; sizes are checked
against the limits before pixels are asked for, and whatever they raise becomes one sentence.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from kiosk.adapters.images.plain_images import check_sizes, check_unpack_ratio, corrupt, unsupported
from kiosk.errors import KioskError, NotFound, TooLarge
from kiosk.scratch import no_room
from kiosk.settings import LimitSettings

_COPY_BYTES = 4 * 1024 * 1024


class LocalFile:
    """A path to the bytes of a file: its own where it lies on this machine, else a copy's.

    The copy has no name that could outlive this process: it is reached by its descriptor. Closing
    deletes it and closes the file.
    """

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file = file
        self._copy: Any = None
        own = getattr(file, "path", "")
        # A path with these marks would be taken for an address.
        if own and "::" not in own and "://" not in own:
            self.path = os.path.abspath(own)
            return
        # It lives as long as the image does.
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115
        self.path = f"/proc/self/fd/{self._copy.fileno()}"
        try:
            self._fill(file, file_bytes)
        except BaseException:
            self._copy.close()
            raise

    def _fill(self, file: BinaryIO, file_bytes: int) -> None:
        file.seek(0)
        left = file_bytes
        try:
            while left and (data := file.read(min(left, _COPY_BYTES))):
                self._copy.write(data)
                left -= len(data)
            self._copy.flush()
        except OSError as error:
            raise no_room(error, "There is no room on the disk for a copy of the image.") from error

    def discard(self) -> None:
        """Delete the copy and leave the file open: the image was refused."""
        if self._copy is not None:
            self._copy.close()

    def close(self) -> None:
        """Delete the copy, and close the file."""
        self.discard()
        self._file.close()


def plugin(module: str, file_name: str, what: str) -> Any:
    """A module of the extra `formats`; `what` names the format. Raises InvalidRequest."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # not installed, or not for this machine
        raise unsupported(
            file_name,
            f"is a {what} file; to read it, run pip install 'cell-kiosk[formats]' where the"
            " kiosk runs, or export it as OME-TIFF.",
        ) from error


@contextlib.contextmanager
def plugin_errors(file_name: str, what: str) -> Iterator[None]:
    """Turn whatever a plugin raises into one sentence; `what` continues "<file> is damaged: "."""
    try:
        yield
    except KioskError:
        raise
    except MemoryError as error:
        message = f"'{file_name}' does not fit into memory; export it in smaller pieces."
        raise TooLarge(message, reason="IMAGE_TOO_LARGE") from error
    except Exception as error:
        raise corrupt(file_name, what) from error


def check_series(series: int, count: int, file_name: str) -> None:
    """Raise NotFound for a series that a file does not have."""
    if series >= count:
        raise NotFound(
            f"'{file_name}' has {count} images, counted from 0, and none with number {series}.",
            reason="SERIES_NOT_FOUND",
            field="series",
        )


def series_note(series: int, titles: Sequence[str]) -> list[str]:
    """The note of a file that holds several images."""
    if len(titles) < 2:
        return []
    return [f"The file has {len(titles)} images; number {series} is read ('{titles[series]}')."]


def check_image(
    sizes: Mapping[str, int],
    sample_bytes: int,
    file_bytes: int,
    file_name: str,
    limits: LimitSettings,
) -> None:
    """The checks of every format: limits, and pixels in proportion to the file."""
    check_sizes(sizes, file_name, limits)
    pixels = sizes["y"] * sizes["x"] * sizes["c"] * sizes["t"] * sizes["z"]
    check_unpack_ratio(pixels * sample_bytes, file_bytes, file_name, limits)


def named(names: Sequence[Any] | None, count: int) -> tuple[str, ...]:
    """One name per channel; "channel 0" and so on where the file has none."""
    found = [str(name).strip()[:200] for name in names or ()]
    found = found if len(found) == count else [""] * count
    return tuple(name or f"channel {index}" for index, name in enumerate(found))

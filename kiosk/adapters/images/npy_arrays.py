"""NumPy arrays (.npy, format 1 to 3) of numbers, read in windows straight from the file.

Format: numpy.lib.format. Only plain numbers are taken; nothing is ever unpickled.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters.images.plain_images import (
    RGB_NAMES,
    axes_do_not_fit,
    check_sizes,
    corrupt,
    cut_to,
    out_of_range,
    series_not_found,
    truncated,
    unsupported,
)
from kiosk.adapters.images.raw_windows import Target, read_raw
from kiosk.errors import KioskError, TooLarge
from kiosk.ports import Window
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

NPY_MAGIC = b"\x93NUMPY"
_HEADER_BYTES = 64 * 1024  # numpy itself takes 10,000 characters of header
# As the client library and ImageJ have it.
_AXES = {2: "YX", 3: "TYX", 4: "TZYX", 5: "TZCYX"}
_FEW = 4


def open_npy(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> NpyImage:
    """Open an array of 2 to 5 axes. Raises InvalidRequest or TooLarge."""
    if options.series:
        raise series_not_found(file_name, 1)
    shape, is_fortran, dtype, offset = _header(file, file_name)
    if dtype.kind not in "buif":
        message = f"holds {dtype.name[:40]} values; save it as an array of integers or real numbers"
        raise unsupported(file_name, f"{message}.")
    notes: list[str] = []
    axes, shape = _named(shape, dtype == np.uint8, options.axes, file_name, notes)
    image = NpyImage(
        file,
        file_name,
        axes=axes,
        shape=shape,
        is_fortran=is_fortran,
        dtype=dtype,
        offset=offset,
        notes=notes,
    )
    check_sizes(image.sizes, file_name, limits, in_pieces=True)
    if image.pixel_step_bytes > limits.plane_px:
        raise TooLarge(
            f"'{file_name}' keeps {image.pixel_step_bytes} bytes between neighbouring pixels; save"
            " it with y and x as its last axes (numpy.moveaxis, then numpy.ascontiguousarray).",
            reason="IMAGE_TOO_LARGE",
        )
    if offset + math.prod(shape) * dtype.itemsize > file_bytes:
        raise truncated(file_name, "its last values are missing")
    return image


def is_npz(head: bytes) -> bool:
    """Whether the start of a file is that of a zip archive of arrays (.npz)."""
    name_bytes = int.from_bytes(head[26:28], "little")
    return head.startswith(b"PK\x03\x04") and head[30 : 30 + name_bytes].endswith(b".npy")


def refuse_npz(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> NpyImage:
    """Archives of arrays do not say which one is the image."""
    raise unsupported(
        file_name, "is an archive of NumPy arrays (.npz); save the array as .npy or TIFF."
    )


def _header(file: BinaryIO, file_name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, is in Fortran's order, dtype, offset of the values)."""
    file.seek(0)
    head = io.BytesIO(file.read(_HEADER_BYTES))  # numpy reads as much as the header asks for
    try:
        version = np.lib.format.read_magic(head)
        if version == (1, 0):
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(head)
        elif version in ((2, 0), (3, 0)):  # 3 differs only in the names of structured arrays
            shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(head)
        else:
            raise unsupported(file_name, "is a NumPy array of a newer kind; save it as TIFF.")
    except KioskError:
        raise
    except Exception as error:  # numpy's parser raises many kinds on damaged headers
        raise corrupt(file_name, "its header is not that of a NumPy array") from error
    if any(length < 0 for length in shape):
        raise corrupt(file_name, "its header is not that of a NumPy array")
    return tuple(shape), is_fortran, dtype, head.tell()


def _named(
    shape: tuple[int, ...], is_byte: bool, given: str, file_name: str, notes: list[str]
) -> tuple[str, tuple[int, ...]]:
    """The axes, and the shape without axes of length 1 that have no name."""
    if given:
        long = tuple(length for length in shape if length != 1)
        if len(given) not in (len(shape), len(long)):
            raise axes_do_not_fit(file_name, given, shape)
        return given, shape if len(given) == len(shape) else long
    axes = _AXES.get(len(shape), "")
    # Few values in the last axis are channels, as in pictures and in arrays for networks.
    if len(shape) > 2 and shape[-1] <= _FEW < min(shape[-3:-1]):
        axes = {3: "YXC", 4: "TYXC", 5: "TZYXC"}.get(len(shape), "")
        if shape[-1] == 3 and is_byte:
            axes = axes[:-1] + "S"
    if not axes:
        raise unsupported(
            file_name, f"is an array with {len(shape)} axes; save it with 2 to 5 of them."
        )
    notes.append(
        f"The array does not name its axes ({' x '.join(map(str, shape))}); they are taken as"
        f" {axes}."
    )
    return axes, shape


class NpyImage:
    """`ports.ImageSource` over an array of numbers, whose axes may be in any order."""

    def __init__(
        self,
        file: BinaryIO,
        file_name: str,
        *,
        axes: str,
        shape: tuple[int, ...],
        is_fortran: bool,
        dtype: np.dtype[Any],
        offset: int,
        notes: Sequence[str],
    ) -> None:
        lengths = dict(zip(axes, shape, strict=True))
        faster = [
            shape[:index] if is_fortran else shape[index + 1 :] for index in range(len(shape))
        ]
        steps = [math.prod(lengths) * dtype.itemsize for lengths in faster]
        self._strides = dict(zip(axes, steps, strict=True))
        self._samples = lengths.get("S", 1)
        self.format, self.axes = "NumPy array", axes
        self.sizes: Mapping[str, int] = {axis: lengths.get(axis.upper(), 1) for axis in "tczyx"}
        self.sizes = {**self.sizes, "c": self.sizes["c"] * self._samples}
        self.dtype = dtype.newbyteorder("=")
        self.is_rgb = self._samples == 3 and self.sizes["c"] == 3
        names = [f"channel {index}" for index in range(self.sizes["c"])]
        self.channel_names: Sequence[str] = RGB_NAMES if self.is_rgb else tuple(names)
        self.pixel_size_um: tuple[float, float] | None = None
        self.z_step_um: float | None = None
        self.frame_interval_s: float | None = None
        self.levels: Sequence[tuple[int, int]] = ((self.sizes["y"], self.sizes["x"]),)
        self.notes: Sequence[str] = tuple(notes)
        self._file, self._file_name = file, file_name
        self._stored_dtype, self._offset = dtype, offset
        self._lock = threading.Lock()

    @property
    def pixel_step_bytes(self) -> int:
        """Bytes from one pixel to its neighbour, with all that lies between."""
        return min(self._strides["Y"], self._strides["X"])

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels, read row by row. Raises InvalidRequest."""
        sizes = self.sizes
        if not (0 <= t < sizes["t"] and 0 <= z < sizes["z"] and level == 0) or any(
            not 0 <= c < sizes["c"] for c in channels
        ):
            raise out_of_range(self._file_name, t, z, channels, level)
        rows, columns = cut_to(window, self.levels[0])
        shape = (len(channels), rows.stop - rows.start, columns.stop - columns.start)
        result = np.empty(shape, self.dtype)
        if not result.size:
            return result
        steps = self._strides
        start = self._offset + t * steps.get("T", 0) + z * steps.get("Z", 0)
        start += rows.start * steps["Y"] + columns.start * steps["X"]
        is_turned = steps["X"] > steps["Y"]
        targets = [
            Target(self._shift(c), out.T if is_turned else out)
            for c, out in zip(channels, result, strict=True)
        ]
        strides = (max(steps["Y"], steps["X"]), min(steps["Y"], steps["X"]))
        # Channels between the pixels of a row are read together, others each for itself.
        together = [targets] if self._shift(sizes["c"] - 1) < strides[1] else [[t] for t in targets]
        with self._lock:
            try:
                for some in together:
                    read_raw(self._file, start, self._stored_dtype, strides, some)
            except ValueError as error:
                raise truncated(self._file_name, "its last values are missing") from error
        return result

    def _shift(self, channel: int) -> int:
        c, s = divmod(channel, self._samples)
        return c * self._strides.get("C", 0) + s * self._strides.get("S", 0)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()

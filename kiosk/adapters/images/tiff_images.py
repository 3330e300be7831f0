"""TIFF images: plain and multi-page, tiled, BigTIFF, pyramids, OME-TIFF, ImageJ hyperstacks, SVS.

Opening is done in three steps, because headers may be damaged or hostile: `walk_pages` reads the
page directories with bounds on everything, then tifffile groups the pages to series, then the
series that is asked for is checked against the size of the file and the limits. Pixels are read
window by window, one strip or tile at a time. tifffile's errors are of many kinds; `damage`
turns them into sentences.

Formats: TIFF 6.0 (Adobe, 1992), BigTIFF, OME-TIFF (ome-model), ImageJ's own description tag.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import tifffile

from kiosk.adapters.images.coded_sizes import JPEGS, WEBP
from kiosk.adapters.images.plain_images import (
    RGB_NAMES,
    check_sizes,
    check_sparse,
    check_unpack_ratio,
    cut_to,
    out_of_range,
    unsupported,
)
from kiosk.adapters.images.tiff_headers import PageSizes, walk_pages
from kiosk.adapters.images.tiff_metadata import TiffMetadata, colour_table
from kiosk.adapters.images.tiff_pages import PageStack, Wanted
from kiosk.adapters.images.tiff_pieces import PieceReader
from kiosk.adapters.images.tiff_series import chosen, damage, grouped
from kiosk.errors import InvalidRequest, TooLarge, TransientError
from kiosk.ports import Window
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_PHOTOMETRIC_READ = {_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _YCBCR}
_ASSOCIATED_ALPHA, _ALPHA = 1, 2
_FORMATS = {"imagej": "ImageJ TIFF", "svs": "SVS", "stk": "STK", "lsm": "LSM", "ndpi": "NDPI"}
# Unpacked strips and tiles that are kept for the windows and channels that follow.
KEEP_BYTES = 32 * 1024 * 1024


def open_tiff(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> TiffImage:
    """Open one series of a TIFF. Raises InvalidRequest or TooLarge."""
    notes: list[str] = []
    with damage(file_name, "its TIFF headers cannot be read"):
        pages = walk_pages(file, file_bytes, file_name, limits)
        tif = grouped(file, file_name, len(pages), limits, notes)
        series = chosen(tif, file_name, options.series, notes)
        pieces = PieceReader(file, file_name, limit_px=limits.plane_px, keep_bytes=KEEP_BYTES)
        stack = PageStack(file, file_name, tif, series, pieces)
        image = TiffImage(file, file_name, tif, series, stack, options, notes)
        _check(image, stack, pages, file_bytes, limits)
        for level in series.levels[1:]:
            image.add_level(_level(image, level, pieces, pages, file_bytes, limits))
    return image


def _check(
    image: TiffImage,
    stack: PageStack,
    pages: Mapping[int, PageSizes],
    file_bytes: int,
    limits: LimitSettings,
) -> None:
    """Check sizes, limits, compression, and that all pixels lie within the file."""
    name = image.file_name
    check_sizes(image.sizes, name, limits, in_pieces=True)
    samples = math.prod(stack.keyframe.shape) // max(image.sizes["y"] * image.sizes["x"], 1)
    if samples * image.sizes["y"] * image.sizes["x"] > 4 * limits.slide_px:
        raise TooLarge(
            f"'{name}' has pages that are too large; save it with one channel per page.",
            reason="IMAGE_TOO_LARGE",
        )
    _check_coding(stack.keyframe, name)
    if not stack.reads_rows:
        check_sparse(image.sizes, image.dtype.itemsize, file_bytes, name)
    stored = stack.check(pages, file_bytes, limits.plane_px)
    if not stack.reads_rows:
        check_unpack_ratio(stored, file_bytes, name, limits)


def _check_coding(keyframe: Any, name: str) -> None:
    """Refuse compressions and colour models that are not read."""
    code, photometric = int(keyframe.compression), int(keyframe.photometric)
    try:
        known = code in (1, *JPEGS) or bool(tifffile.TIFF.DECOMPRESSORS[code])
    except KeyError:
        known = False
    if not known:
        label = getattr(keyframe.compression, "name", str(code))
        message = f"is compressed with {label}, which is not read; save it with LZW or deflate."
        raise unsupported(name, message)
    if photometric not in _PHOTOMETRIC_READ or (
        photometric == _YCBCR and code not in JPEGS | {WEBP}
    ):
        label = getattr(keyframe.photometric, "name", str(photometric))
        label = {"SEPARATED": "CMYK"}.get(label, label)
        raise unsupported(name, f"stores its colours as {label}; save it as RGB or grey.")


def _level(
    image: TiffImage,
    series: Any,
    pieces: PieceReader,
    pages: Mapping[int, PageSizes],
    file_bytes: int,
    limits: LimitSettings,
) -> PageStack | None:
    """The pages of a lower resolution; None where they are not that of the image, or damaged."""
    try:
        with damage(image.file_name, "a level of its pyramid cannot be read"):
            stack = PageStack(image.file, image.file_name, image.tif, series, pieces)
            _check_coding(stack.keyframe, image.file_name)
            stack.check(pages, file_bytes, limits.plane_px)
            return stack
    except TransientError:
        raise
    except InvalidRequest:
        return None


class TiffImage:
    """`ports.ImageSource` over one series of a TIFF.

    Every axis of the series but y and x has a role among t, z and c; a role may hold several
    axes, the slowest first. Samples of a pixel are the fastest channels.

    Attributes:
        stored, axes_guessed: (role, length) of every stored axis, slowest first, and whether the
            file leaves an axis without a name; see `reinterpreted`.
    """

    def __init__(
        self,
        file: BinaryIO,
        file_name: str,
        tif: Any,
        series: Any,
        stack: PageStack,
        options: ReadOptions,
        notes: list[str],
    ) -> None:
        self.file, self.file_name, self.tif = file, file_name, tif
        self._stacks = [stack]
        self._lock = threading.Lock()  # tifffile is not made for threads
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        if self.dtype.kind not in "buif":
            message = f"holds {self.dtype} values; save it as integers or real numbers."
            raise unsupported(file_name, message)
        samples, self.is_rgb = self._samples(options, notes)
        self._lut = colour_table(stack.keyframe, bool(tif.is_imagej), notes)
        self._length = dict(zip(stack.axes, stack.shape, strict=True)) | {"S": samples}
        # Where the caller names the axes, nobody needs to hear what was guessed.
        self._roles = self._assign([] if options.axes else notes)
        self.sizes: Mapping[str, int] = {
            role: math.prod(self._length[axis] for axis in axes)
            for role, axes in self._roles.items()
        } | {"y": self._length["Y"], "x": self._length["X"]}
        roles = {axis: role for role, axes in self._roles.items() for axis in axes}
        roles |= {"Y": "y", "X": "x", "S": "s"}
        self.stored = tuple((roles[axis], self._length[axis]) for axis in stack.axes)
        unnamed = {a for a in stack.axes if a not in "TCZYXS"}
        self.axes_guessed = any(self._length[axis] > 1 for axis in unnamed)
        self.axes = "".join(
            roles[axis].upper()
            for axis in stack.axes
            if axis not in unnamed or self._length[axis] > 1
        )
        self._use_colours()
        self.levels: Sequence[tuple[int, int]] = ((self.sizes["y"], self.sizes["x"]),)
        self._describe(options.series, series.kind, notes)
        self.notes: Sequence[str] = tuple(dict.fromkeys(notes))

    def _use_colours(self) -> None:
        """Expand a palette where it is one of colours."""
        self.is_rgb = self.is_rgb and self.sizes["c"] == 3
        if self._lut is not None and self.sizes["c"] == 1:
            self.is_rgb, self.dtype = True, self._lut.dtype
            self.sizes = {**self.sizes, "c": 3}
        else:
            self._lut = None

    def _describe(self, number: int, kind: str, notes: list[str]) -> None:
        """Take over the metadata of the series."""
        keyframe = self._stacks[0].keyframe
        metadata = TiffMetadata(self.tif, number, notes)
        self.channel_names: Sequence[str] = (
            RGB_NAMES if self.is_rgb else metadata.channel_names(self.sizes["c"])
        )
        if not self.is_rgb:
            self.channel_colors: Sequence[str] = metadata.channel_colors(self.sizes["c"])
        self.pixel_size_um = metadata.pixel_size_um()
        self.z_step_um = metadata.z_step_um()
        self.frame_interval_s = metadata.frame_interval_s()
        plain = "BigTIFF" if self.tif.is_bigtiff else "TIFF"
        self.format = "OME-TIFF" if self.tif.is_ome else _FORMATS.get(kind, plain)
        if int(keyframe.photometric) == _MIN_IS_WHITE:
            notes.append("The file says that low values are bright; values are read as stored.")
        if keyframe.tags.valueof(274, 1) != 1:
            notes.append("The orientation that the file asks for is not applied.")

    def _samples(self, options: ReadOptions, notes: list[str]) -> tuple[int, bool]:
        """How many samples of a pixel are channels, and whether they are red, green, blue."""
        stack = self._stacks[0]
        if "S" not in stack.axes:
            return 1, False
        samples = stack.shape[stack.axes.index("S")]
        colours = 3 if int(stack.keyframe.photometric) in (_RGB, _YCBCR) else 1
        extra = tuple(stack.keyframe.extrasamples)
        # An extra sample of unspecified kind may be a real channel, and so may any that the
        # caller gives a name: arrays with 4 planes are often saved as if they had an alpha.
        is_named = len(options.axes) >= sum(length > 1 for length in stack.shape)
        is_alpha = samples == colours + 1 and extra and int(extra[0]) in (_ASSOCIATED_ALPHA, _ALPHA)
        if is_alpha and not is_named:
            notes.append("The alpha channel of the image is left out.")
            samples = colours
        return samples, colours == 3 and samples == 3

    def _assign(self, notes: list[str]) -> dict[str, str]:
        """The axes behind t, c and z. Unnamed axes become t, then z, then join t.

        Where the file names none of three, the third is c, as in ImageJ's order.
        """
        axes = self._stacks[0].axes
        roles = {role: role.upper() if role.upper() in axes else "" for role in "tcz"}
        unnamed = [axis for axis in axes if axis not in "TCZYXS"]
        nameless = [axis for axis in unnamed if self._length[axis] > 1]
        thirds = nameless[2:3] if len(nameless) == 3 and not any(roles.values()) else []
        for axis in nameless:
            taken = "t" if not roles["t"] else "z" if not roles["z"] else "t"
            if axis in thirds and "S" not in axes:
                taken = "c"
            whose = f"planes along '{axis}'" if axis.isupper() and axis not in "QI" else "planes"
            words = {"t": "time points", "z": "depths (z)", "c": "channels"}[taken]
            notes.append(
                f"The file does not name the axis of its {self._length[axis]} {whose};"
                f" they are taken as {'further ' if roles[taken] else ''}{words}."
            )
            roles[taken] += axis
        roles["t"] += "".join(axis for axis in unnamed if self._length[axis] <= 1)
        roles["c"] += "S" if "S" in axes else ""
        stored = axes.replace("S", "") + "S"
        return {role: "".join(a for a in stored if a in held) for role, held in roles.items()}

    def add_level(self, stack: PageStack | None) -> None:
        """Offer a lower resolution, if it is the same image made smaller."""
        top = self._stacks[0]
        if stack is None or (stack.axes, stack.page_axes) != (top.axes, top.page_axes):
            return
        lengths = dict(zip(stack.axes, stack.shape, strict=True))
        stored = dict(zip(top.axes, top.shape, strict=True))
        if any(lengths[axis] != stored[axis] for axis in stored if axis not in "YX"):
            return
        if stack.is_like(top) and is_smaller(self.levels, (lengths["Y"], lengths["X"])):
            self._stacks.append(stack)
            self.levels = (*self.levels, (lengths["Y"], lengths["X"]))

    def plane(
        self,
        t: int,
        z: int,
        channels: Sequence[int],
        window: Window | None = None,
        level: int = 0,
    ) -> np.ndarray:
        """(len(channels), y, x) pixels. Raises InvalidRequest when the pixels are damaged.

        Unpacks the strips or tiles that the window touches, one at a time.
        """
        sizes = self.sizes
        if not (0 <= t < sizes["t"] and 0 <= z < sizes["z"] and 0 <= level < len(self.levels)):
            raise out_of_range(self.file_name, t, z, channels, level)
        if any(not 0 <= c < sizes["c"] for c in channels):
            raise out_of_range(self.file_name, t, z, channels, level)
        rows, columns = cut_to(window, self.levels[level])
        shape = (len(channels), rows.stop - rows.start, columns.stop - columns.start)
        stack = self._stacks[level]
        with self._lock, damage(self.file_name, f"the pixels of t={t}, z={z} cannot be unpacked"):
            result = np.empty(shape, self.dtype)
            if result.size:
                wanted = list(self._wanted(t, z, channels, result))
                stack.read(wanted, *((columns, rows) if stack.is_transposed else (rows, columns)))
        return result

    def _wanted(
        self, t: int, z: int, channels: Sequence[int], result: np.ndarray
    ) -> Iterator[Wanted]:
        """Where each channel lies on the stored axes, and where it goes."""
        for out, channel in zip(result, channels, strict=True):
            place: dict[str, int] = {}
            positions = {"t": t, "z": z, "c": 0 if self._lut is not None else channel}
            for role, position in positions.items():
                rest = position
                for axis in reversed(self._roles[role]):
                    rest, place[axis] = divmod(rest, self._length[axis])
            colours = None if self._lut is None else self._lut[channel]
            yield Wanted(place, out.T if self._stacks[0].is_transposed else out, colours)

    def close(self) -> None:
        """Close the file too."""
        with self._lock:
            self.tif.close()
            self.file.close()


def is_smaller(levels: Sequence[tuple[int, int]], size: tuple[int, int]) -> bool:
    """Whether a (y, x) size shrinks the first of `levels` alike in y and x, and is the smallest.

    Sizes are whole numbers, so each may be off by one.
    """
    (full_y, full_x), (last_y, last_x), (y, x) = levels[0], levels[-1], size
    alike = abs(y * full_x - x * full_y) <= full_x + full_y
    return alike and 0 < y <= last_y and 0 < x <= last_x and y * x < last_y * last_x

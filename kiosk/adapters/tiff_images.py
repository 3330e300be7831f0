"""TIFF images: plain and multi-page, tiled, BigTIFF, OME-TIFF, ImageJ hyperstacks.

Opening is done in three steps, because headers may be damaged or hostile: `walk_pages` reads the
page directories with bounds on everything, then tifffile groups the pages to series, then the
first series is checked against the size of the file and the limits. Pixels are read one
page at a time. tifffile's errors are of many kinds, hence the wide `except` clauses.

Formats: TIFF 6.0 (Adobe, 1992), BigTIFF, OME-TIFF (ome-model), ImageJ's own description tag.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import tifffile

from kiosk.adapters.plain_images import (
    RGB_NAMES,
    check_sizes,
    check_unpack_ratio,
    corrupt,
    out_of_range,
    truncated,
    unsupported,
)
from kiosk.adapters.tiff_headers import (
    JPEGS,
    PAGES_PER_PLANE,
    PageSizes,
    check_chunks,
    ome_is_sane,
    walk_pages,
)
from kiosk.adapters.tiff_metadata import TiffMetadata, colour_table
from kiosk.errors import KioskError, TooLarge
from kiosk.ports import Window
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings

# What tifffile logs about damaged files is said in our errors and notes already.
logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _YCBCR = 0, 1, 2, 3, 4, 6
_PHOTOMETRIC_READ = {_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _MASK, _YCBCR}
_WEBP = 50001
_ASSOCIATED_ALPHA, _ALPHA = 1, 2


def open_tiff(
    file: BinaryIO, file_bytes: int, file_name: str, limits: LimitSettings, options: ReadOptions
) -> TiffImage:
    """Open the first series of a TIFF. Raises InvalidRequest or TooLarge."""
    notes: list[str] = []
    with _damage(file_name, "its TIFF headers cannot be read"):
        pages = walk_pages(file, file_bytes, file_name, limits)
        tif, series = _first_series(file, notes, limits)
        _check_imagej(tif, series, file_name)
        image = TiffImage(file, file_name, tif, series, notes)
        _check_series(image, pages, file_bytes, limits)
    return image


@contextlib.contextmanager
def _damage(file_name: str, what: str) -> Iterator[None]:
    """Turn whatever a library raises into one sentence."""
    try:
        yield
    except KioskError:
        raise
    except NotImplementedError as error:
        message = "uses a rare form of TIFF that is not read; save it without compression."
        raise unsupported(file_name, message) from error
    except MemoryError as error:
        message = f"'{file_name}' does not fit into memory; cut it into smaller images."
        raise TooLarge(message, reason="IMAGE_TOO_LARGE") from error
    except Exception as error:
        raise corrupt(file_name, what) from error


def _first_series(file: BinaryIO, notes: list[str], limits: LimitSettings) -> tuple[Any, Any]:
    """The open TiffFile and its first series; metadata that mislead are left aside."""
    plain = {"is_ome": False, "is_imagej": False, "is_shaped": False}
    cap = limits.planes * PAGES_PER_PLANE
    for flags in ({}, {"is_ome": False}, plain):
        file.seek(0)
        tif: Any = tifffile.TiffFile(file, name="image", _multifile=False, **flags)
        if tif.is_ome and not ome_is_sane(tif.ome_metadata, cap):
            notes.append("The OME metadata of the file are damaged and were not used.")
            continue
        try:
            series = tif.series[0]
        except KioskError:
            raise
        except Exception:
            if flags is plain:
                raise
            continue
        if flags is not plain and _lacks_planes(series):
            notes.append(
                "The metadata describe planes that are not in this file;"
                " only the planes in it are read."
            )
            continue
        break
    if not tif.is_ome and "<OME" in str(tif.pages.first.description)[:4096]:
        notes.append("The OME metadata of the file are damaged and were not used.")
    if tif.is_ome and series.kind != "ome":
        notes.append("The OME metadata do not describe the planes of this file alone.")
    if len(tif.series) > 1:
        notes.append(f"The file has {len(tif.series)} images; only the first is read.")
    return tif, series


def _lacks_planes(series: Any) -> bool:
    """Whether the metadata promise more planes than the pages or the bytes in a row hold."""
    pages = series._pages
    planes = math.prod(series.shape) // max(math.prod(series.keyframe.shape), 1)
    if None in pages:
        return True
    return len(pages) != planes and (len(pages) > 1 or series.dataoffset is None)


def _check_imagej(tif: Any, series: Any, file_name: str) -> None:
    """Refuse an ImageJ stack that was cut short; tifffile would take its first plane for all.

    ImageJ writes one page and all planes behind it, so only the description tells.
    """
    images = (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1
    if series.kind != "imagej" and not tif.pages.is_multipage and images > 1:
        raise truncated(file_name, f"not all of its {images} planes are there")


def _check_series(
    image: TiffImage, pages: Mapping[int, PageSizes], file_bytes: int, limits: Any
) -> None:
    """Check sizes, limits, compression, and that all pixels lie within the file."""
    name, keyframe = image.file_name, image.keyframe
    check_sizes(image.sizes, name, limits)
    per_page = math.prod(keyframe.shape)
    chunk_px = keyframe.tilewidth * keyframe.tilelength if keyframe.is_tiled else 1
    samples = per_page // max(keyframe.imagewidth * keyframe.imagelength, 1)
    if chunk_px > limits.plane_px or samples * image.sizes["y"] * image.sizes["x"] > (
        4 * limits.plane_px
    ):
        raise TooLarge(
            f"'{name}' is stored in pieces that are too large to unpack; save it with smaller"
            " tiles and one channel per page.",
            reason="IMAGE_TOO_LARGE",
        )
    _check_coding(keyframe, name)
    if image.data_offset is not None:
        if image.data_offset + image.page_count * per_page * image.dtype.itemsize > file_bytes:
            raise truncated(name, "its last planes are missing")
        return
    stored = 0
    chunks = math.prod(keyframe.chunked)
    for number, page in enumerate(image.pages, 1):
        sizes = pages.get(page.offset) if page.offset is not None else None
        if sizes is not None and sizes != pages.get(keyframe.offset, sizes):
            raise unsupported(name, f"has pages of differing sizes (page {number}); split it.")
        offsets = np.asarray(page.dataoffsets, dtype=np.float64)
        counts = np.asarray(page.databytecounts, dtype=np.float64)
        if len(offsets) != len(counts) or len(offsets) < chunks:
            raise corrupt(name, f"page {number} lists too few of its pieces")
        if (offsets + counts).max(initial=0) > file_bytes:
            raise truncated(name, f"pixels of page {number} lie beyond its end")
        stored += int(np.count_nonzero(counts))
    # Tiles that are left out (sparse files) cost nothing; the others may unpack to a whole one.
    pixel_bytes = min(stored / max(chunks, 1), len(image.pages)) * per_page * image.dtype.itemsize
    check_unpack_ratio(int(pixel_bytes), file_bytes, name, limits)


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
        photometric == _YCBCR and code not in JPEGS | {_WEBP}
    ):
        label = getattr(keyframe.photometric, "name", str(photometric))
        raise unsupported(name, f"stores its colours as {label}; save it as RGB or grey.")


class TiffImage:
    """`ports.ImageSource` over the first series of a TIFF.

    The series has axes (stack axes..., page axes...), for example "TZC" + "YX". Every axis but
    y and x has a role among t, z and c; a role may hold several axes, the slowest first.
    """

    def __init__(
        self, file: BinaryIO, file_name: str, tif: Any, series: Any, notes: list[str]
    ) -> None:
        self.file_name, self.keyframe = file_name, series.keyframe
        self._file, self._tif, self._series = file, tif, series
        self._lock = threading.Lock()  # tifffile is not made for threads
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        if self.dtype.kind not in "buif":
            message = f"holds {self.dtype} values; save it as integers or real numbers."
            raise unsupported(file_name, message)
        self._axes, self._shape = str(series.axes), tuple(int(n) for n in series.shape)
        if not {"Y", "X"} <= set(self._axes) or len(set(self._axes)) != len(self._axes):
            raise corrupt(file_name, "it holds no planes of pixels")
        self._stack = self._split()
        self._kept_samples, self.is_rgb = self._samples(notes)
        self._lut: np.ndarray | None = colour_table(self.keyframe, bool(tif.is_imagej), notes)
        self._roles = self._assign(notes)
        length = dict(zip(self._axes, self._shape, strict=True))
        self._length = length | {"S": self._kept_samples}
        self.sizes: Mapping[str, int] = {
            role: math.prod(self._length[axis] for axis in axes)
            for role, axes in self._roles.items()
        } | {"y": length["Y"], "x": length["X"]}
        self.is_rgb = self.is_rgb and self.sizes["c"] == 3
        if self._lut is not None and self.sizes["c"] == 1:
            self.is_rgb, self.dtype = True, self._lut.dtype
            self.sizes = {**self.sizes, "c": 3}
        else:
            self._lut = None
        metadata = TiffMetadata(tif)
        self.channel_names: Sequence[str] = (
            RGB_NAMES if self.is_rgb else metadata.channel_names(self.sizes["c"])
        )
        self.pixel_size_um = metadata.pixel_size_um()
        self.frame_interval_s = metadata.frame_interval_s()
        self.z_step_um: float | None = None
        self.format = "OME-TIFF" if tif.is_ome else "TIFF"
        self.axes = self._axes
        self.levels: Sequence[tuple[int, int]] = ((self.sizes["y"], self.sizes["x"]),)
        if int(self.keyframe.photometric) == _MIN_IS_WHITE:
            notes.append("The file says that low values are bright; values are read as stored.")
        if self.keyframe.tags.valueof(274, 1) != 1:
            notes.append("The orientation that the file asks for is not applied.")
        self.notes: Sequence[str] = tuple(dict.fromkeys(notes))

    @property
    def page_count(self) -> int:
        """How many pages the planes of the series fill."""
        return math.prod(self._shape[: len(self._stack)])

    def _split(self) -> str:
        """Divide the axes into stack and page axes; how pages are reached follows from it."""
        page_shape = tuple(self.keyframe.shape)
        depth = len(self._axes) - len(page_shape)
        self.data_offset: int | None = None
        self.pages: Sequence[Any] = list(self._series._pages)
        if depth >= 0 and self._shape[depth:] == page_shape:
            count = math.prod(self._shape[:depth])
            if len(self.pages) == count:
                return self._axes[:depth]
            # ImageJ, STK and tifffile keep stacks behind one page, as plain bytes in a row.
            if len(self.pages) == 1 and self._series.dataoffset is not None:
                self.data_offset = int(self._series.dataoffset)
                return self._axes[:depth]
        raise unsupported(
            self.file_name, "has pages that do not fit its axes; save it as OME-TIFF with Fiji."
        )

    def _samples(self, notes: list[str]) -> tuple[int, bool]:
        """How many samples of a pixel are channels, and whether they are red, green, blue."""
        if "S" not in self._axes:
            return 1, False
        samples = self._shape[self._axes.index("S")]
        colours = 3 if int(self.keyframe.photometric) in (_RGB, _YCBCR) else 1
        extra = tuple(self.keyframe.extrasamples)
        # An extra sample of unspecified kind may be a real channel.
        if samples == colours + 1 and extra and int(extra[0]) in (_ASSOCIATED_ALPHA, _ALPHA):
            notes.append("The alpha channel of the image is left out.")
            samples = colours
        return samples, colours == 3 and samples == 3

    def _assign(self, notes: list[str]) -> dict[str, str]:
        """The axes behind t, c and z; unnamed axes become t, else z, else join t."""
        roles = {role: role.upper() if role.upper() in self._axes else "" for role in "tcz"}
        lengths = dict(zip(self._axes, self._shape, strict=True))
        for axis in self._axes:
            if axis in "TCZYXS":
                continue
            taken = "t" if not roles["t"] else "z" if not roles["z"] else "t"
            if lengths[axis] > 1:
                whose = "planes" if axis in "QI" else f"planes along '{axis}'"
                words = "time points" if taken == "t" else "depths (z)"
                notes.append(
                    f"The file does not name the axis of its {lengths[axis]} {whose};"
                    f" they are taken as {'further ' if roles[taken] else ''}{words}."
                )
            roles[taken] = "".join(a for a in self._axes if a in roles[taken] + axis)
        if "S" in self._axes:
            roles["c"] += "S"
        return roles

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
        if not (0 <= t < sizes["t"] and 0 <= z < sizes["z"]) or any(
            not 0 <= c < sizes["c"] for c in channels
        ):
            raise out_of_range(self.file_name, t, z, channels)
        result = np.empty((len(channels), sizes["y"], sizes["x"]), self.dtype)
        page_index, page = -1, np.empty(0)
        with self._lock, _damage(self.file_name, f"the pixels of t={t}, z={z} cannot be unpacked"):
            for out, channel in zip(result, channels, strict=True):
                where = self._place(t, z, 0 if self._lut is not None else channel)
                index = 0
                for axis in self._stack:
                    index = index * self._length[axis] + where[axis]
                if index != page_index:  # RGB samples of one page are unpacked once
                    page_index, page = index, self._page(index)
                pick = tuple(
                    where.get(axis, slice(None)) for axis in self._axes[len(self._stack) :]
                )
                pixels = page[pick]
                if self._axes.index("X") < self._axes.index("Y"):
                    pixels = pixels.T
                out[...] = pixels if self._lut is None else self._lut[channel][pixels.astype(int)]
        return result if window is None else result[:, *window]

    def _place(self, t: int, z: int, c: int) -> dict[str, int]:
        """Axis -> position, for all axes but y and x."""
        where = {}
        for role, position in (("t", t), ("z", z), ("c", c)):
            rest = position
            for axis in reversed(self._roles[role]):
                rest, where[axis] = divmod(rest, self._length[axis])
        return where

    def _page(self, index: int) -> np.ndarray:
        shape = tuple(self.keyframe.shape)
        if self.data_offset is not None:
            dtype = np.dtype(self._series.dtype).newbyteorder(self._tif.byteorder)
            self._file.seek(self.data_offset + index * math.prod(shape) * dtype.itemsize)
            data = self._file.read(math.prod(shape) * dtype.itemsize)
            return np.frombuffer(data, dtype).reshape(shape)
        page = self.pages[index]
        if page.offset is not None:
            # tifffile reads further pages with the tags of the first; theirs may differ.
            page = page.aspage()
        check_chunks(page, self._file, self.file_name)
        pixels: np.ndarray = page.asarray(maxworkers=1)
        if pixels.shape != shape or pixels.dtype != self._series.dtype:
            raise corrupt(self.file_name, "its pages differ in size or kind of pixels")
        return pixels

    def close(self) -> None:
        """Close the file too."""
        with self._lock:
            self._tif.close()
            self._file.close()

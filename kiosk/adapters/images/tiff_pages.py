"""The pages behind a series of a TIFF at one resolution, read in windows.

A series has axes (stack axes..., page axes...), for example "TZC" + "YX": one page per
position in the stack. Only the strips or tiles that a window touches are read and unpacked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from kiosk.adapters.images.plain_images import corrupt, truncated, unsupported
from kiosk.adapters.images.raw_windows import Target, read_raw
from kiosk.adapters.images.tiff_headers import PageSizes
from kiosk.adapters.images.tiff_pieces import PieceReader, check_piece_size, pieces_in


class Wanted(NamedTuple):
    """One channel of a window: its place on every axis but y and x, and where it goes."""

    place: Mapping[str, int]
    out: np.ndarray
    colours: np.ndarray | None = None


class PageStack:
    """The pages of a tifffile series.

    Attributes:
        axes: of the series, each letter once.
        shape: their lengths.
        stack: the axes that run over pages.
        page_axes: letter -> which axis of a page it is: "sample", "depth", "row" or "column".
        keyframe: the page whose tags stand for all.
    """

    def __init__(
        self, file: BinaryIO, file_name: str, tif: Any, series: Any, pieces: PieceReader
    ) -> None:
        self.keyframe = series.keyframe
        self.axes, self.shape = each_once(str(series.axes)), tuple(int(n) for n in series.shape)
        self._file, self._name, self._series, self._pieces = file, file_name, series, pieces
        self._stored_dtype = np.dtype(series.dtype).newbyteorder(tif.byteorder)
        self._data_offset: int | None = None
        self._pages: Sequence[Any] = list(series._pages)
        self._last: tuple[int, Any] = (-1, None)
        if not {"Y", "X"} <= set(self.axes) or len(set(self.axes)) != len(self.axes):
            raise corrupt(file_name, "it holds no planes of pixels")
        self.stack = self._split()
        self.page_axes = self._roles()
        self._lengths = dict(zip(self.axes, self.shape, strict=True))

    @property
    def count(self) -> int:
        """How many pages the planes of the series fill."""
        return math.prod(self.shape[: len(self.stack)])

    @property
    def is_transposed(self) -> bool:
        """Whether x runs over the rows of a page, and y over its columns."""
        return self.axes.index("X") < self.axes.index("Y")

    @property
    def reads_rows(self) -> bool:
        """Whether pixels lie in plain rows, of which any part can be read."""
        return self._data_offset is not None or bool(self.keyframe.is_final)

    def is_like(self, other: PageStack) -> bool:
        """Whether the values are of the same kind: type, colour model."""
        kinds = [
            (s.keyframe.photometric, s._stored_dtype, s.keyframe.planarconfig)
            for s in (self, other)
        ]
        return kinds[0] == kinds[1]

    def _split(self) -> str:
        """Divide the axes into stack and page axes; how pages are reached follows from it."""
        page_shape = tuple(self.keyframe.shape)
        depth = len(self.axes) - len(page_shape)
        if depth >= 0 and self.shape[depth:] == page_shape:
            count = math.prod(self.shape[:depth])
            if len(self._pages) == count:
                return self.axes[:depth]
            # ImageJ, STK and tifffile keep stacks behind one page, as plain bytes in a row.
            if len(self._pages) == 1 and self._series.dataoffset is not None:
                self._data_offset = int(self._series.dataoffset)
                return self.axes[:depth]
        raise unsupported(
            self._name, "has pages that do not fit its axes; save it as OME-TIFF with Fiji."
        )

    def _roles(self) -> Mapping[str, str]:
        names = {"S": "sample", "Z": "depth", "Y": "row", "X": "column"}
        letters = self.axes[len(self.stack) :]
        roles = {a: names[b] for a, b in zip(letters, self.keyframe.axes, strict=True)}
        if {roles.get("Y"), roles.get("X")} != {"row", "column"}:
            message = "spreads the rows of a plane over its pages; save it as OME-TIFF with Fiji."
            raise unsupported(self._name, message)
        return roles

    def check(self, sizes: Mapping[int, PageSizes], file_bytes: int, limit_px: int) -> int:
        """Check that all pixels lie within the file and that pieces can be unpacked.

        Gives the bytes of all stored pixels, unpacked; raises InvalidRequest or TooLarge.
        Tiles that are left out (sparse files) cost nothing; others may unpack to a whole one.
        """
        keyframe, name = self.keyframe, self._name
        page_bytes = math.prod(keyframe.shape) * self._stored_dtype.itemsize
        if not self.reads_rows:
            check_piece_size(keyframe, name, limit_px)
        if self._data_offset is not None:
            if self._data_offset + self.count * page_bytes > file_bytes:
                raise truncated(name, "its last planes are missing")
            return self.count * page_bytes
        stored = 0
        chunks = math.prod(keyframe.chunked)
        for number, page in enumerate(self._pages, 1):
            size = sizes.get(page.offset) if page.offset is not None else None
            if size is not None and size != sizes.get(keyframe.offset, size):
                raise unsupported(name, f"has pages of differing sizes (page {number}); split it.")
            offsets = np.asarray(page.dataoffsets, dtype=np.float64)
            counts = np.asarray(page.databytecounts, dtype=np.float64)
            if len(offsets) != len(counts) or len(offsets) < chunks:
                raise corrupt(name, f"page {number} lists too few of its pieces")
            if (offsets + counts).max(initial=0) > file_bytes:
                raise truncated(name, f"pixels of page {number} lie beyond its end")
            stored += int(np.count_nonzero(counts))
        return int(min(stored / max(chunks, 1), len(self._pages)) * page_bytes)

    def read(self, wanted: Sequence[Wanted], rows: slice, columns: slice) -> None:
        """Fill windows of one size, given by rows and columns of the pages.

        Raises InvalidRequest or the errors of decoders where the pixels are damaged.
        """
        groups: dict[tuple[int, int, int], list[Target]] = {}
        for item in wanted:
            index = 0
            for axis in self.stack:
                index = index * self._lengths[axis] + item.place[axis]
            within = {role: item.place.get(axis, 0) for axis, role in self.page_axes.items()}
            separate, sample = within.get("sample", 0), 0
            if self.keyframe.planarconfig == 1:
                separate, sample = 0, separate
            target = Target(sample * self._stored_dtype.itemsize, item.out, item.colours)
            groups.setdefault((index, separate, within.get("depth", 0)), []).append(target)
        for (index, separate, depth), targets in groups.items():
            window = (separate, depth, rows, columns)
            if self._data_offset is not None:
                self._read_rows(self._data_offset, index, targets, *window)
            elif (page := self._page(index)).is_final:
                self._read_rows(int(page.dataoffsets[0]), 0, targets, *window)
            else:
                self._read_pieces(page, targets, *window)

    def _read_rows(
        self,
        offset: int,
        index: int,
        targets: Sequence[Target],
        separate: int,
        depth: int,
        rows: slice,
        columns: slice,
    ) -> None:
        """Read from page `index` of those that lie in a row from `offset` on."""
        _, depths, length, width, samples = self.keyframe.shaped
        pixel = samples * self._stored_dtype.itemsize
        start = index * math.prod(self.keyframe.shaped) // samples
        start += ((separate * depths + depth) * length + rows.start) * width + columns.start
        read_raw(
            self._file, offset + start * pixel, self._stored_dtype, (width * pixel, pixel), targets
        )

    def _read_pieces(
        self,
        page: Any,
        targets: Sequence[Target],
        separate: int,
        depth: int,
        rows: slice,
        columns: slice,
    ) -> None:
        """Unpack the pieces that the window touches, one after the other."""
        itemsize = self._stored_dtype.itemsize
        for index in pieces_in(page, separate, depth, rows, columns):
            piece = self._pieces.piece(page, index)
            _, high, wide = piece.shape
            top, bottom = max(rows.start, piece.top), min(rows.stop, piece.top + high)
            left, right = max(columns.start, piece.left), min(columns.stop, piece.left + wide)
            out_rows = slice(top - rows.start, bottom - rows.start)
            out_columns = slice(left - columns.start, right - columns.start)
            for target in targets:
                if piece.values is None:
                    values = np.full((bottom - top, right - left), page.nodata, self._series.dtype)
                else:
                    values = piece.values[
                        depth - piece.depth,
                        top - piece.top : bottom - piece.top,
                        left - piece.left : right - piece.left,
                        target.shift // itemsize,
                    ]
                target.put(out_rows, out_columns, values)

    def _page(self, index: int) -> Any:
        """A page with tags of its own; tifffile gives further pages the tags of the first."""
        if self._last[0] != index:
            page = self._pages[index]
            if page.offset and page.offset > 0:
                page = page.aspage()
            if tuple(page.shape) != tuple(self.keyframe.shape) or page.dtype != self._series.dtype:
                raise corrupt(self._name, "its pages differ in size or kind of pixels")
            self._last = (index, page)
        return self._last[1]


def each_once(axes: str) -> str:
    """The axes with lower-case letters in place of repeated ones, which have no name of their own.

    tifffile calls every unnamed axis of an array Q.
    """
    spare = iter("abcdefghijklmnopqrstuvwxyz")
    return "".join(
        next(spare) if axis in axes[:index] and axis not in "TCZYXS" else axis
        for index, axis in enumerate(axes)
    )

"""Windows of TIFFs of any layout equal crops of the array that was written."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.adapters.image_files import ImageFileReader
from kiosk.ports import ImageSource, Window
from kiosk.settings import LimitSettings

RNG = np.random.default_rng(11)


@dataclass
class Layout:
    """How an array is laid out in a TIFF."""

    pages: int
    samples: int
    size: tuple[int, int]
    options: dict[str, Any]

    def array(self) -> np.ndarray:
        """(pages, y, x, samples)."""
        dtype = np.dtype(self.options["dtype"])
        shape = (self.pages, *self.size, self.samples)
        if dtype.kind == "f":
            return RNG.normal(size=shape).astype(dtype)
        info = np.iinfo(dtype)
        return RNG.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)

    def file(self, array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        o = self.options
        separate = o["separate"] and self.samples > 1
        options = {
            "photometric": "rgb" if self.samples == 3 else "minisblack",
            "tile": o["tile"],
            "rowsperstrip": None if o["tile"] else o["rowsperstrip"],
            "compression": o["compression"],
            "predictor": o["predictor"] and o["compression"] in ("zlib", "lzw", "zstd", "lzma"),
        }
        if self.samples > 1:
            options["planarconfig"] = "separate" if separate else "contig"
        if self.samples == 2:
            options["extrasamples"] = ["unspecified"]
        with tifffile.TiffWriter(buffer, bigtiff=o["bigtiff"], byteorder=o["byteorder"]) as tif:
            for page in array:
                stored = np.moveaxis(page, -1, 0) if separate else page
                stored = page[..., 0] if self.samples == 1 else stored
                tif.write(stored, metadata=None, contiguous=False, **options)
        return buffer.getvalue()


layouts = st.builds(
    Layout,
    pages=st.integers(1, 3),
    samples=st.sampled_from([1, 1, 2, 3]),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    options=st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["u1", "u2", "i2", "u4", "f4"]),
            "bigtiff": st.booleans(),
            "byteorder": st.sampled_from("<>"),
            "separate": st.booleans(),
            "tile": st.sampled_from([None, None, (16, 16), (32, 16), (16, 64)]),
            "rowsperstrip": st.integers(1, 80),
            "compression": st.sampled_from([None, "zlib", "lzw", "zstd", "packbits", "lzma"]),
            "predictor": st.booleans(),
        }
    ),
)


def opened(data: bytes) -> ImageSource:
    return ImageFileReader(LimitSettings()).open(io.BytesIO(data), "cells.tif")


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[float, float], tuple[float, float]]:
    unit = st.floats(0, 1)
    rows, columns = sorted((draw(unit), draw(unit))), sorted((draw(unit), draw(unit)))
    return (rows[0], rows[1]), (columns[0], columns[1])


def part(share: tuple[float, float], length: int) -> slice:
    return slice(int(share[0] * length), max(int(share[0] * length) + 1, int(share[1] * length)))


@given(
    layout=layouts,
    shares=st.lists(windows(), min_size=1, max_size=4),
    page=st.integers(0, 2),
    order=st.permutations([0, 1, 2]),
)
@settings(max_examples=200, deadline=None)
def test_windows_equal_crops(
    layout: Layout, shares: list[Any], page: int, order: list[int]
) -> None:
    array = layout.array()
    source = opened(layout.file(array))
    t = page % layout.pages
    channels = [c for c in order if c < layout.samples]
    for share in shares:
        window: Window = (part(share[0], layout.size[0]), part(share[1], layout.size[1]))
        got = source.plane(t, 0, channels, window)
        expected = np.moveaxis(array[t][(*window, channels)], -1, 0)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(
        source.plane(t, 0, channels), np.moveaxis(array[t][..., channels], -1, 0)
    )

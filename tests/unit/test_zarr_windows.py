"""Windows of OME-Zarr images are crops of the whole array, at every level and chunk size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr_makers import in_order, open_zip, write_image, zipped

from kiosk.adapters.images import zarr_arrays


@st.composite
def cases(draw: st.DrawFn) -> tuple:
    axes = draw(st.sampled_from(["yx", "cyx", "tczyx", "zyx"]))
    shape = tuple(draw(st.integers(1, 50 if a in "yx" else 3)) for a in axes)
    longest = (20 if a in "yx" else n for a, n in zip(axes, shape, strict=True))
    chunks = tuple(draw(st.integers(1, n)) for n in longest)
    sharded = draw(st.booleans())
    levels = draw(st.integers(1, 3)) if not sharded and min(shape[-2:]) > 4 else 1
    zarr_format = 3 if sharded else draw(st.sampled_from([2, 3]))
    return axes, shape, chunks, sharded, levels, zarr_format, draw(st.integers(0, 10**6))


@given(cases())
@settings(max_examples=60)
def test_a_window_is_a_crop(case: tuple) -> None:
    axes, shape, chunks, sharded, levels, zarr_format, seed = case
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 2**16, shape, dtype=np.uint16)
    options = {"chunks": chunks, "levels": levels, "zarr_format": zarr_format}
    options |= {"shards": tuple(2 * n for n in chunks)} if sharded else {}
    with tempfile.TemporaryDirectory() as folder:
        arrays = write_image(Path(folder), data, axes, **options)
        source = open_zip(zipped(Path(folder)))
    before, zarr_arrays.READ_BYTES = zarr_arrays.READ_BYTES, int(rng.integers(1, 3000))
    try:
        for level in range(len(source.levels)):
            whole = in_order(arrays[level], axes)
            t, z = (int(rng.integers(n)) for n in whole.shape[:2])
            channels = rng.integers(0, whole.shape[2], rng.integers(1, 4))
            y, x = (np.sort(rng.integers(0, n + 1, 2)) for n in whole.shape[-2:])
            window = (slice(int(y[0]), int(y[1])), slice(int(x[0]), int(x[1])))
            got = source.plane(t, z, [int(c) for c in channels], window, level)
            np.testing.assert_array_equal(got, whole[t, z, channels][:, *window])
    finally:
        zarr_arrays.READ_BYTES = before

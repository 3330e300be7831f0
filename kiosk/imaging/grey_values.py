"""Grey values of every instance in one channel: mean, spread, extremes, median, total."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kiosk.imaging.runs import Runs

NAMES = ("mean", "sd", "min", "max", "median", "total")
# Pixels are gathered and sorted for so many at a time, so that they stay in a processor's cache.
CHUNK_PX = 100_000
LARGEST_SORTABLE_BYTES = 4
# Larger instances are taken alone, in a way that needs little beside their values.
GIANT_PX = 1_000_000


def grey_value_columns(runs: Runs, channel: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of each instance's pixels; NaN and infinities are left out.

    Args:
        runs: of the label plane.
        channel: (y, x) of any real dtype, of the same shape.

    Returns:
        One (instance,) float64 array per name of NAMES; `sd` is that of the pixels themselves
        (no correction for a sample). NaN where an instance has no finite pixel; `total` is 0 there.

    Raises:
        ValueError: the channel has another shape than the label plane.
    """
    if channel.shape != runs.shape:
        raise ValueError(f"the labels have shape {runs.shape}, the channel {channel.shape}")
    columns = {name: np.full(len(runs.labels), np.nan) for name in NAMES}
    areas = runs.total(runs.length)
    for part in _parts(areas):
        of_runs = runs.part(part.start, part.stop)
        if areas[part.start] > GIANT_PX:
            found = _of_giant(of_runs, channel)
        else:
            values = gathered_pixels(of_runs, channel, slice(None))
            found = _statistics(*_sorted(values, areas[part]))
        for name, values in found.items():
            columns[name][part] = values
    return columns


def _parts(areas: np.ndarray) -> Iterator[slice]:
    """Instances of about CHUNK_PX pixels together, in order."""
    through = np.cumsum(areas)  # pixels of all instances up to and with each
    begin = 0
    while begin < len(areas):
        before = through[begin] - areas[begin]
        end = max(begin + 1, int(np.searchsorted(through, before + CHUNK_PX, side="right")))
        yield slice(begin, end)
        begin = end


def gathered_pixels(runs: Runs, channel: np.ndarray, of_runs: slice) -> np.ndarray:
    """Values of the pixels of some runs, run after run."""
    length = runs.length[of_runs]
    start = runs.y[of_runs] * runs.shape[1] + runs.x[of_runs]
    # Where a run begins in the result, and how far that is from where it begins in the plane.
    begins = np.cumsum(length) - length
    places = np.arange(int(length.sum())) + np.repeat(start - begins, length)
    if channel.flags.c_contiguous:
        return np.asarray(channel.ravel()[places])
    return np.asarray(channel[np.divmod(places, runs.shape[1])])


def _sorted(values: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(finite values per instance, those values, ascending within each instance)."""
    instance = np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes)
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            values, instance = values[finite], instance[finite]
            sizes = np.bincount(instance, minlength=len(sizes))
    if values.dtype.itemsize > LARGEST_SORTABLE_BYTES:
        return sizes, values[np.lexsort((values, instance))]
    # One sort of one integer, instance above value, is many times faster than two keys.
    ordered = in_order(values)
    key = (instance.astype(np.int64) << 32) + ordered
    key.sort()
    return sizes, values_of(key.astype(ordered.dtype), values.dtype)


def in_order(values: np.ndarray) -> np.ndarray:
    """int32 or uint32 numbers in the order of values of at most 32 bits."""
    if values.dtype.kind == "f":
        return _turned(values.astype(np.float32).view(np.int32))
    return values if values.dtype == np.uint32 else values.astype(np.int32)


def values_of(ordered: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The inverse of `in_order`, as float64."""
    if dtype.kind == "f":
        ordered = _turned(ordered).view(np.float32)
    return ordered.astype(np.float64)


def _turned(bits: np.ndarray) -> np.ndarray:
    """The bits of floats as integers of the same order, or back: negative ones count backwards."""
    return np.asarray(bits ^ ((bits >> 31) & 0x7FFFFFFF))


def _statistics(sizes: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Of values that are ascending within each instance; instances without any give NaN."""
    there = np.flatnonzero(sizes)
    count = sizes[there]
    first = np.cumsum(count) - count
    found = {name: np.full(len(sizes), np.nan) for name in NAMES}
    found["total"][:] = 0.0
    if not there.size:
        return found
    values = values.astype(np.float64, copy=False)
    least, most = values[first], values[first + count - 1]
    # Taken off before squaring: a small spread on a large value keeps its digits.
    middle = (least + most) / 2
    away = values - np.repeat(middle, count)
    mean_away = np.add.reduceat(away, first) / count
    variance = np.add.reduceat(away * away, first) / count - mean_away**2
    median = (values[first + (count - 1) // 2] + values[first + count // 2]) / 2
    mean = middle + mean_away
    columns = (mean, np.sqrt(np.maximum(variance, 0)), least, most, median, mean * count)
    for name, column in zip(NAMES, columns, strict=True):
        found[name][there] = column
    return found


def _of_giant(runs: Runs, channel: np.ndarray) -> dict[str, np.ndarray]:
    """What `_statistics` gives, for the runs of a single instance."""
    parts = runs.chunks(CHUNK_PX)
    values = np.concatenate([_finite(gathered_pixels(runs, channel, part)) for part in parts])
    if not values.size:
        return _statistics(np.zeros(1, np.int64), values)
    values = values.view(np.uint8) if values.dtype.kind == "b" else values
    middle = [(values.size - 1) // 2, values.size // 2]
    values.partition(middle)
    chunks = [slice(begin, begin + CHUNK_PX) for begin in range(0, values.size, CHUNK_PX)]
    mean = sum(float(values[chunk].sum(dtype=np.float64)) for chunk in chunks) / values.size
    squares = sum(
        float(np.square(values[chunk].astype(np.float64) - mean).sum()) for chunk in chunks
    )
    found = {
        "mean": mean,
        "sd": (squares / values.size) ** 0.5,
        "min": values.min(),
        "max": values.max(),
        "median": values[middle].astype(np.float64).mean(),
        "total": mean * values.size,
    }
    return {name: np.array([found[name]], np.float64) for name in NAMES}


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values

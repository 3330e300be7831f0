"""Cutting a plane into tiles for the network, and blending what comes back.

    |<------------- tile 0 ------------->|
                            |<------------- tile 1 ------------->|
                            | halo |ramp| halo |

Neighbouring tiles overlap by at least two halos. In the middle of the overlap the weight
passes from one tile to the other on a linear ramp, so every pixel comes from tiles that see at
least half a halo beyond it, the weights of each pixel add up to one, and no seam shows. Both
axes are cut independently, so a plane that needs tiles along one axis only is blended too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Span:
    """One tile along one axis: pixels [start, stop) of the plane, padded up to `size_px`."""

    start: int
    stop: int
    size_px: int
    weight: np.ndarray  # (stop - start,) float32, its share of each pixel

    @property
    def whole(self) -> tuple[slice, slice]:
        """Where it has the whole weight: in the plane, and in the tile."""
        there = np.flatnonzero(self.weight == 1)
        first, stop = (int(there[0]), int(there[-1]) + 1) if there.size else (0, 0)
        return slice(self.start + first, self.start + stop), slice(first, stop)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the plane that goes through the network in one piece."""

    rows: Span
    columns: Span

    @property
    def window(self) -> tuple[slice, slice]:
        return (
            slice(self.rows.start, self.rows.stop),
            slice(self.columns.start, self.columns.stop),
        )


def cut_axis(length_px: int, tile_px: int, halo_px: int, divisor_px: int) -> list[Span]:
    """Equal spans that cover an axis, as few and as small as the rules allow.

    Spans start at multiples of the divisor; the last may reach beyond the axis.

    Args:
        length_px: pixels along the axis, at least 1.
        tile_px: longest span; a multiple of `divisor_px` and more than four halos.
        halo_px: neighbours overlap by at least twice this.
        divisor_px: sizes are multiples of this, as the network demands.

    Raises:
        ValueError: the tile is too small for its halo, or not a multiple of the divisor.
    """
    if tile_px % divisor_px or tile_px <= 4 * halo_px:
        raise ValueError(
            f"a tile of {tile_px} px must be a multiple of {divisor_px} px and more than four"
            f" halos of {halo_px} px"
        )
    if length_px <= tile_px:
        size_px = _round_up(length_px, divisor_px)
        return [Span(0, length_px, size_px, np.ones(length_px, np.float32))]
    overlap_px = _round_up(2 * halo_px, divisor_px)
    # A network sees the same wherever its tile begins, if that is a multiple of its divisor.
    step_px = divisor_px if overlap_px < tile_px else 1
    overlap_px = overlap_px if overlap_px < tile_px else 2 * halo_px
    covered_px = _round_up(length_px, step_px)
    count = -(-(covered_px - overlap_px) // (tile_px - overlap_px))
    size_px = _round_up(-(-(covered_px + (count - 1) * overlap_px) // count), divisor_px)
    apart = (covered_px - size_px) / (count - 1) / step_px
    starts = [round(i * apart) * step_px for i in range(count)]
    return [_span(starts, i, size_px, halo_px, length_px) for i in range(count)]


def cut_plane(
    height_px: int, width_px: int, tile_px: int, halo_px: int, divisor_px: int
) -> list[Tile]:
    """Tiles that cover a plane, row by row."""
    columns = cut_axis(width_px, tile_px, halo_px, divisor_px)
    rows = cut_axis(height_px, tile_px, halo_px, divisor_px)
    return [Tile(row, column) for row in rows for column in columns]


def read_tile(plane: np.ndarray, tile: Tile) -> np.ndarray:
    """The pixels of a tile, mirrored at the rim up to the tile's size.

    Args:
        plane: (channel, y, x).

    Returns:
        (channel, rows.size_px, columns.size_px), contiguous, same dtype.
    """
    pixels = plane[:, *tile.window]
    pad_y = tile.rows.size_px - pixels.shape[1]
    pad_x = tile.columns.size_px - pixels.shape[2]
    if pad_y or pad_x:
        # "symmetric" repeats as often as needed, so it also works for planes smaller than the pad.
        pixels = np.pad(pixels, ((0, 0), (0, pad_y), (0, pad_x)), mode="symmetric")
    return np.ascontiguousarray(pixels)


class Blender:
    """Collects the maps of all tiles of a plane and gives back the whole maps.

    Most pixels come from one tile alone and are kept as they are; real numbers are held only where
    the weight passes from one tile to the next.

    Args:
        map_count: channels of the maps.
        tiles: all tiles of the plane, in any order.
        dtype: that of the maps: uint8, float16 or float32.
    """

    def __init__(
        self,
        map_count: int,
        tiles: Sequence[Tile],
        dtype: np.dtype[Any] | type = np.uint8,
    ) -> None:
        rows = [tile.rows for tile in tiles]
        columns = [tile.columns for tile in tiles]
        height, width = (max(span.stop for span in spans) for spans in (rows, columns))
        self._maps = np.zeros((map_count, height, width), dtype)
        self._mixed = _mixed(rows), _mixed(columns)
        # (map, mixed row, column) and (map, row, mixed column)
        self._in_rows = np.zeros((map_count, len(self._mixed[0]), width), np.float32)
        self._in_columns = np.zeros((map_count, height, len(self._mixed[1])), np.float32)

    def add(self, tile: Tile, maps: np.ndarray) -> None:
        """Add the (map, y, x) maps of one tile; each tile exactly once, in any order."""
        rows, columns = tile.rows, tile.columns
        inside = maps[:, : rows.stop - rows.start, : columns.stop - columns.start]
        (down, in_down), (across, in_across) = rows.whole, columns.whole
        self._maps[:, down, across] = inside[:, in_down, in_across]
        at, of = _within(self._mixed[0], rows)
        weight = rows.weight[of, None] * columns.weight
        self._in_rows[:, at, columns.start : columns.stop] += inside[:, of] * weight
        at, of = _within(self._mixed[1], columns)
        weight = rows.weight[:, None] * columns.weight[of]
        self._in_columns[:, rows.start : rows.stop, at] += inside[:, :, of] * weight

    def maps(self) -> np.ndarray:
        """The blended (map, y, x) maps."""
        self._maps[:, self._mixed[0]] = self._as_stored(self._in_rows)
        self._maps[:, :, self._mixed[1]] = self._as_stored(self._in_columns)
        return self._maps

    def _as_stored(self, values: np.ndarray) -> np.ndarray:
        if self._maps.dtype != np.uint8:
            return values.astype(self._maps.dtype, copy=False)
        return np.rint(values).clip(0, 255).astype(np.uint8)


def _mixed(spans: Sequence[Span]) -> np.ndarray:
    """Where no span has the whole weight, ascending."""
    whole = np.zeros(max(span.stop for span in spans), bool)
    for span in spans:
        whole[span.start : span.stop] |= span.weight == 1
    return np.flatnonzero(~whole)


def _within(mixed: np.ndarray, span: Span) -> tuple[slice, np.ndarray]:
    """Which of the mixed places a span reaches, and where in it they are."""
    first, last = np.searchsorted(mixed, (span.start, span.stop))
    return slice(int(first), int(last)), mixed[first:last] - span.start


def _span(starts: list[int], i: int, size_px: int, halo_px: int, length_px: int) -> Span:
    start, stop = starts[i], starts[i] + size_px
    weight = np.ones(size_px, np.float32)
    if i > 0:
        weight *= _ramp(start, starts[i - 1] + size_px, halo_px, start, stop)
    if i + 1 < len(starts):
        weight *= 1 - _ramp(starts[i + 1], stop, halo_px, start, stop)
    end = min(stop, length_px)
    return Span(start, end, size_px, weight[: end - start])


def _ramp(low: int, high: int, width_px: int, start: int, stop: int) -> np.ndarray:
    """0 -> 1 across the middle `width_px` of the overlap [low, high), read at [start, stop)."""
    position = np.arange(start, stop) + 0.5 - (low + high) / 2
    return np.clip(position / max(1, width_px) + 0.5, 0, 1).astype(np.float32)


def _round_up(value: int, divisor: int) -> int:
    return -(-value // divisor) * divisor


def iter_bands(height_px: int, width_px: int, band_px: int = 4_000_000) -> Iterator[slice]:
    """Row ranges of about `band_px` pixels each, for work that should not copy a whole plane."""
    rows = max(1, band_px // max(1, width_px))
    for start in range(0, height_px, rows):
        yield slice(start, min(height_px, start + rows))

"""Medians of many sets of grey values that arrive a little at a time.

Values are held as they come. Sets that can get no more are sorted, reduced to their medians and
forgotten, so memory goes with the values of the open sets. When these are too many, values are
held with how often each is there, and last digits are given up, one bit after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.imaging.grey_values import LARGEST_SORTABLE_BYTES, in_order, values_of

# Sets are reduced so many values at a time, and not before as many wait for it.
CHUNK_VALUES = 1_000_000
VALUE_BITS = 32
# So many keep apart what differs by a factor of about two.
MOST_BITS = 23
_LOW = (1 << VALUE_BITS) - 1
_MIDDLE = 1 << (VALUE_BITS - 1)
_SHORT_MIDDLE = 1 << 15


@dataclass(frozen=True)
class _Batch:
    """Values of some sets, set after set.

    Attributes:
        sets: (set,) int64, ascending.
        first: (set + 1,) int64, where the values of each begin, and the end.
        values: (value,) unsigned integers in the order of the values.
        counts: (value,) int64, how often each is there; None = once.
    """

    sets: np.ndarray
    first: np.ndarray
    values: np.ndarray
    counts: np.ndarray | None = None

    def part(self, begin: int, end: int) -> _Batch:
        """The values of the sets from `begin` to before `end`."""
        low, high = np.searchsorted(self.sets, (begin, end))
        of_values = slice(self.first[low], self.first[high])
        counts = None if self.counts is None else self.counts[of_values]
        first = self.first[low : high + 1] - self.first[low]
        return _Batch(self.sets[low:high], first, self.values[of_values], counts)

    def chosen(self, wanted: np.ndarray) -> _Batch:
        """The values of the sets where `wanted`, (count,) bool by set, says so."""
        kept = wanted[self.sets]
        if kept.all():
            return self
        sizes = np.diff(self.first)
        of_values = np.repeat(kept, sizes)
        counts = None if self.counts is None else self.counts[of_values]
        first = np.append(0, np.cumsum(sizes[kept]))
        return _Batch(self.sets[kept], first, self.values[of_values], counts)

    @property
    def bytes(self) -> int:
        return self.values.nbytes + (0 if self.counts is None else self.counts.nbytes)

    @property
    def keys(self) -> np.ndarray:
        """(value,) int64, set above value."""
        sets = np.repeat(self.sets << VALUE_BITS, np.diff(self.first))
        return np.asarray(sets | self.values)


class Medians:
    """Sets are numbered 0..count-1."""

    def __init__(self, count: int, most_bytes: int) -> None:
        """
        Args:
            most_bytes: how much the values of the open sets may take.
        """
        self.medians = np.full(count, np.nan)
        self._most_bytes = most_bytes
        self._batches: list[_Batch] = []
        self._held = np.zeros(count, np.int64)
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._given_up_bits = 0

    @property
    def are_exact(self) -> bool:
        """Whether no digit was given up so far."""
        return self._given_up_bits == 0

    def add(self, sets: np.ndarray, sizes: np.ndarray, values: np.ndarray) -> None:
        """Add finite values; those of more than 32 bits are rounded to float32.

        Args:
            sets: (set,) ascending.
            sizes: (set,) number of values of each, at least 1.
            values: of one dtype in all calls, set after set.
        """
        if values.dtype.itemsize > LARGEST_SORTABLE_BYTES:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32)
        self._dtype = values.dtype
        first = np.append(0, np.cumsum(sizes))
        self._batches.append(_Batch(sets.astype(np.int64), first, _as_unsigned(values)))
        self._held[sets] += sizes

    def reduce(self, is_open: np.ndarray, *, now: bool = False) -> None:
        """Find the medians of sets that are complete, once this is worth while.

        Args:
            is_open: (count,) bool, the sets that may get more values.
            now: do not wait.
        """
        complete = (self._held > 0) & ~is_open
        waiting = int(self._held[complete].sum())
        is_much = self._bytes > self._most_bytes
        if not now and not is_much and waiting < max(CHUNK_VALUES, int(self._held.sum()) // 2):
            return
        for keys, counts in self._sorted(complete):
            self._finish(keys, counts)
        kept = [batch.chosen(~complete) for batch in self._batches]
        self._batches = [batch for batch in kept if batch.sets.size]
        self._held[complete] = 0
        # Not for each plane anew: half of the room is left for what comes.
        if is_much and self._bytes > self._most_bytes // 2:
            self._shorten()

    @property
    def _bytes(self) -> int:
        return sum(batch.bytes for batch in self._batches)

    def _sorted(self, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(keys, counts) of the wanted sets, ascending, about CHUNK_VALUES at a time."""
        sets = np.flatnonzero(wanted)
        through = np.cumsum(self._held[sets])
        begin = 0
        while begin < len(sets):
            before = through[begin] - self._held[sets[begin]]
            end = int(np.searchsorted(through, before + CHUNK_VALUES, side="right"))
            end = max(begin + 1, end)
            parts = [batch.part(sets[begin], sets[end - 1] + 1) for batch in self._batches]
            yield _merged([part.chosen(wanted) for part in parts])
            begin = end

    def _finish(self, keys: np.ndarray, counts: np.ndarray) -> None:
        """Medians of complete sets: ascending values of each, with their counts."""
        sets = keys >> VALUE_BITS
        first = np.flatnonzero(np.diff(sets, prepend=-1))
        through = np.cumsum(counts)
        size = np.add.reduceat(counts, first)
        before = through[first] - counts[first]
        low, high = (
            self._value(keys[np.searchsorted(through, before + place, side="right")])
            for place in ((size - 1) // 2, size // 2)
        )
        self.medians[sets[first]] = (low + high) / 2

    def _value(self, keys: np.ndarray) -> np.ndarray:
        ordered = keys & _LOW
        if self._dtype in (np.uint16, np.uint32):
            return ordered.astype(np.float64)
        if _is_short(self._dtype):
            return (ordered - _SHORT_MIDDLE).astype(np.float64)
        return values_of((ordered - _MIDDLE).astype(np.int32), self._dtype)

    def _shorten(self) -> None:
        """Count equal values once, and give up last digits until the open sets fit."""
        while True:
            counted = (self._with_fewer_digits(*part) for part in self._sorted(self._held > 0))
            self._batches = [_counted(keys, counts) for keys, counts in counted]
            self._held[:] = 0
            for batch in self._batches:
                self._held[batch.sets] = np.diff(batch.first)
            if self._bytes <= self._most_bytes // 2 or self._given_up_bits == MOST_BITS:
                return
            self._given_up_bits += 1

    def _with_fewer_digits(
        self, keys: np.ndarray, counts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A value stands in the middle of those that are now one."""
        step = 1 << self._given_up_bits
        return _once((keys & -step) | step >> 1, counts)


def _is_short(dtype: np.dtype[Any]) -> bool:
    return dtype.kind != "f" and dtype.itemsize <= 2


def _as_unsigned(values: np.ndarray) -> np.ndarray:
    """uint16 or uint32 numbers in the order of values of at most 32 bits."""
    if values.dtype in (np.uint16, np.uint32):
        return values
    if _is_short(values.dtype):
        return (values.astype(np.int32) + _SHORT_MIDDLE).astype(np.uint16)
    return in_order(values).view(np.uint32) ^ np.uint32(_MIDDLE)


def _merged(batches: list[_Batch]) -> tuple[np.ndarray, np.ndarray]:
    """(keys, counts) of all batches together, ascending."""
    keys = np.concatenate([batch.keys for batch in batches])
    if all(batch.counts is None for batch in batches):
        keys.sort()
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        return keys[first], np.diff(first, append=len(keys))
    counts = np.concatenate(
        [np.ones(len(b.values), np.int64) if b.counts is None else b.counts for b in batches]
    )
    order = np.argsort(keys)
    return _once(keys[order], counts[order])


def _counted(keys: np.ndarray, counts: np.ndarray) -> _Batch:
    sets = keys >> VALUE_BITS
    first = np.flatnonzero(np.diff(sets, prepend=-1))
    values = (keys & _LOW).astype(np.uint32)
    return _Batch(sets[first], np.append(first, len(sets)), values, counts)


def _once(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each of the ascending keys once, with the sum of its counts."""
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[first], np.add.reduceat(counts, first)

"""The fast ascent against one that is slow and plain: pixel by pixel, pass by pass."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kiosk.imaging.ascent import ascend

AROUND = list(itertools.product((-1, 0, 1), (-1, 0, 1)))


def plainly(altitude: np.ndarray, mask: np.ndarray, merge_height: float) -> np.ndarray:
    """As `ascend`, without dropping anything."""
    pixels = [tuple(p) for p in np.argwhere(mask).tolist()]

    def around(p: tuple[int, int]) -> list[tuple[int, int]]:
        return [q for dy, dx in AROUND if (q := (p[0] + dy, p[1] + dx)) in inside]

    inside = set(pixels)
    peak_of = {}
    for start in pixels:
        p = start
        while (q := max(around(p), key=lambda n: altitude[n])) != p:  # max takes the first
            p = q
        peak_of[start] = p
    passes: dict[tuple[tuple[int, int], tuple[int, int]], np.float32] = {}
    for p in pixels:
        for q in around(p):
            pair = tuple(sorted((peak_of[p], peak_of[q])))
            if pair[0] != pair[1]:
                height = min(altitude[p], altitude[q])
                passes[pair] = max(passes.get(pair, height), height)
    chief = {p: p for p in set(peak_of.values())}

    def top(p: tuple[int, int]) -> tuple[int, int]:
        return p if chief[p] == p else top(chief[p])

    for (a, b), height in sorted(passes.items(), key=lambda item: (-item[1], item[0])):
        first, second = top(a), top(b)
        rise = min(altitude[first], altitude[second]) - height
        if first != second and not (rise > 0 and rise >= np.float32(merge_height)):
            first, second = sorted((first, second), key=lambda p: (-altitude[p],))
            chief[second] = first
    numbers: dict[tuple[int, int], int] = {}
    labels = np.zeros(mask.shape, np.uint32)
    for p in pixels:
        labels[p] = numbers.setdefault(top(peak_of[p]), len(numbers) + 1)
    return labels


@settings(max_examples=150)
@given(
    st.data(),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([0.0, 0.1, 0.25, 1.0]),
)
def test_same_as_plainly(data: st.DataObject, shape: tuple[int, int], merge_height: float) -> None:
    levels = data.draw(st.sampled_from([3, 255]))
    altitude = data.draw(arrays(np.float32, shape, elements=st.integers(0, levels)))
    altitude = altitude / np.float32(levels)
    mask = data.draw(arrays(np.bool_, shape))
    labels = ascend(altitude, mask, merge_height=merge_height, peak_threshold=0, min_area_px=0)
    np.testing.assert_array_equal(plainly(altitude, mask, merge_height), labels)


def test_planes_wider_than_a_chunk() -> None:
    """Bands and chunks must fit together: hills on a plane of several chunks, one row of them."""
    x = np.arange(70_000)
    altitude = np.tile(np.abs(np.sin(x / 50)).astype(np.float32), (3, 1))
    labels = ascend(altitude, altitude > 0.1, merge_height=0.1, peak_threshold=0.5, min_area_px=10)
    hills = (np.diff(altitude[0] > 0.1, prepend=False) & (altitude[0] > 0.1)).sum()
    assert hills == labels.max()
    np.testing.assert_array_equal(labels[0], labels[2])

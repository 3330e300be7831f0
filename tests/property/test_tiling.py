"""Tiling for any size of plane: nothing lost, no seam, and what the network demands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kiosk.imaging.tiling import Blender, Span, cut_axis, cut_plane, read_tile


@st.composite
def rules(draw: st.DrawFn) -> tuple[int, int, int]:
    """(tile, halo, divisor) as models may have them."""
    divisor = draw(st.sampled_from([1, 2, 3, 4, 8, 16]))
    halo = draw(st.integers(0, 9))
    tile = divisor * draw(st.integers(1, 40))
    assume(tile > 4 * halo)
    return tile, halo, divisor


lengths = st.integers(1, 700)


def spread(spans: list[Span], length: int) -> np.ndarray:
    total = np.zeros(length)
    for span in spans:
        total[span.start : span.stop] += span.weight
    return total


@given(lengths, rules())
def test_weights_of_each_pixel_add_up_to_one(length: int, rule: tuple[int, int, int]) -> None:
    spans = cut_axis(length, *rule)
    np.testing.assert_allclose(spread(spans, length), 1, atol=1e-6)
    assert all(span.weight.min() >= 0 and span.weight.max() <= 1 for span in spans)


@given(lengths, rules())
def test_sizes_are_what_the_network_takes(length: int, rule: tuple[int, int, int]) -> None:
    tile, _, divisor = rule
    spans = cut_axis(length, *rule)
    assert len({span.size_px for span in spans}) == 1
    for span in spans:
        assert span.size_px % divisor == 0
        assert span.stop - span.start <= span.size_px <= tile
        assert 0 <= span.start < span.stop <= length
        assert span.weight.shape == (span.stop - span.start,)


@given(lengths, rules())
def test_pixels_come_from_well_inside_of_a_tile(length: int, rule: tuple[int, int, int]) -> None:
    """Half a halo from every edge of the tile that is not an edge of the plane."""
    _, halo, _ = rule
    for span in cut_axis(length, *rule):
        used = np.flatnonzero(span.weight > 0) + span.start
        if span.start > 0:
            assert used.min() - span.start >= halo // 2
        if span.stop < length:
            assert span.stop - 1 - used.max() >= halo // 2


@given(lengths, rules())
def test_no_more_tiles_than_needed(length: int, rule: tuple[int, int, int]) -> None:
    tile, halo, divisor = rule
    overlap = -(-2 * halo // divisor) * divisor
    assume(overlap < tile)
    covered = -(-length // divisor) * divisor
    fewest = 1 if length <= tile else -(-(covered - overlap) // (tile - overlap))
    assert fewest == len(cut_axis(length, *rule))


@given(lengths, rules())
def test_tiles_begin_at_multiples_of_the_divisor(length: int, rule: tuple[int, int, int]) -> None:
    """So that a network with strides sees the same pixels alike in all of them."""
    tile, halo, divisor = rule
    assume(-(-2 * halo // divisor) * divisor < tile)
    assert all(span.start % divisor == 0 for span in cut_axis(length, *rule))


@settings(max_examples=60)
@given(st.integers(1, 120), st.integers(1, 120), rules(), st.randoms(use_true_random=False))
def test_identity_network_gives_the_plane_back(
    height: int, width: int, rule: tuple[int, int, int], random
) -> None:
    plane = np.random.default_rng(height * width).integers(0, 256, (2, height, width))
    plane = plane.astype(np.uint8)
    tiles = cut_plane(height, width, *rule)
    assume(len(tiles) < 300)
    random.shuffle(tiles)
    blender = Blender(2, tiles)
    for tile in tiles:
        pixels = read_tile(plane, tile)
        assert pixels.shape == (2, tile.rows.size_px, tile.columns.size_px)
        assert pixels.flags.c_contiguous
        blender.add(tile, pixels)
    np.testing.assert_array_equal(plane, blender.maps())


@given(st.integers(1, 60), st.integers(1, 60))
def test_padding_mirrors_the_plane(height: int, width: int) -> None:
    """Only values of the plane appear, and the rim goes on as it is."""
    plane = np.arange(1, height * width + 1).reshape(1, height, width)
    (tile,) = cut_plane(height, width, 64, 4, 16)
    padded = read_tile(plane, tile)
    np.testing.assert_array_equal(plane, padded[:, :height, :width])
    assert padded.min() >= 1
    if padded.shape[1] > height:
        np.testing.assert_array_equal(plane[0, -1], padded[0, height, :width])


def test_seam_of_two_different_answers_is_a_ramp() -> None:
    """Where tiles disagree, values pass from one to the other without a step."""
    tiles = cut_plane(16, 100, 64, 8, 16)
    blender = Blender(1, tiles)
    for value, tile in zip((0, 240), tiles, strict=True):
        blender.add(tile, np.full((1, tile.rows.size_px, tile.columns.size_px), value, np.uint8))
    row = blender.maps()[0, 0].astype(int)
    assert (row[0], row[-1]) == (0, 240)
    assert np.diff(row).min() >= 0
    assert np.diff(row).max() <= 240 / 8 + 1


@pytest.mark.parametrize(("tile", "halo", "divisor"), [(64, 16, 16), (60, 4, 16), (0, 0, 16)])
def test_rules_that_cannot_work_are_refused(tile: int, halo: int, divisor: int) -> None:
    with pytest.raises(ValueError, match="must be a multiple"):
        cut_axis(100, tile, halo, divisor)

"""Tiles cover a plane once, at every resolution, and lie in the piece that is read for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.imaging import tile_grid
from kiosk.imaging.tile_grid import TileGrid

lengths = st.integers(1, 300)


@given(lengths, lengths, st.integers(0, 4))
def test_tiles_cover_a_level_once(height: int, width: int, level: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_grid, "TILE_PX", 16)
        patch.setattr(tile_grid, "SMALLEST_PX", 32)
        patch.setattr(tile_grid, "WHOLE_PX", 50 * 50)
        patch.setattr(tile_grid, "PIECE_PX", 64)
        grid = TileGrid((height, width))
        assert max(grid.shapes[-1]) <= 32
        if level >= len(grid.shapes):
            assert grid.tile(level, 0, 0) is None
            return
        seen = np.zeros(grid.shapes[level], int)
        rows, columns = (-(-length // 16) for length in seen.shape)
        for row in range(rows):
            for column in range(columns):
                tile = grid.tile(level, row, column)
                assert tile is not None
                seen[tile] += 1
                for piece in (grid.piece(level, tile), grid.piece(level, tile, margin_px=1)):
                    for whole, part, length in zip(piece, tile, seen.shape, strict=True):
                        assert 0 <= whole.start <= part.start < part.stop <= whole.stop <= length
                full = grid.at_full_size(level, tile)
                for whole, length in zip(full, grid.shapes[0], strict=True):
                    assert 0 <= whole.start < whole.stop <= length
        assert (seen == 1).all()
        assert grid.tile(level, rows, 0) is None
        assert grid.tile(level, 0, columns) is None

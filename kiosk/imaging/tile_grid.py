"""A plane in tiles at several resolutions, as viewers ask for it.

    level 0   ████████████████   full size
    level 1   ████████           half of it, rounded up
    level 2   ████               ... until the longest side is `SMALLEST_PX` or less

Every level has tiles of `TILE_PX`, those at the right and lower edge as large as there is image.
"""

from __future__ import annotations

from kiosk.imaging.pyramids import level_count, level_shape

Window = tuple[slice, slice]

TILE_PX = 256
SMALLEST_PX = 512
# A level up to so many pixels is read as a whole, once for all of its tiles: the frame of a camera.
WHOLE_PX = 4096 * 4096
# Of larger ones, pieces of this side are: 64 tiles, of which a screen shows some.
PIECE_PX = 8 * TILE_PX


class TileGrid:
    """The tiles of a plane.

    Attributes:
        shapes: (y, x) of every level, full size first.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        levels = range(level_count(shape, SMALLEST_PX))
        self.shapes = tuple(level_shape(shape, level) for level in levels)

    def tile(self, level: int, row: int, column: int) -> Window | None:
        """Rows and columns of a tile at its level; None where there is none."""
        if not 0 <= level < len(self.shapes):
            return None
        height, width = self.shapes[level]
        top, left = row * TILE_PX, column * TILE_PX
        if not (0 <= top < height and 0 <= left < width):
            return None
        return slice(top, min(top + TILE_PX, height)), slice(left, min(left + TILE_PX, width))

    def is_whole(self, level: int) -> bool:
        """Whether a level is read as a whole."""
        height, width = self.shapes[level]
        return height * width <= WHOLE_PX

    def piece(self, level: int, tile: Window, margin_px: int = 0) -> Window:
        """The part of a level that is read at once for a tile: all of it, or a square.

        Args:
            margin_px: of pixels around a square that are read with it.
        """
        shape = self.shapes[level]
        if self.is_whole(level):
            return slice(0, shape[0]), slice(0, shape[1])
        starts = [part.start // PIECE_PX * PIECE_PX for part in tile]
        rows, columns = (
            slice(max(0, start - margin_px), min(start + PIECE_PX + margin_px, length))
            for start, length in zip(starts, shape, strict=True)
        )
        return rows, columns

    def at_full_size(self, level: int, window: Window) -> Window:
        """The same part of the plane at level 0."""
        rows, columns = (
            slice(part.start << level, min(part.stop << level, length))
            for part, length in zip(window, self.shapes[0], strict=True)
        )
        return rows, columns

"""What a viewer is told of an image, and how it names a tile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LevelSize:
    """Size of a plane at one resolution."""

    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class ShownChannel:
    """A channel; the fields are those of `imaging.stored_values.StoredValues`.

    Attributes:
        color: "#RRGGBB" as the file has it; "" = it says nothing.
    """

    name: str
    color: str
    offset: float
    scale: float
    low: float
    high: float

    def real(self, stored: float) -> float:
        """The grey value of a stored one."""
        return self.offset + self.scale * stored


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What there is to see of an image.

    Attributes:
        sizes, dtype, is_rgb: as in `ports.ImageSource`; no channels where only labels are left.
        levels: full size first, each about half of the one before.
        shown_channels: numbers of the channels that were segmented.
        pixel_size_um: (y, x).
        label_planes: (t, z) of the planes that have labels; None = all of them.
        has_instances, has_tracks: whether there is a table of instances, and one of tracks.
        labels_are_volumes: a label is the same instance on all planes of a time point.
    """

    sizes: dict[str, int]
    dtype: str
    is_rgb: bool
    tile_px: int
    levels: tuple[LevelSize, ...]
    channels: tuple[ShownChannel, ...]
    shown_channels: tuple[int, ...]
    pixel_size_um: tuple[float, float] | None
    z_step_um: float | None
    frame_interval_s: float | None
    label_planes: tuple[tuple[int, int], ...] | None = None
    has_labels: bool = False
    has_instances: bool = False
    has_tracks: bool = False
    labels_are_volumes: bool = False


@dataclass(frozen=True, kw_only=True)
class TileAt:
    """Where a tile is; everything counts from 0, `c` is not used for labels."""

    level: int
    t: int
    z: int
    c: int = 0
    row: int
    column: int

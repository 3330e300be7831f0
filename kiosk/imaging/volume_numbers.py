"""Which chains of pieces are volumes, and their numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kiosk.imaging.volume_chains import Sections
from kiosk.parameters import WHOLE, option

# An instance must be seen in this share of the planes that its diameter spans ...
SEEN_SHARE = 0.4
# ... and in so many where it spans more than one, or where the distance of planes is not known.
SEEN_PLANES = 2


@dataclass(frozen=True, kw_only=True)
class VolumeParameters:
    """How planes are joined to volumes."""

    link_overlap: float = option(
        0.4, "least overlap of the pieces of a volume in neighbouring planes (IoU)"
    )
    neck_ratio: float = option(
        0.7, "a volume is split where its area is at most this share of the areas on both sides"
    )
    min_volume_px: float = option(
        0, "volumes of fewer voxels are dropped", maximum=1e12, unit="px3", kind=WHOLE
    )
    min_planes: float = option(
        0,
        "volumes in fewer planes are dropped; 0 = as their diameter implies",
        maximum=100_000,
        kind=WHOLE,
    )


@dataclass(frozen=True)
class Volumes:
    """The volumes of a stack, numbered 1..count by first plane, then by label in it.

    Attributes:
        tables: for each plane (labels + 1,) uint32, the volume of each label; 0 = dropped.
        first_plane, last_plane: (count + 1,) int64; those of volume 0 mean nothing.
        dropped: volumes that were seen in too few planes or pixels.
    """

    count: int
    tables: list[np.ndarray]
    first_plane: np.ndarray
    last_plane: np.ndarray
    dropped: int


def planes_per_px(
    pixel_size_um: tuple[float, float] | None, z_step_um: float | None
) -> float | None:
    """How many planes lie along the side of a pixel; None where it is not known."""
    if pixel_size_um is None or z_step_um is None:
        return None
    return math.sqrt(pixel_size_um[0] * pixel_size_um[1]) / z_step_um


def number_volumes(
    sections: Sections,
    first: list[int],
    parameters: VolumeParameters,
    planes_per_px: float | None,
) -> Volumes:
    """Numbers for the volumes that are large enough, in the order of their first pieces.

    Args:
        first: the first piece of each plane, and the number of pieces.
    """
    begin = np.flatnonzero(sections.begins)
    end = np.append(begin[1:], len(sections.plane))
    first_plane, last_plane = sections.plane[begin], sections.plane[end - 1]
    total = np.add.reduceat(sections.area_px, begin)
    widest = np.maximum.reduceat(sections.area_px, begin)
    stack = len(first) - 1
    cut = (first_plane == 0) | (last_plane == stack - 1)
    least = np.full(len(begin), parameters.min_planes)
    if not parameters.min_planes:
        least = np.minimum(stack, _least_planes(widest, cut, planes_per_px))
    enough = (total > 0) & (total >= parameters.min_volume_px) & (end - begin >= least)

    of_piece = sections.volume[sections.of_piece]
    first_piece = np.full(len(begin), len(of_piece))
    np.minimum.at(first_piece, of_piece, np.arange(len(of_piece)))
    chosen = np.flatnonzero(enough)
    chosen = chosen[np.argsort(first_piece[chosen])]
    number = np.zeros(len(begin), np.uint32)
    number[chosen] = np.arange(1, len(chosen) + 1)
    return Volumes(
        count=len(chosen),
        tables=np.split(number[of_piece], first[1:-1]),
        first_plane=np.append(0, first_plane[chosen]),
        last_plane=np.append(0, last_plane[chosen]),
        dropped=int(np.count_nonzero(total)) - len(chosen),
    )


def _least_planes(
    widest_px: np.ndarray, cut: np.ndarray, planes_per_px: float | None
) -> np.ndarray:
    """In how many planes a volume must be seen.

    Args:
        widest_px: (volume,) area of its largest section.
        cut: (volume,) bool, whether it is in the first or last plane of the stack, so that a part
            of it may lie outside.
    """
    if planes_per_px is None:
        return np.full(len(widest_px), SEEN_PLANES)
    expected = 2 * np.sqrt(widest_px / math.pi) * planes_per_px
    least = np.ceil(np.where(cut, SEEN_SHARE / 2, SEEN_SHARE) * expected)
    return np.asarray(np.maximum(least, np.where(expected > 1, SEEN_PLANES, 1)))

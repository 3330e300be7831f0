"""How the planes of a job are cut into parts: the same for the plan, the parts and the join."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kiosk.imaging.stitching import Block, Interval, cut_blocks
from kiosk.pipelines.intermediate import PlanRecord
from kiosk.request import Region


@dataclass(frozen=True)
class Cutting:
    """The blocks of a plane.

    Attributes:
        shape: (y, x) of the plane.
        rows, columns: the rectangle that is segmented.
        blocks: cover it, row by row.
    """

    shape: tuple[int, int]
    rows: Interval
    columns: Interval
    blocks: list[Block]

    @property
    def is_whole(self) -> bool:
        """One part does a whole plane, so nothing has to be stitched."""
        return (
            len(self.blocks) == 1
            and self.blocks[0].core_y == (0, self.shape[0])
            and (self.blocks[0].core_x == (0, self.shape[1]))
        )


def cutting(sizes: Mapping[str, int], plan: PlanRecord, region: Region | None) -> Cutting:
    """The blocks of every plane of an image with these sizes."""
    shape = (sizes["y"], sizes["x"])
    rows, columns = (0, shape[0]), (0, shape[1])
    if region is not None:
        rows = (region.min_y_px, region.max_y_px)
        columns = (region.min_x_px, region.max_x_px)
    blocks = cut_blocks(rows, columns, shape, plan.block_px, plan.block_halo_px, plan.align_px)
    return Cutting(shape, rows, columns, blocks)

"""Label planes out of the labels of a job's parts: whole planes as they are, blocks stitched."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.imaging.stitching import Block, Group, stitch
from kiosk.pipelines.canvas import LABEL_BYTES, LabelFile
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import Cutting
from kiosk.pipelines.intermediate import read_labels, read_table
from kiosk.pipelines.label_planes import HeldLabels, ReadLabels, area_px
from kiosk.pipelines.planes import plane_places
from kiosk.scratch import scratch_folder

# Reads from the object store, from a thread.
Fetch = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """One plane of the job: where it is in the image and which parts made it."""

    t: int
    z: int
    parts: range


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """The labels of one plane.

    Attributes:
        labels: 1..count, each an instance.
        groups: neighbouring instances; together all of them.
        table: measurements, where a part has done the whole plane and measured it.
        cut: how many instances were cut by blocks.
    """

    labels: ReadLabels
    count: int
    groups: list[Group]
    table: Mapping[str, np.ndarray] | None = None
    cut: int = 0


class Assembler:
    """Puts together the planes of a job, one at a time. Runs in a thread."""

    def __init__(
        self, context: JobContext, sizes: Mapping[str, int], cutting: Cutting, fetch: Fetch
    ) -> None:
        self._context, self._cutting, self._fetch = context, cutting, fetch
        self.shape = cutting.shape
        # The part that is segmented.
        self.shown = (slice(*cutting.rows), slice(*cutting.columns))
        # What lies in it may reach beyond by the halo.
        self.touched = (
            slice(*_hull([block.outer_y for block in cutting.blocks])),
            slice(*_hull([block.outer_x for block in cutting.blocks])),
        )
        count = len(cutting.blocks)
        self.places = [
            Place(t=t, z=z, parts=range(i * count, (i + 1) * count))
            for i, (t, z) in enumerate(plane_places(sizes, context.request.plane))
        ]

    @contextmanager
    def plane(self, place: Place) -> Iterator[Assembled]:
        """The labels of a plane; large ones lie in a temporary file until the end."""
        if self._cutting.is_whole:
            yield self._whole(place)
            return
        with scratch_folder("plane", self._label_bytes()) as folder:
            canvas = LabelFile(folder / "labels", self._cutting.shape)
            try:
                blocks = _BlockLabels(self, place)
                found = stitch(blocks, canvas, self._cutting.rows, self._cutting.columns)
                yield Assembled(
                    labels=canvas, count=found.count, groups=found.groups, cut=found.cut
                )
            finally:
                canvas.close()

    def _label_bytes(self) -> int:
        """Of the labels of a plane on disk: files have no room for what is never written."""
        windows = (block.window for block in self._cutting.blocks)
        return LABEL_BYTES * min(math.prod(self.shape), sum(map(area_px, windows)))

    def _whole(self, place: Place) -> Assembled:
        store, job_id = self._context.store, self._context.job.id
        labels = self._fetch(read_labels(store, job_id, place.parts[0]))
        volume = self._context.request.volume
        table = None if volume else self._fetch(read_table(store, job_id, place.parts[0]))
        count = int(labels.max(initial=0))
        window = (slice(0, labels.shape[0]), slice(0, labels.shape[1]))
        groups = [Group(1, count, window)] if count else []
        return Assembled(labels=HeldLabels(labels), count=count, groups=groups, table=table)

    def block_labels(self, place: Place) -> Iterator[tuple[Block, np.ndarray]]:
        """Every block of a plane with its labels."""
        store, job_id = self._context.store, self._context.job.id
        for block, index in zip(self._cutting.blocks, place.parts, strict=True):
            yield block, self._fetch(read_labels(store, job_id, index))


def _hull(intervals: Sequence[tuple[int, int]]) -> tuple[int, int]:
    return min(start for start, _ in intervals), max(stop for _, stop in intervals)


class _BlockLabels:
    """The blocks of a plane with their labels, read anew at each iteration."""

    def __init__(self, assembler: Assembler, place: Place) -> None:
        self._assembler, self._place = assembler, place

    def __iter__(self) -> Iterator[tuple[Block, np.ndarray]]:
        return self._assembler.block_labels(self._place)

"""The join of a segmentation: blocks to planes, planes to volumes, all of it into result files.

Planes go by one at a time and large ones in windows, so memory grows neither with their number nor
with their size. Everything here runs in a thread; `fetch` reads from the object store.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kiosk.exports.writer import ResultImage, Table, Writer
from kiosk.imaging.measurements import measure
from kiosk.imaging.stitching import Block, Group, stitch
from kiosk.pipelines.canvas import LabelFile
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import Cutting
from kiosk.pipelines.intermediate import read_labels, read_table
from kiosk.pipelines.label_planes import FinishedPlane, HeldLabels
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageSource, Window

T = TypeVar("T")
Fetch = Callable[[Coroutine[Any, Any, Any]], Any]


@dataclass
class Totals:
    """What is gathered for the record of the run while the planes go by."""

    planes: list[dict[str, int]] = field(default_factory=list)
    instances: int = 0
    cut_by_blocks: int = 0


@dataclass(frozen=True, kw_only=True)
class Place:
    """One plane of the job: where it is in the image and which parts made it."""

    t: int
    z: int
    parts: range


class Join:
    """One pass over the planes of a job, from the labels of its parts to the writers."""

    def __init__(
        self,
        context: JobContext,
        source: ImageSource,
        cutting: Cutting,
        image: ResultImage,
        fetch: Fetch,
    ) -> None:
        self._context, self._source, self._cutting = context, source, cutting
        self._image, self._fetch = image, fetch
        self.totals = Totals()
        count = len(cutting.blocks)
        self.places = [
            Place(t=t, z=z, parts=range(i * count, (i + 1) * count))
            for i, (t, z) in enumerate(plane_places(source.sizes))
        ]

    def write(self, writers: Sequence[Writer]) -> None:
        """Send every plane and every row to the writers."""
        for place in self.places:
            with self._assembled(place) as (plane, tables):
                for table in tables:
                    for writer in writers:
                        writer.add_instances(plane, table)
                        writer.add_rows(table)
                for writer in writers:
                    writer.add_plane(plane)
            self.totals.instances += plane.instances
            self.totals.planes.append({"t": place.t, "z": place.z, "instances": plane.instances})

    @contextmanager
    def _assembled(self, place: Place) -> Iterator[tuple[FinishedPlane, Iterator[Table]]]:
        """A finished plane, and the table of its instances in pieces."""
        store, job_id = self._context.store, self._context.job.id
        where = (place.t, place.z)
        if self._cutting.is_whole:
            labels = self._fetch(read_labels(store, job_id, place.parts[0]))
            table = self._fetch(read_table(store, job_id, place.parts[0]))
            plane = FinishedPlane(self._source, where, HeldLabels(labels), len(table["label"]))
            yield plane, iter([_placed(table, place)])
            return
        with tempfile.TemporaryDirectory(prefix="kiosk-plane-") as folder:
            canvas = LabelFile(Path(folder) / "labels", self._cutting.shape)
            try:
                blocks = _BlockLabels(self, place)
                stitched = stitch(blocks, canvas, self._cutting.rows, self._cutting.columns)
                self.totals.cut_by_blocks += stitched.cut
                plane = FinishedPlane(self._source, where, canvas, stitched.count)
                yield plane, self._measured(plane, stitched.groups, place)
            finally:
                canvas.close()

    def _measured(
        self, plane: FinishedPlane, groups: Sequence[Group], place: Place
    ) -> Iterator[Table]:
        for group in groups:
            pieces = [self._rows(plane, group.window, group, leave_out=list(group.wide))]
            pieces += [
                self._rows(plane, window, group, only=label) for label, window in group.wide.items()
            ]
            table = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
            order = np.argsort(table["label"], kind="stable")
            yield _placed({name: values[order] for name, values in table.items()}, place)

    def _rows(
        self,
        plane: FinishedPlane,
        window: Window,
        group: Group,
        *,
        leave_out: Sequence[int] = (),
        only: int = 0,
    ) -> dict[str, np.ndarray]:
        """The table of a group's instances, from the window that holds them."""
        first, last = (only, only) if only else (group.first, group.last)
        labels = plane.labels(window)
        # Small numbers, whatever the labels of the group are: tables by label stay short.
        labels = np.where((labels >= first) & (labels <= last), labels - np.uint32(first - 1), 0)
        if leave_out:
            labels[np.isin(labels, np.array(leave_out) - (first - 1))] = 0
        names = self._source.channel_names
        pixels = (plane.pixels([channel], window)[0] for channel in range(len(names)))
        table = measure(
            labels,
            pixels,
            names,
            self._source.pixel_size_um,
            origin_px=(window[0].start, window[1].start),
            plane_shape=plane.shape,
        )
        table["label"] = table["label"] + (first - 1)
        return table

    def block_labels(self, place: Place) -> Iterator[tuple[Block, np.ndarray]]:
        store, job_id = self._context.store, self._context.job.id
        for block, index in zip(self._cutting.blocks, place.parts, strict=True):
            yield block, self._fetch(read_labels(store, job_id, index))


class _BlockLabels:
    """The blocks of a plane with their labels, read anew at each iteration."""

    def __init__(self, join: Join, place: Place) -> None:
        self._join, self._place = join, place

    def __iter__(self) -> Iterator[tuple[Block, np.ndarray]]:
        return self._join.block_labels(self._place)


def _placed(table: Table, place: Place) -> Table:
    """The table with the plane of its rows in front."""
    count = len(table["label"])
    return {"t": np.full(count, place.t), "z": np.full(count, place.z), **table}

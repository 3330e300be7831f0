"""The join of z-stacks: the instances of their planes to instances in 3-D, into result files.

The planes of each time point go by twice: first to find which of their instances belong together,
then to be measured and written. Large planes go by in windows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from kiosk.exports.writer import Writer
from kiosk.imaging.masks import count_regions, regions_of
from kiosk.imaging.overlap_counts import OverlapCounts, count_overlaps, label_areas
from kiosk.imaging.shapes import label_boxes, united_boxes
from kiosk.imaging.stitching import Group
from kiosk.imaging.tiling import iter_bands
from kiosk.imaging.volume_measurements import VolumeMeasurements, volume_column_names
from kiosk.imaging.volume_numbers import VolumeParameters, Volumes
from kiosk.imaging.volumes import VolumeLinker
from kiosk.parameters import chosen
from kiosk.pipelines.assembling import Assembled, Assembler, Place
from kiosk.pipelines.joining import Totals
from kiosk.pipelines.label_planes import FinishedPlane, bands_of
from kiosk.pipelines.masking import WITHIN, mask_window
from kiosk.ports import ImageSource, Window

# Neighbouring planes are compared in windows of about this many pixels.
WINDOW_PX = 16_000_000


class VolumeJoin:
    """Stacks one by one, each with its instances in 3-D. Runs in a thread."""

    def __init__(
        self,
        assembler: Assembler,
        source: ImageSource,
        mask: ImageSource | None,
        parameters: Mapping[str, float],
    ) -> None:
        self._assembler, self._source, self._mask = assembler, source, mask
        self._parameters: VolumeParameters = chosen(VolumeParameters, {}, parameters)
        self.totals = Totals()
        self._volumes: list[Volumes] = []
        self._regions: list[np.ndarray] = []

    @property
    def columns(self) -> list[str]:
        """The columns of the table, in order."""
        source = self._source
        names = volume_column_names(source.channel_names, source.pixel_size_um, source.z_step_um)
        return ["t", *names, *([WITHIN] if self._mask else [])]

    def link(self) -> int:
        """Find the instances of all stacks; returns the most that one of them has."""
        for t in range(self._source.sizes["t"]):
            volumes, counts = self._linked(t)
            self.totals.dropped_volumes += volumes.dropped
            regions = np.zeros(volumes.count + 1, np.int64)
            if self._mask is not None:
                volumes, regions = _inside(volumes, counts)
            self._volumes.append(volumes)
            self._regions.append(regions)
        return max(volumes.count for volumes in self._volumes)

    def _linked(self, t: int) -> tuple[Volumes, list[OverlapCounts]]:
        """The volumes of a stack, and the pixels of each piece in the labels of the mask."""
        source = self._source
        linker = VolumeLinker(
            self._parameters, pixel_size_um=source.pixel_size_um, z_step_um=source.z_step_um
        )
        in_mask = []
        with ExitStack() as stack:
            before: deque[tuple[Assembled, ExitStack]] = deque()
            for place in self._stack(t):
                held = ExitStack()
                found = held.enter_context(self._assembler.plane(place))
                stack.push(held)
                self._add(linker, found, [item for item, _ in before])
                in_mask.append(self._in_mask(found, place))
                before.appendleft((found, held))
                if len(before) > 2:
                    before.pop()[1].close()
        return linker.result(), in_mask

    def _stack(self, t: int) -> list[Place]:
        return [place for place in self._assembler.places if place.t == t]

    def _add(self, linker: VolumeLinker, found: Assembled, before: Sequence[Assembled]) -> None:
        areas = np.zeros(found.count + 1, np.int64)
        overlaps = [OverlapCounts.none() for _ in before]
        for window in self._windows():
            labels = found.labels.read(window)
            areas += label_areas(labels, found.count + 1)
            for number, other in enumerate(before):
                overlaps[number] += count_overlaps(other.labels.read(window), labels)
        linker.add(areas, *overlaps)

    def _in_mask(self, found: Assembled, place: Place) -> OverlapCounts:
        counts = OverlapCounts.none()
        if self._mask is not None:
            for window in self._windows():
                mask = mask_window(self._mask, (place.t, place.z), window)
                counts += count_regions(found.labels.read(window), mask)
        return counts

    def _windows(self) -> Iterator[Window]:
        height, width = self._assembler.shape
        return ((rows, slice(0, width)) for rows in iter_bands(height, width, WINDOW_PX))

    def write(self, writers: Sequence[Writer]) -> None:
        """Send every plane and every row to the writers; `link` comes first."""
        source = self._source
        shape = (source.sizes["z"], source.sizes["y"], source.sizes["x"])
        for t, (volumes, regions) in enumerate(zip(self._volumes, self._regions, strict=True)):
            measured = VolumeMeasurements(
                volumes.last_plane,
                shape,
                source.channel_names,
                source.pixel_size_um,
                source.z_step_um,
            )
            for place in self._stack(t):
                self._write_plane(place, volumes.tables[place.z], measured, writers)
            rows = measured.columns()
            rows = {"t": np.full(len(rows["label"]), t), **rows}
            if self._mask is not None:
                rows[WITHIN] = regions[rows["label"]]
            for writer in writers:
                writer.add_rows(rows)
            self.totals.instances += volumes.count

    def _write_plane(
        self,
        place: Place,
        table: np.ndarray,
        measured: VolumeMeasurements,
        writers: Sequence[Writer],
    ) -> None:
        seen = int(np.count_nonzero(np.unique(table)))
        with self._assembler.plane(place) as found:
            plane = FinishedPlane(self._source, (place.t, place.z), found.labels, seen, table)
            for window in self._windows():
                origin = (window[0].start, window[1].start)
                measured.add(place.z, plane.labels(window), plane.each_channel(window), origin)
            for group in found.groups:
                boxes = _boxes(found, group, table)
                for writer in writers:
                    writer.add_instances(plane, boxes)
            for writer in writers:
                writer.add_plane(plane)
        self.totals.cut_by_blocks += found.cut
        self.totals.planes.append({"t": place.t, "z": place.z, "instances": seen})


def _boxes(found: Assembled, group: Group, table: np.ndarray) -> dict[str, np.ndarray]:
    """Boxes of a group's instances, with the labels of their volumes."""
    wide, boxes = list(group.wide), []
    windows = [(group.window, group.first, group.last, wide)]
    windows += [(window, label, label, []) for label, window in group.wide.items()]
    for window, first, last, leave_out in windows:
        for rows, columns in bands_of(window, WINDOW_PX):
            labels = found.labels.read((rows, columns))
            labels = np.where((labels >= first) & (labels <= last), labels, 0)
            if leave_out:
                labels[np.isin(labels, leave_out)] = 0
            boxes.append(label_boxes(table[labels], (rows.start, columns.start)))
    return united_boxes({name: np.concatenate([box[name] for box in boxes]) for name in boxes[0]})


def _inside(volumes: Volumes, counts: Sequence[OverlapCounts]) -> tuple[Volumes, np.ndarray]:
    """The volumes inside of the mask, numbered anew, and the label of the mask of each."""
    total = OverlapCounts.none()
    for table, piece in zip(volumes.tables, counts, strict=True):
        volume = table[piece.first].astype(np.int64)
        there = volume > 0
        total += OverlapCounts(volume[there], piece.second[there], piece.count[there])
    found = regions_of(total)
    inside = found.label[found.is_inside]
    number = np.zeros(volumes.count + 1, np.uint32)
    number[inside] = np.arange(1, len(inside) + 1)
    kept = np.append(0, inside)
    renumbered = Volumes(
        count=len(inside),
        tables=[number[table] for table in volumes.tables],
        first_plane=volumes.first_plane[kept],
        last_plane=volumes.last_plane[kept],
        dropped=volumes.dropped,
    )
    return renumbered, np.append(0, found.mask_label[found.is_inside])

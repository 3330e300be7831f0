"""The join of planes: their labels and tables into result files.

Planes go by one at a time and large ones in windows, so memory grows neither with their number nor
with their size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kiosk.exports.writer import Table, Writer
from kiosk.imaging.giants import GiantMeasurements
from kiosk.imaging.masks import count_regions, regions_of
from kiosk.imaging.measurements import column_names, measure
from kiosk.imaging.overlap_counts import OverlapCounts
from kiosk.imaging.perimeters import MARGIN_PX
from kiosk.imaging.stitching import Group
from kiosk.pipelines.assembling import Assembled, Assembler, Place
from kiosk.pipelines.label_planes import FinishedPlane, area_px, bands_of
from kiosk.pipelines.masking import WITHIN, mask_window, within_column
from kiosk.ports import ImageSource, Window

# Larger windows, those of instances that reach over many blocks, are read in bands.
GIANT_WINDOW_PX = 16_000_000
BAND_PX = 4_000_000


@dataclass
class Totals:
    """What is gathered for the record of the run while the planes go by."""

    planes: list[dict[str, int]] = field(default_factory=list)
    instances: int = 0
    cut_by_blocks: int = 0
    dropped_volumes: int = 0


class PlaneJoin:
    """Planes one by one, each with its own instances. Runs in a thread."""

    def __init__(self, assembler: Assembler, source: ImageSource, mask: ImageSource | None) -> None:
        self._assembler, self._source, self._mask = assembler, source, mask
        self.totals = Totals()

    @property
    def columns(self) -> list[str]:
        """The columns of the table, in order."""
        names = column_names(self._source.channel_names, self._source.pixel_size_um)
        return ["t", "z", *names, *([WITHIN] if self._mask else [])]

    def write(self, writers: Sequence[Writer]) -> None:
        """Send every plane and every row to the writers."""
        for place in self._assembler.places:
            with self._assembler.plane(place) as found:
                plane = FinishedPlane(
                    self._source,
                    (place.t, place.z),
                    found.labels,
                    found.count,
                    shown=self._assembler.shown,
                )
                for table in self._tables(plane, found, place):
                    for writer in writers:
                        writer.add_instances(plane, table)
                        writer.add_rows(table)
                for writer in writers:
                    writer.add_plane(plane)
            self.totals.cut_by_blocks += found.cut
            self.totals.instances += found.count
            self.totals.planes.append({"t": place.t, "z": place.z, "instances": found.count})

    def _tables(self, plane: FinishedPlane, found: Assembled, place: Place) -> Iterator[Table]:
        """The table of a plane's instances, in pieces of neighbours."""
        tables = (
            [found.table]
            if found.table is not None
            else (self._measured(plane, group) for group in found.groups)
        )
        for table in tables:
            count = len(table["label"])
            yield {"t": np.full(count, place.t), "z": np.full(count, place.z), **table}

    def _measured(self, plane: FinishedPlane, group: Group) -> Table:
        pieces = [self._rows(plane, group.window, group, leave_out=list(group.wide))]
        for label, window in group.wide.items():
            if area_px(window) > GIANT_WINDOW_PX:
                pieces.append(self._giant_row(plane, window, label))
            else:
                pieces.append(self._rows(plane, window, group, only=label))
        table = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        order = np.argsort(table["label"], kind="stable")
        return {name: values[order] for name, values in table.items()}

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
        # Small numbers, whatever the labels of the group are: tables by label stay short. What is
        # below the first, such as background, becomes very large.
        labels = plane.labels(window) - np.uint32(first - 1)
        labels[labels > last - first + 1] = 0
        if leave_out:
            labels[np.isin(labels, np.array(leave_out) - (first - 1))] = 0
        names = self._source.channel_names
        table = measure(
            labels,
            plane.each_channel(window),
            names,
            self._source.pixel_size_um,
            origin_px=(window[0].start, window[1].start),
            plane_shape=plane.shape,
        )
        if self._mask is not None:
            mask = mask_window(self._mask, (plane.t, plane.z), window)
            table[WITHIN] = within_column(labels, mask)
        table["label"] = table["label"] + (first - 1)
        return table

    def _giant_row(self, plane: FinishedPlane, window: Window, label: int) -> dict[str, np.ndarray]:
        """The row of one instance whose window is too large to be read at once."""
        names, regions = self._source.channel_names, OverlapCounts.none()
        giant = GiantMeasurements(plane.shape, names, self._source.pixel_size_um)
        for band in bands_of(window, BAND_PX):
            inside = _with_margin(plane, band, MARGIN_PX) == label
            giant.add(inside, plane.each_channel(band), (band[0].start, band[1].start))
            if self._mask is not None:
                mask = mask_window(self._mask, (plane.t, plane.z), band)
                rows = slice(MARGIN_PX, len(inside) - MARGIN_PX)
                regions += count_regions(inside[rows].view(np.uint8), mask)
        columns = {"label": np.array([label]), **giant.columns()}
        if self._mask is not None:
            columns[WITHIN] = regions_of(regions).mask_label
        return columns


def _with_margin(plane: FinishedPlane, window: Window, margin_px: int) -> np.ndarray:
    """(y, x) labels of a window and of rows above and below it; zeros beyond the plane."""
    rows, columns = window
    top, bottom = rows.start - margin_px, rows.stop + margin_px
    there = slice(max(0, top), min(plane.shape[0], bottom))
    labels = plane.labels((there, columns))
    return np.pad(labels, ((there.start - top, bottom - there.stop), (0, 0)))

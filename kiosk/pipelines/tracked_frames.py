"""The frames of a movie as its parts have left them: labels, table and what linking needs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.measurements import measure
from kiosk.pipelines.assembling import Assembler, Fetch
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import Cutting
from kiosk.pipelines.intermediate import (
    PartReport,
    read_detections,
    read_labels,
    read_table,
    write_detections,
    write_part,
)
from kiosk.pipelines.label_planes import each_channel
from kiosk.ports import ImageSource


class TrackedFrames:
    """Frames of a job, one at a time; for use in a thread.

    Frames that were cut into blocks are put together at first sight, and measured, and kept in the
    store like parts.
    """

    def __init__(
        self,
        context: JobContext,
        source: ImageSource,
        cutting: Cutting,
        channels: list[int],
        fetch: Fetch,
    ) -> None:
        self._context, self._source, self._channels = context, source, channels
        self._cutting, self._fetch = cutting, fetch
        self._whole: set[int] = set()
        self.count = source.sizes["t"]

    def detections(self, t: int) -> Detections:
        store, job_id = self._context.store, self._context.job.id
        columns = self._fetch(read_detections(store, job_id, self._index(t)))
        return Detections.from_columns(columns)

    def labels(self, t: int) -> np.ndarray:
        """(y, x) or (z, y, x) uint32."""
        return np.asarray(
            self._fetch(read_labels(self._context.store, self._context.job.id, self._index(t)))
        )

    def table(self, t: int) -> Mapping[str, np.ndarray]:
        columns: Mapping[str, np.ndarray] = self._fetch(
            read_table(self._context.store, self._context.job.id, self._index(t))
        )
        return columns

    def _index(self, t: int) -> int:
        """The number of the part that holds all of a frame."""
        if self._cutting.is_whole:
            return t
        parts = self.count * len(self._cutting.blocks)
        if t not in self._whole:
            self._assemble(t, parts + t)
            self._whole.add(t)
        return parts + t

    def _assemble(self, t: int, index: int) -> None:
        context, source = self._context, self._source
        assembler = Assembler(context, source.sizes, self._cutting, self._fetch)
        window = slice(0, source.sizes["y"]), slice(0, source.sizes["x"])
        with assembler.plane(assembler.places[t]) as found:
            labels = found.labels.read(window)
        channels = each_channel(source, (t, 0), window)
        table = measure(labels, channels, source.channel_names, source.pixel_size_um)
        detections = detect(labels, grey(source.plane(t, 0, self._channels)))
        place = context.store, context.job.id, index
        report = PartReport(instances=len(detections), seconds={})
        self._fetch(write_part(*place, labels, table, report))
        self._fetch(write_detections(*place, detections.columns()))


def grey(pixels: np.ndarray) -> np.ndarray:
    """(y, x) of (channel, y, x): colours are averaged."""
    return np.asarray(pixels[0] if len(pixels) == 1 else pixels.mean(axis=0, dtype=np.float32))

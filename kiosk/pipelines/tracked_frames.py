"""The frames of a movie as its parts have left them: labels, table and what linking needs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

import numpy as np

from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.mending import LOOK_AHEAD_FRAMES, mend
from kiosk.pipelines.assembling import Assembler, Fetch
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import Cutting
from kiosk.pipelines.given_labels import measure_frame
from kiosk.pipelines.intermediate import (
    PartReport,
    read_detections,
    read_labels,
    read_table,
    write_detections,
    write_part,
)
from kiosk.ports import ImageSource


class TrackedFrames:
    """Frames of a job, one at a time; for use in a thread.

    Frames that were cut into blocks are put together at first sight, and measured, and kept in the
    store like parts.

    Args:
        empty: frames of which a part has failed, and that are to be empty as a whole.

    Attributes:
        count: how many there are.
        joined, parted: instances that `mend` has mended.
    """

    def __init__(
        self,
        context: JobContext,
        source: ImageSource,
        cutting: Cutting,
        channels: list[int],
        fetch: Fetch,
        empty: Collection[int] = (),
    ) -> None:
        self._context, self._source, self._channels = context, source, channels
        self._cutting, self._fetch, self._empty = cutting, fetch, empty
        # Frames that are kept anew, after all parts.
        self._written: set[int] = set()
        self.count = source.sizes["t"]
        self._after_parts = self.count * len(cutting.blocks)
        self.joined = self.parted = 0

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

    def mend(self) -> None:
        """Mend cells that were cut or run together in single frames, see `imaging.mending`."""
        before = self.labels(0)
        later = deque(self.labels(t) for t in range(1, min(self.count, LOOK_AHEAD_FRAMES + 1)))
        for t in range(1, self.count):
            here = later.popleft()
            if t + LOOK_AHEAD_FRAMES < self.count:
                later.append(self.labels(t + LOOK_AHEAD_FRAMES))
            found = mend(before, here, list(later))
            if found.joined or found.parted:
                self._replace(t, found.labels)
            self.joined += found.joined
            self.parted += found.parted
            before = found.labels

    def _index(self, t: int) -> int:
        """The number of the part that holds all of a frame."""
        if t in self._written:
            return self._after_parts + t
        if not self._cutting.is_whole:
            self._assemble(t)
            return self._after_parts + t
        return t

    def _assemble(self, t: int) -> None:
        source = self._source
        assembler = Assembler(self._context, source.sizes, self._cutting, self._fetch)
        window = slice(0, source.sizes["y"]), slice(0, source.sizes["x"])
        if t in self._empty:
            self._replace(t, np.zeros((source.sizes["y"], source.sizes["x"]), np.uint32))
            return
        with assembler.plane(assembler.places[t]) as found:
            self._replace(t, found.labels.read(window))

    def _replace(self, t: int, labels: np.ndarray) -> None:
        """Keep other labels of a frame, with their measurements, beside what the parts left."""
        context, source = self._context, self._source
        table = measure_frame(source, t, labels)
        pixels = grey(source.plane(t, 0, self._channels))
        detections = detect(labels, pixels, patches=context.tracking.wants_patches)
        place = context.store, context.job.id, self._after_parts + t
        report = PartReport(instances=len(detections), seconds={})
        self._fetch(write_part(*place, labels, table, report))
        self._fetch(write_detections(*place, detections.columns()))
        self._written.add(t)


def grey(pixels: np.ndarray) -> np.ndarray:
    """(y, x) of (channel, y, x): colours are averaged."""
    return np.asarray(pixels[0] if len(pixels) == 1 else pixels.mean(axis=0, dtype=np.float32))

"""The result files of a segmentation: label OME-TIFF, table, picture, record of the run."""

from __future__ import annotations

import asyncio
import csv
import json
import platform
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import tifffile

from kiosk.imaging.measurements import column_names, measure
from kiosk.imaging.rendering import display_labels, display_plane, draw_outlines, encode_jpeg
from kiosk.imaging.stitching import cut_blocks, stitch
from kiosk.jobs import result_stem, results_prefix
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.intermediate import (
    PartReport,
    PlanRecord,
    read_labels,
    read_report,
    read_table,
)
from kiosk.pipelines.planes import plane_places
from kiosk.ports import ImageSource

PICTURE_PX = 1600
UINT16_MAX = 65_535

# Ending of a result's file name -> (media type, what it is and what opens it).
RESULT_KINDS = {
    "_labels.tif": (
        "image/tiff",
        "Label image (OME-TIFF): 0 is background, each instance has its number. Open in Fiji,"
        " napari or QuPath.",
    ),
    "_instances.csv": (
        "text/csv",
        "Table, one row per instance: position, area, intensity. Open in Excel, R or pandas.",
    ),
    "_overlay.jpg": ("image/jpeg", "Picture of one plane with the instances outlined."),
    "_run.json": (
        "application/json",
        "How the results were made: model, version, parameters, software. Keep it with them.",
    ),
}


T = TypeVar("T")


@dataclass
class _Totals:
    """What is gathered while the planes go by."""

    planes: list[dict[str, int]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    picture: bytes = b""


@dataclass(frozen=True, kw_only=True)
class _Plane:
    """One plane of the job: where it is in the image and which parts made it."""

    t: int
    z: int
    parts: range


async def export_results(
    context: JobContext,
    source: ImageSource,
    plan: PlanRecord,
    parameters: Mapping[str, Any],
) -> None:
    """Write all results of a finished segmentation to the object store.

    Planes go by one at a time, so memory does not grow with their number.
    """
    export = _Export(context, source, plan)
    prefix = results_prefix(context.job.id) + result_stem(context.job.file_name)
    reports = [await read_report(context.store, context.job.id, i) for i in export.part_indices]
    with tempfile.TemporaryDirectory(prefix="kiosk-join-") as folder:
        labels, table = Path(folder) / "labels.tif", Path(folder) / "instances.csv"
        await asyncio.to_thread(export.write, labels, table, reports, asyncio.get_running_loop())
        for path, ending in ((labels, "_labels.tif"), (table, "_instances.csv")):
            with path.open("rb") as file:
                await context.store.put_file(prefix + ending, file)
    await context.store.put(f"{prefix}_overlay.jpg", export.totals.picture)
    record = _run_record(context, source, plan, parameters, export.totals)
    await context.store.put(f"{prefix}_run.json", json.dumps(record, indent=2).encode())


class _Export:
    """One pass over the planes of a job. `write` runs in a thread."""

    def __init__(self, context: JobContext, source: ImageSource, plan: PlanRecord) -> None:
        self.context, self.source, self.channels = context, source, plan.channels
        self.totals = _Totals()
        self.sizes = source.sizes
        self.columns = column_names(source.channel_names, source.pixel_size_um)
        self.blocks = cut_blocks(
            self.sizes["y"], self.sizes["x"], plan.block_px, plan.block_halo_px
        )
        count = len(self.blocks)
        self.planes = [
            _Plane(t=t, z=z, parts=range(i * count, (i + 1) * count))
            for i, (t, z) in enumerate(plane_places(self.sizes))
        ]

    @property
    def part_indices(self) -> range:
        return range(len(self.planes) * len(self.blocks))

    def write(
        self,
        labels_path: Path,
        table_path: Path,
        reports: Sequence[PartReport],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        for report in reports:
            for step, seconds in report.seconds.items():
                self.totals.seconds[step] = self.totals.seconds.get(step, 0.0) + seconds
        most = max(sum(reports[i].instances for i in plane.parts) for plane in self.planes)
        dtype = np.dtype(np.uint16 if most <= UINT16_MAX else np.uint32)

        def fetch(coroutine: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

        with table_path.open("w", newline="", encoding="utf-8") as table:
            _write_labels(labels_path, self._label_planes(fetch, table, dtype), dtype, self.source)

    def _label_planes(
        self, fetch: Callable[[Coroutine[Any, Any, Any]], Any], table: IO[str], dtype: np.dtype
    ) -> Iterator[np.ndarray]:
        """Labels of each plane in turn; its rows go to the table on the way."""
        writer = csv.writer(table)
        writer.writerow(["t", "z", *self.columns])
        for number, plane in enumerate(self.planes):
            labels, columns = self._assemble(plane, fetch)
            writer.writerows(self._rows(plane, columns))
            count = int(labels.max(initial=0))
            self.totals.planes.append({"t": plane.t, "z": plane.z, "instances": count})
            if number == len(self.planes) // 2:
                pixels = self.source.plane(plane.t, plane.z, self.channels)
                self.totals.picture = _overlay(pixels, labels)
            yield labels.astype(dtype, copy=False)

    def _assemble(
        self, plane: _Plane, fetch: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        store, job_id = self.context.store, self.context.job.id
        if len(self.blocks) == 1:
            labels = fetch(read_labels(store, job_id, plane.parts[0]))
            return labels, fetch(read_table(store, job_id, plane.parts[0]))
        shape = (self.sizes["y"], self.sizes["x"])
        canvas = np.zeros(shape, np.uint32)
        stitch(shape, _BlockLabels(self, plane, fetch), canvas)
        return canvas, _measured(self.source, plane.t, plane.z, canvas)

    def _rows(self, plane: _Plane, columns: Mapping[str, np.ndarray]) -> Iterator[list[str]]:
        texts = [[_text(value) for value in columns[name].tolist()] for name in self.columns]
        for row in zip(*texts, strict=True):
            yield [str(plane.t), str(plane.z), *row]


def _measured(source: ImageSource, t: int, z: int, labels: np.ndarray) -> dict[str, np.ndarray]:
    """All columns of the instances of one plane, in all channels of the image."""
    names = source.channel_names
    pixels = source.plane(t, z, list(range(len(names))))
    return measure(labels, pixels, names, source.pixel_size_um)


class _BlockLabels:
    """The blocks of a plane with their labels, read anew at each iteration."""

    def __init__(
        self, export: _Export, plane: _Plane, fetch: Callable[[Coroutine[Any, Any, Any]], Any]
    ) -> None:
        self._export, self._plane, self._fetch = export, plane, fetch

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray]]:
        context = self._export.context
        for block, index in zip(self._export.blocks, self._plane.parts, strict=True):
            yield block, self._fetch(read_labels(context.store, context.job.id, index))


def _write_labels(
    path: Path, planes: Iterator[np.ndarray], dtype: np.dtype, source: ImageSource
) -> None:
    """Label OME-TIFF with the axes of the image, less its channels."""
    sizes = source.sizes
    axes = [axis for axis in "tz" if sizes[axis] > 1] + ["y", "x"]
    shape = tuple(sizes[axis] for axis in axes)
    metadata: dict[str, Any] = {"axes": "".join(axes).upper(), "Name": "labels"}
    if source.pixel_size_um is not None:
        size_y, size_x = source.pixel_size_um
        metadata |= {"PhysicalSizeY": size_y, "PhysicalSizeYUnit": "\u00b5m"}
        metadata |= {"PhysicalSizeX": size_x, "PhysicalSizeXUnit": "\u00b5m"}
    # Classic TIFF ends at 4 GiB; compressed labels are far smaller than their raw size, but a
    # file that cannot be written to its end is worse than one in the newer layout.
    big = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize > 2**32 - 2**25
    with tifffile.TiffWriter(path, bigtiff=big, ome=True) as writer:
        writer.write(
            planes,
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            compressionargs={"level": 4},
            metadata=metadata,
        )


def _text(value: float) -> str:
    """Whole numbers whole, whatever their size; others with eight digits."""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.8g}"
    return str(int(value))


def _overlay(pixels: np.ndarray, labels: np.ndarray) -> bytes:
    picture = display_plane(pixels, PICTURE_PX)
    return encode_jpeg(draw_outlines(picture, display_labels(labels, PICTURE_PX)))


def _run_record(
    context: JobContext,
    source: ImageSource,
    plan: PlanRecord,
    parameters: Mapping[str, Any],
    totals: _Totals,
) -> dict[str, Any]:
    """Everything needed to make the same results again."""
    job, card = context.job, context.card
    return {
        "kiosk_version": version("cell-kiosk"),
        "job": job.id,
        "pipeline": job.pipeline,
        "model": {
            "name": job.model,
            "version": job.model_version,
            "weights_sha256": card.weights_sha256.get(job.model_version, ""),
        },
        "parameters": dict(parameters),
        "normalisation": {
            "low_percentile": card.low_percentile,
            "high_percentile": card.high_percentile,
        },
        "scale": {
            "scale": plan.sizing.scale,
            "diameter_px": plan.sizing.diameter_px,
            "diameter_source": plan.sizing.source,
            "network_diameter_px": card.network_diameter_px,
        },
        "image": {
            "file_name": job.file_name,
            "sizes": dict(source.sizes),
            "dtype": str(source.dtype),
            "channels": [source.channel_names[i] for i in plan.channels],
            "pixel_size_um": source.pixel_size_um,
        },
        "notes": list(job.notes),
        "instances": sum(plane["instances"] for plane in totals.planes),
        "planes": totals.planes,
        "seconds": {
            "from_submission_to_join": round(time.time() - job.create_time_s, 3),
            "in_parts": {step: round(value, 3) for step, value in totals.seconds.items()},
        },
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "opencv-python-headless", "tifffile")},
        },
    }

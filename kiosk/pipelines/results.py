"""The result files of a segmentation: one pass of the join through the writers of all formats."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from kiosk.exports import chosen_formats
from kiosk.pipelines.assembling import Assembler
from kiosk.pipelines.context import JobContext
from kiosk.pipelines.cutting import cutting
from kiosk.pipelines.intermediate import PartReport, PlanRecord, read_reports
from kiosk.pipelines.joining import PlaneJoin, Totals
from kiosk.pipelines.parameters import volume_wishes
from kiosk.pipelines.planes import plane_places
from kiosk.pipelines.result_files import fetch_here, put_files, put_record, result_image
from kiosk.pipelines.run_records import (
    about_image,
    about_job,
    about_model,
    about_scale,
    about_software,
    about_time,
)
from kiosk.pipelines.volume_joining import VolumeJoin
from kiosk.ports import ImageSource
from kiosk.scratch import scratch_folder


async def write_results(
    context: JobContext,
    source: ImageSource,
    mask: ImageSource | None,
    plan: PlanRecord,
    parameters: Mapping[str, Any],
) -> None:
    """Write all results of a finished segmentation to the object store."""
    cuts = cutting(source.sizes, plan, context.request.region)
    parts = len(cuts.blocks) * len(plane_places(source.sizes, context.request.plane))
    reports = await read_reports(context.store, context.job.id, parts)
    assembler = Assembler(context, source.sizes, cuts, fetch_here())
    with scratch_folder("join") as folder:
        totals, files = await asyncio.to_thread(
            _write_files, context, source, mask, plan, assembler, reports, folder
        )
        await put_files(context, files)
    await put_record(context, _run_record(context, source, plan, parameters, reports, totals))


def _write_files(
    context: JobContext,
    source: ImageSource,
    mask: ImageSource | None,
    plan: PlanRecord,
    assembler: Assembler,
    reports: Sequence[PartReport],
    folder: Path,
) -> tuple[Totals, list[Path]]:
    """Write every chosen format to the folder; the files that there are to keep."""
    request = context.request
    join: PlaneJoin | VolumeJoin
    if request.volume:
        join = VolumeJoin(assembler, source, mask, volume_wishes(request.postprocessing))
        most = join.link()
    else:
        join = PlaneJoin(assembler, source, mask)
        most = _most_instances(reports, len(assembler.places))
    image = result_image(
        context,
        source,
        channels=plan.channels,
        columns=join.columns,
        highest_label=most,
        is_volume=request.volume,
        touched=assembler.touched if request.region else None,
        about={
            "model": f"{context.job.model}:{context.job.model_version}",
            "scale": f"{plan.sizing.scale:g}",
        },
    )
    with ExitStack() as on_error:
        writers = []
        for item in chosen_formats(request.result_formats).values():
            writers.append(item.writer(folder / item.ending, image))
            on_error.callback(writers[-1].discard)
        join.write(writers)
        on_error.pop_all()
        for writer in writers:
            writer.close()
    return join.totals, [writer.path for writer in writers if writer.path.exists()]


def _most_instances(reports: Sequence[PartReport], planes: int) -> int:
    """At most so many instances are in a plane; blocks share some, so it may be fewer."""
    counts = np.array([report.instances for report in reports]).reshape(planes, -1)
    return int(counts.sum(axis=1).max())


def _run_record(
    context: JobContext,
    source: ImageSource,
    plan: PlanRecord,
    parameters: Mapping[str, Any],
    reports: Sequence[PartReport],
    totals: Totals,
) -> dict[str, Any]:
    """Everything needed to make the same results again."""
    job, card, request = context.job, context.card, context.request
    return {
        **about_job(job),
        "model": about_model(context),
        "parameters": dict(parameters),
        "normalisation": {
            "low_percentile": card.low_percentile,
            "high_percentile": card.high_percentile,
        },
        "scale": about_scale(context, plan),
        "image": about_image(job, source, plan.channels, request.reading),
        "blocks": {
            "block_px": plan.block_px,
            "halo_px": plan.block_halo_px,
            "instances_cut": totals.cut_by_blocks,
        },
        "region": vars(request.region) if request.region else None,
        "plane": vars(request.plane) if request.plane else None,
        "volume": {"dropped": totals.dropped_volumes} if request.volume else None,
        "within": request.within or None,
        "notes": list(job.notes),
        "instances": totals.instances,
        "planes": totals.planes,
        "seconds": about_time(job, reports),
        "software": about_software(),
    }

"""What the joins of all pipelines share: the image that results are of, and storing the files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kiosk.errors import NotFound
from kiosk.exports import RUN_ENDING
from kiosk.exports.writer import ResultImage
from kiosk.jobs import result_stem, results_prefix
from kiosk.pipelines.assembling import Fetch
from kiosk.pipelines.context import JobContext
from kiosk.ports import ImageSource, Window

UINT16_MAX = 65_535

T = TypeVar("T")


def fetch_here() -> Fetch:
    """Runs coroutines on this event loop, for use in a thread."""
    loop = asyncio.get_running_loop()

    def fetch(coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result()

    return fetch


def result_image(
    context: JobContext,
    source: ImageSource,
    *,
    channels: Sequence[int],
    columns: Sequence[str],
    highest_label: int,
    is_volume: bool,
    about: Mapping[str, str],
    touched: Window | None = None,
) -> ResultImage:
    """The image of a job, as the writers of its results see it.

    Args:
        channels: those in which the instances were found.
        about: what belongs into metadata besides the file, the job and the kiosk's version.
        touched: as in `ResultImage`.
    """
    job = context.job
    return ResultImage(
        stem=result_stem(job.file_name),
        sizes={**source.sizes, "t": 1, "z": 1} if context.request.plane else source.sizes,
        whole_sizes=source.sizes,
        dtype=source.dtype,
        is_rgb=source.is_rgb,
        channel_names=source.channel_names,
        channels=channels,
        pixel_size_um=source.pixel_size_um,
        z_step_um=source.z_step_um,
        frame_interval_s=source.frame_interval_s,
        columns=columns,
        label_dtype=np.dtype(np.uint16 if highest_label <= UINT16_MAX else np.uint32),
        is_volume=is_volume,
        touched=touched,
        about={**about, "file": job.file_name, "kiosk": version("cell-kiosk"), "job": job.id},
    )


async def put_files(context: JobContext, paths: Sequence[Path]) -> None:
    """Store finished files, which are called by what follows the stem of the image."""
    for path in paths:
        with path.open("rb") as file:
            await context.store.put_file(_key(context, path.name), file)


async def put_record(context: JobContext, record: Mapping[str, Any]) -> None:
    """Store how the results were made."""
    await context.store.put(_key(context, RUN_ENDING), json.dumps(record, indent=2).encode())


async def are_complete(context: JobContext) -> bool:
    """Whether all results are there: how they were made is stored last."""
    try:
        await context.store.size(_key(context, RUN_ENDING))
    except NotFound:
        return False
    return True


def _key(context: JobContext, ending: str) -> str:
    return f"{results_prefix(context.job.id)}{result_stem(context.job.file_name)}{ending}"

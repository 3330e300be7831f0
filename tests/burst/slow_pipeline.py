"""A recipe whose parts take a while and no processor, so that many consumers fit on one machine."""

from __future__ import annotations

import asyncio

from kiosk.jobs import Part, PartKind, results_prefix
from kiosk.pipelines.context import JobContext

PARTS = 4
PART_S = 0.1
PART_PX = 1_000_000


async def plan(context: JobContext) -> tuple[list[Part], list[str]]:
    parts = [Part(job_id=context.job.id, kind=PartKind.PART, index=index) for index in range(PARTS)]
    return parts, []


async def run(context: JobContext, part: Part) -> None:
    await asyncio.sleep(PART_S)


async def join(context: JobContext) -> None:
    await context.store.put(f"{results_prefix(context.job.id)}done.txt", b"done\n")

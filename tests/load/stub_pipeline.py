"""A recipe with as little of its own as a recipe can have: one tile to the model, one result.

What is left is the kiosk: accepting, queueing, handing out, renewing, ending, telling.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kiosk.jobs import Part, PartKind, results_prefix
from kiosk.pipelines.context import JobContext

TILE = {
    "image": np.zeros((1, 1, 64, 64), np.uint16),
    "limits": np.array([[0, 1]], np.float32),
}


def check(*_: Any) -> list[int]:
    return [0]


async def plan(context: JobContext) -> tuple[list[Part], list[str]]:
    return [Part(job_id=context.job.id, kind=PartKind.PART, index=0)], []


async def run(context: JobContext, part: Part) -> None:
    await context.inference.infer(context.job.model, context.job.model_version, TILE)


async def join(context: JobContext) -> None:
    await context.store.put(f"{results_prefix(context.job.id)}count.txt", b"0\n")

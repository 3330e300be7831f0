"""A consumer of a rolling update: the kiosk's own, with a recipe that writes down what it does.

    python rolling_role.py LOG SECONDS

Every job has two parts; each adds a line `begin`, takes its seconds, and adds a line `end`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from kiosk.settings import leave_children_alone

PARTS = 2


class Recipe:
    """A pipeline without images."""

    def __init__(self, log: Path, part_s: float) -> None:
        self._log, self._part_s = log, part_s

    def _write(self, *words: object) -> None:
        with self._log.open("a") as file:  # short lines are added in one step
            file.write(" ".join(map(str, (*words, os.getpid()))) + "\n")

    async def plan(self, context: Any) -> tuple[list[Any], list[str]]:
        from kiosk.jobs import Part, PartKind

        return [
            Part(job_id=context.job.id, kind=PartKind.PART, index=index) for index in range(PARTS)
        ], []

    async def run(self, context: Any, part: Any) -> None:
        self._write("begin", context.job.id, part.index)
        await asyncio.sleep(self._part_s)
        self._write("end", context.job.id, part.index)

    async def join(self, context: Any) -> None:
        self._write("join", context.job.id, "-")


def main() -> None:
    leave_children_alone()
    from kiosk import bootstrap
    from kiosk.cli import roles
    from kiosk.pipelines import PIPELINES
    from kiosk.testing import FakeInference

    class Inference(FakeInference):
        async def close(self) -> None:
            pass

    replaced: Any = bootstrap
    replaced.make_inference = lambda settings: Inference()
    pipelines: Any = PIPELINES
    pipelines["segmentation"] = Recipe(Path(sys.argv[1]), float(sys.argv[2]))
    roles.consumer()


if __name__ == "__main__":
    main()

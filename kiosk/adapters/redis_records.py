"""Jobs and dead letters as they stand in Redis; the keys are described in `lua/_common.lua`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from kiosk.jobs import (
    JOIN_INDEX,
    PLAN_INDEX,
    DeadLetter,
    Job,
    JobState,
    PartKind,
    Priority,
    Stage,
)
from kiosk.ports import Backlog, ModelLoad

# In this order; new ones go to the end.
ASKED = ("pipeline", "upload_id", "file_name", "model", "model_version", "request_id", "parameters")


def request_json(job: Job) -> str:
    """What was asked, as it is stored: without names, for jobs wait by the 100,000."""
    asked = [getattr(job, name) for name in ASKED]
    return json.dumps(asked, sort_keys=True, separators=(",", ":"))


def job_of(job_id: str, stored: Sequence[Any]) -> Job:
    """The job of a record: its hash, its request, and what was said about it."""
    fields, said = _mapping(stored[0]), _mapping(stored[2])
    asked = dict(zip(ASKED, json.loads(stored[1]), strict=False))

    def seconds(name: str) -> float:
        return int(fields.get(name, 0)) / 1000

    return Job(
        id=job_id,
        **asked,
        owner=fields["owner"],
        priority=Priority(fields["class"]),
        state=JobState(fields["state"]),
        stage=Stage(fields.get("stage", Stage.WAITING)),
        parts_total=int(fields.get("total", 0)),
        parts_done=int(fields.get("done", 0)),
        error=said.get("error", ""),
        error_reason=said.get("reason", ""),
        notes=tuple(json.loads(said.get("notes", "[]"))),
        waiting_for=said.get("waiting_for", ""),
        work_px=int(fields.get("px", 0)),
        trace=fields.get("trace", ""),
        create_time_s=seconds("create_ms"),
        start_time_s=seconds("start_ms"),
        end_time_s=seconds("end_ms"),
        expire_time_s=seconds("expire_ms"),
    )


def version_of(stored: Sequence[Any]) -> int:
    """How often the job of a record has changed."""
    return int(_mapping(stored[0])["v"])


def backlog_of(stored: Sequence[Any]) -> Backlog:
    """What backlog.lua tells."""
    parts, jobs, leased, oldest_ms, told = stored
    models = [
        _load(name, int(open_px), float(pace))
        for name, open_px, pace in zip(told[::3], told[1::3], told[2::3], strict=True)
    ]
    return Backlog(
        parts=parts,
        jobs=jobs,
        leased=leased,
        oldest_s=oldest_ms / 1000,
        models=tuple(sorted(models, key=lambda load: (load.model, load.version))),
    )


def _load(name: str, open_px: int, px_per_slot_s: float) -> ModelLoad:
    model, _, version = name.rpartition(":")
    return ModelLoad(model=model, version=version, open_px=open_px, px_per_slot_s=px_per_slot_s)


def dead_letter_of(job: Job, stored: Sequence[Any], time_s: float) -> DeadLetter:
    said = _mapping(stored[2])
    index = int(said["dead_index"])
    return DeadLetter(
        job_id=job.id,
        owner=job.owner,
        file_name=job.file_name,
        part_index=index,
        kind=kind_of(index),
        attempts=int(said["dead_attempts"]),
        reason=said["dead_reason"],
        time_s=time_s,
    )


def kind_of(index: int) -> PartKind:
    return {PLAN_INDEX: PartKind.PLAN, JOIN_INDEX: PartKind.JOIN}.get(index, PartKind.PART)


def _mapping(pairs: Sequence[str]) -> Mapping[str, str]:
    """A hash, which comes as a flat list out of a script."""
    return dict(zip(pairs[::2], pairs[1::2], strict=True))

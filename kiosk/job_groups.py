"""Jobs that were asked for together, most often as one zip of images, and are told of as one.

The group goes by the id of its first job; its record lies among what belongs to that job and goes
with it. A job without a record is a group of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kiosk.access import job_of
from kiosk.callers import Caller
from kiosk.errors import NotFound
from kiosk.jobs import Job, JobState, job_prefix
from kiosk.ports import JobQueue, ObjectStore


@dataclass(frozen=True, kw_only=True)
class JobGroup:
    """Jobs as they stand.

    Attributes:
        jobs: the first one gives the group its id; those deleted meanwhile are left out.
        refused: name of an image -> why it became no job.
        is_zip: there may be several jobs, be it that a zip had one image.
        nuclei: job -> that whose cells have the nuclei that it finds.
    """

    jobs: Sequence[Job]
    refused: Mapping[str, str]
    is_zip: bool
    nuclei: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.jobs[0].id

    @property
    def is_final(self) -> bool:
        return all(job.state.is_final for job in self.jobs)

    @property
    def succeeded(self) -> list[Job]:
        return [job for job in self.jobs if job.state is JobState.SUCCEEDED]


class JobGroups:
    """All groups of a kiosk."""

    def __init__(self, *, queue: JobQueue, store: ObjectStore) -> None:
        self._queue, self._store = queue, store

    async def keep(
        self, jobs: Sequence[Job], refused: Mapping[str, str], nuclei: Mapping[str, str]
    ) -> None:
        """Note that jobs, which the caller has just submitted, belong together.

        Args:
            refused, nuclei: as in `JobGroup`.
        """
        record = {
            "jobs": [job.id for job in jobs],
            "refused": dict(refused),
            "nuclei": dict(nuclei),
        }
        await self._store.put(_key(jobs[0].id), json.dumps(record).encode())

    async def get(self, group_id: str, *, caller: Caller) -> JobGroup:
        """Raises NotFound."""
        first = await job_of(self._queue, group_id, caller=caller)
        try:
            record = json.loads(await self._store.get(_key(first.id)))
        except NotFound:
            return JobGroup(jobs=[first], refused={}, is_zip=False)
        jobs = [first]
        for job_id in record["jobs"][1:]:
            try:
                jobs.append(await job_of(self._queue, job_id, caller=caller))
            except NotFound:
                continue
        return JobGroup(
            jobs=jobs,
            refused=record["refused"],
            is_zip=True,
            nuclei=record.get("nuclei", {}),
        )


def _key(group_id: str) -> str:
    return f"{job_prefix(group_id)}group"

"""A burst of jobs that arrives at an empty kiosk, and the real autoscaler that follows it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import astuple, dataclass, field
from pathlib import Path

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.autoscaler import Autoscaler, Round
from kiosk.jobs import Job, new_id
from kiosk.queue_policy import QueuePolicy
from kiosk.scaling import ScalingPolicy
from tests.burst.local_cluster import LocalCluster
from tests.burst.slow_pipeline import PART_PX, PARTS

# A minute of a cluster is a second here.
NODE_S = 1.5
POLL_S = 0.25
LONGEST_S = 110.0
POLICY = ScalingPolicy(
    drain_s=3.0,
    startup_s=NODE_S,
    cool_down_s=2.0,
    idle_s=4.0,
    max_triton=2,
    consumers_per_triton=2,
    slots_per_consumer=2,
    default_px_per_slot_s=10.0 * PART_PX,
)


@dataclass(frozen=True)
class Sample:
    """What was there at a time."""

    time_s: float
    open_parts: int
    parts_at_work: int
    triton_desired: int
    triton_ready: int
    consumers_desired: int
    consumers_running: int


@dataclass
class Outcome:
    """What came of a burst.

    Attributes:
        states: how many jobs ended how.
        exit_codes: of the consumers that were stopped.
    """

    samples: list[Sample] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    exit_codes: list[int] = field(default_factory=list)

    def csv(self) -> str:
        names = ",".join(Sample.__dataclass_fields__)
        rows = [",".join(f"{value:g}" for value in astuple(sample)) for sample in self.samples]
        return "\n".join([names, *rows]) + "\n"


def job(number: int) -> Job:
    return Job(
        id=new_id(),
        pipeline="segmentation",
        upload_id=new_id(),
        file_name=f"plate_{number:04d}.tif",
        model="bright",
        model_version="1",
        owner="lab",
        work_px=PARTS * PART_PX,
    )


async def follow(folder: Path, redis_url: str, jobs: int) -> Outcome:
    """Submit so many jobs at once; returns when all are done and nothing runs any more."""
    queue = RedisQueue(redis_url, QueuePolicy())
    cluster = LocalCluster(folder, redis_url, NODE_S)
    outcome, begun_s = Outcome(), time.monotonic()
    autoscaler = Autoscaler(
        queue=queue,
        cluster=cluster,
        policy=POLICY,
        leadership=None,
        poll_s=POLL_S,
        answer_s=5.0,
        monotonic=time.monotonic,
        tell=lambda line: outcome.lines.append(f"{time.monotonic() - begun_s:5.1f} s  {line}"),
    )
    try:
        submitted = [await queue.submit(job(number)) for number in range(jobs)]
        async with asyncio.timeout(LONGEST_S):
            while not _is_over(outcome.samples):
                seen = await autoscaler.round()
                assert seen is not None
                outcome.samples.append(_sample(seen, time.monotonic() - begun_s))
                await asyncio.sleep(POLL_S)
        outcome.exit_codes = await cluster.exit_codes()
        outcome.states = Counter([(await queue.get(one.id)).state.value for one in submitted])
    finally:
        await cluster.close()
        await queue.close()
    return outcome


def _is_over(samples: list[Sample]) -> bool:
    """There was something, and there is nothing left."""
    return bool(samples) and len(samples) > 1 and not any(astuple(samples[-1])[1:])


def _sample(seen: Round, time_s: float) -> Sample:
    backlog, triton, consumers = (
        seen.snapshot.backlog,
        seen.snapshot.triton,
        seen.snapshot.consumers,
    )
    assert backlog is not None
    assert triton is not None
    assert consumers is not None
    return Sample(
        round(time_s, 2),
        backlog.parts,
        backlog.leased,
        triton.desired,
        triton.ready,
        consumers.desired,
        consumers.ready,
    )

"""How jobs end is counted once each, by whoever sees it."""

from __future__ import annotations

import numpy as np
import pytest
from image_makers import tiff
from prometheus_client import REGISTRY

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import PermanentError
from kiosk.jobs import Job
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk


class Counts:
    """How far samples have grown since this was made."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], float] = {}

    def value(self, name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def remember(self) -> None:
        self._before = {
            (sample.name, str(sample.labels)): sample.value
            for family in REGISTRY.collect()
            for sample in family.samples
        }

    def grown(self, name: str, **labels: str) -> float:
        return self.value(name, **labels) - self._before.get((name, str(labels)), 0.0)

    def ends(self) -> dict[str, float]:
        outcomes = ("succeeded", "failed", "given_up", "cancelled")
        grown = {
            outcome: self.grown("kiosk_jobs_total", pipeline="segmentation", outcome=outcome)
            for outcome in outcomes
        }
        return {outcome: count for outcome, count in grown.items() if count}


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def counts() -> Counts:
    counts = Counts()
    counts.remember()
    return counts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kiosk(clock: Clock) -> FakeKiosk:
    queue = MemoryQueue(clock=clock, lease_s=30.0, attempts=2, retry_delay_s=1.0)
    return make_kiosk(ImageFileReader(LimitSettings()), queue=queue)


async def submitted(kiosk: FakeKiosk) -> Job:
    image = np.zeros((64, 64), np.uint16)
    image[10:30, 10:30] = 1000
    upload = await kiosk.upload(tiff(image))
    return await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)


async def test_a_success_and_how_long_it_took(
    kiosk: FakeKiosk, counts: Counts, clock: Clock
) -> None:
    await submitted(kiosk)
    clock.now_s += 40.0
    await kiosk.work()
    assert counts.ends() == {"succeeded": 1}
    assert counts.grown("kiosk_jobs_accepted_total", pipeline="segmentation") == 1
    assert counts.grown("kiosk_job_duration_seconds_sum", pipeline="segmentation") == 40.0
    assert counts.grown("kiosk_job_stage_duration_seconds_sum", stage="waiting") == 40.0
    for stage in ("waiting", "planning", "parts", "joining"):
        assert counts.grown("kiosk_job_stage_duration_seconds_count", stage=stage) == 1, stage
    for step in ("plan", "read", "inference", "instances", "write", "join"):
        assert counts.grown("kiosk_part_step_duration_seconds_count", step=step) == 1, step


async def test_a_failure(kiosk: FakeKiosk, counts: Counts) -> None:
    await submitted(kiosk)
    kiosk.inference.failures = [PermanentError("The model refused the image.")]
    await kiosk.work()
    assert counts.ends() == {"failed": 1}
    assert counts.grown("kiosk_parts_total", kind="plan", outcome="failed") == 1


async def test_a_job_that_is_cancelled_twice_is_counted_once(
    kiosk: FakeKiosk, counts: Counts
) -> None:
    job = await submitted(kiosk)
    for _ in range(2):
        await kiosk.service.cancel_job(job.id, caller=LOCAL)
    assert counts.ends() == {"cancelled": 1}


async def test_what_was_given_up_is_counted_by_the_server_that_tidies(
    kiosk: FakeKiosk, counts: Counts, clock: Clock
) -> None:
    """Its consumers died without a word, so nobody else has seen it end."""
    await submitted(kiosk)
    for _ in range(2):
        assert await kiosk.queue.lease("dying", 0) is not None
        clock.now_s += 31.0
    assert await kiosk.queue.lease("another", 0) is None
    assert counts.ends() == {}
    clock.now_s += 600.0
    for _ in range(2):
        await kiosk.service.sweep()
    assert counts.ends() == {"given_up": 1}


async def test_attempts_that_fail_are_told_apart_from_jobs_that_do(
    kiosk: FakeKiosk, counts: Counts, clock: Clock
) -> None:
    await submitted(kiosk)
    kiosk.inference.failures = [RuntimeError("a moment's weakness")]
    await kiosk.work()
    assert counts.ends() == {}
    assert counts.grown("kiosk_parts_total", kind="plan", outcome="retried") == 1
    clock.now_s += 10.0
    await kiosk.work()
    assert counts.ends() == {"succeeded": 1}

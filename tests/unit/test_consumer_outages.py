"""What a consumer does while Triton or the object store is away, and with suspect parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from segmented import spots, tiff

from kiosk import consumer as consumer_module
from kiosk import lease_keeper, missing_models
from kiosk import outages as outages_module
from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.consumer import Consumer
from kiosk.errors import DISK_FULL, MODEL_SERVER_AWAY, STORE_AWAY, Outage
from kiosk.jobs import Job, JobState, Lease, PartKind, parts_prefix
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryQueue, make_kiosk


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "RECONNECT_S", 0.01)
    monkeypatch.setattr(consumer_module, "LEASE_WAIT_S", 0.01)
    monkeypatch.setattr(outages_module, "FIRST_PAUSE_S", 0.01)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def kiosk(now: list[float]) -> FakeKiosk:
    queue = MemoryQueue(clock=lambda: now[0] + time.monotonic(), retry_delay_s=0.0)
    return make_kiosk(ImageFileReader(LimitSettings()), queue=queue)


async def submitted(kiosk: FakeKiosk, frames: int = 2) -> Job:
    upload_id = await kiosk.upload(tiff(np.stack([spots((40, 40))] * frames)))
    return await kiosk.service.segment(upload_id=upload_id, model="bright", caller=LOCAL)


async def take(kiosk: FakeKiosk, consumer: str = "c") -> Lease:
    lease = await kiosk.queue.lease(consumer, 0)
    assert lease is not None
    return lease


async def up_to_the_join(kiosk: FakeKiosk) -> Lease:
    """Do everything before the join of the only job."""
    while (lease := await take(kiosk)).part.kind is not PartKind.JOIN:
        await kiosk.consumer().work(lease)
    return lease


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("waited in vain")


async def ended(kiosk: FakeKiosk, job: Job) -> Job:
    async def follow() -> Job:
        async for event in kiosk.queue.watch(job.id):
            last = event.job
        return last

    return await asyncio.wait_for(follow(), 20)


class Running:
    """A consumer that runs inside of the block."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._consumer.run())

    async def __aexit__(self, *_: object) -> None:
        self._consumer.stop()
        await asyncio.wait_for(self._task, 10)


# ---------------------------------------------------------------- outages


async def test_an_outage_of_triton_costs_no_attempt_and_the_job_says_what_it_waits_for(
    kiosk: FakeKiosk,
) -> None:
    job = await submitted(kiosk)
    await kiosk.consumer().work(await take(kiosk))  # the plan
    away = Outage("The model server (Triton) does not answer.", reason=MODEL_SERVER_AWAY)
    for _ in range(5):  # more often than there are attempts
        lease = await take(kiosk)
        assert lease.attempt == 1
        kiosk.inference.failures = [away]
        await kiosk.consumer().work(lease)
        waiting = await kiosk.queue.get(job.id)
        assert (waiting.state, waiting.waiting_for) == (JobState.RUNNING, away.message)
    await kiosk.work()
    done = await kiosk.queue.get(job.id)
    assert (done.state, done.waiting_for) == (JobState.SUCCEEDED, "")
    assert await kiosk.queue.dead_letters() == []


async def test_an_outage_that_never_ends_is_given_up_after_the_bound() -> None:
    queue = MemoryQueue(retry_delay_s=0.0, attempts=2, outages=3)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), queue=queue)
    job = await submitted(kiosk)
    kiosk.inference.cards = []  # somebody has removed the model for good
    await kiosk.work()
    failed = await kiosk.queue.get(job.id)
    assert (failed.state, failed.error_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "Version 2 of the model 'bright' is not loaded at present." in failed.error


@pytest.mark.parametrize("reason", [MODEL_SERVER_AWAY, STORE_AWAY, DISK_FULL])
async def test_no_part_is_taken_while_an_outage_lasts(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    jobs = [await submitted(kiosk) for _ in range(10)]
    looked, is_away = 0, True

    async def check() -> None:
        nonlocal looked
        looked += 1
        if is_away:
            raise Outage("It is away.", reason=reason)

    monkeypatch.setattr(kiosk.inference, "check", check)
    monkeypatch.setattr(kiosk.store, "check", check)
    begun: list[str] = []
    lease = kiosk.queue.lease

    async def counted(consumer: str, wait_s: float) -> Lease | None:
        taken = await lease(consumer, wait_s)
        if taken is not None:
            begun.append(taken.job.id)
        return taken

    async def put(key: str, data: bytes) -> None:
        if is_away:
            raise Outage("It is away.", reason=reason)
        kiosk.store.objects[key] = data

    monkeypatch.setattr(kiosk.queue, "lease", counted)
    monkeypatch.setattr(kiosk.store, "put", put)
    async with Running(kiosk.consumer(parts_in_flight=2)):
        await until(lambda: looked >= 3)
        assert len(begun) <= 2  # what was in hand when it began
        is_away = False
        for job in jobs:
            assert JobState.SUCCEEDED is (await ended(kiosk, job)).state


async def test_parts_are_not_cycled_while_their_model_is_loaded_again(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [await submitted(kiosk) for _ in range(10)]
    cards, kiosk.inference.cards = kiosk.inference.cards, []
    begun: list[str] = []
    lease = kiosk.queue.lease

    async def counted(consumer: str, wait_s: float) -> Lease | None:
        taken = await lease(consumer, wait_s)
        if taken is not None:
            begun.append(taken.job.id)
        return taken

    monkeypatch.setattr(kiosk.queue, "lease", counted)
    consumer = kiosk.consumer(parts_in_flight=2)
    async with Running(consumer):
        await until(lambda: consumer.is_waiting)
        await asyncio.sleep(0.05)
        assert len(begun) <= 2
        kiosk.inference.cards = cards
        for job in jobs:
            assert JobState.SUCCEEDED is (await ended(kiosk, job)).state


async def test_one_model_that_stays_away_does_not_hold_up_the_others(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missing_models, "PATIENCE_S", 0.03)
    (card,) = kiosk.inference.cards
    kiosk.inference.cards = [card, replace(card, name="other")]
    upload_id = await kiosk.upload(tiff(spots((40, 40))))
    waiting = await kiosk.service.segment(upload_id=upload_id, model="other", caller=LOCAL)
    kiosk.inference.cards = [card]
    job = await submitted(kiosk)
    kiosk.queue._policy = replace(kiosk.queue._policy, retry_delay_s=0.02)
    async with Running(kiosk.consumer(parts_in_flight=1)):
        assert JobState.SUCCEEDED is (await ended(kiosk, job)).state
        assert JobState.RUNNING is (await kiosk.queue.get(waiting.id)).state
        kiosk.inference.cards = [card, replace(card, name="other")]
        assert JobState.SUCCEEDED is (await ended(kiosk, waiting)).state


async def test_a_consumer_that_waits_for_the_end_of_an_outage_stops_at_once(
    kiosk: FakeKiosk,
) -> None:
    await submitted(kiosk)
    kiosk.inference.is_down = True
    consumer = kiosk.consumer(stop_grace_s=60.0)
    async with Running(consumer):
        await until(lambda: consumer.is_waiting)


# ---------------------------------------------------------------- suspects


async def test_a_suspect_part_is_done_with_nothing_beside_it(
    kiosk: FakeKiosk, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [await submitted(kiosk) for _ in range(6)]
    lost = [await take(kiosk, f"killed{number}") for number in range(2)]
    now[0] += 31
    suspects = {lease.job.id for lease in lost}
    consumer = kiosk.consumer(parts_in_flight=3)
    working: list[tuple[str, PartKind]] = []
    perform = consumer._perform

    async def watched(lease: Lease) -> Callable[[], object]:
        working.append((lease.job.id, lease.part.kind))
        if lease.suspect:
            await asyncio.sleep(0.02)
            assert len(working) == 1
        try:
            return await perform(lease)
        finally:
            if lease.suspect:
                assert len(working) == 1
                suspects.discard(lease.job.id)
            working.remove((lease.job.id, lease.part.kind))

    monkeypatch.setattr(consumer, "_perform", watched)
    async with Running(consumer):
        for job in jobs:
            assert JobState.SUCCEEDED is (await ended(kiosk, job)).state
    assert suspects == set()


# ---------------------------------------------------------------- late consumers


async def test_what_a_late_consumer_leaves_is_removed(kiosk: FakeKiosk, now: list[float]) -> None:
    """It wakes after another has finished the job, and writes its part once more."""
    job = await submitted(kiosk)
    await kiosk.consumer().work(await take(kiosk))
    late = await take(kiosk, "late")
    now[0] += 31
    await kiosk.work()
    assert JobState.SUCCEEDED is (await kiosk.queue.get(job.id)).state
    plan = {f"{parts_prefix(job.id)}plan": b"{}"}
    kiosk.store.objects |= plan
    await kiosk.consumer("late").work(late)
    assert await kiosk.store.list(parts_prefix(job.id)) == []
    await kiosk.service.delete_job(job.id, caller=LOCAL)
    kiosk.store.objects |= plan
    await kiosk.consumer("late").work(late)
    assert await kiosk.store.list(f"jobs/{job.id}/") == []


# ---------------------------------------------------------------- submitting


async def test_a_model_that_is_being_loaded_is_not_unknown(kiosk: FakeKiosk) -> None:
    kiosk.inference.loading = ["bright"]
    with pytest.raises(Outage, match="'bright' is not loaded at present"):
        await submitted(kiosk)
    kiosk.inference.loading = []
    await submitted(kiosk)


# ---------------------------------------------------------------- a queue that forgets


async def test_a_success_that_the_queue_forgot_is_reported_again(
    kiosk: FakeKiosk, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis lost its last second after the parts were removed: there is nothing left to join."""
    job = await submitted(kiosk)
    join = await up_to_the_join(kiosk)

    async def forgotten(*_: object) -> None:
        """It was done, and is as if it never was."""

    with monkeypatch.context() as patched:
        patched.setattr(kiosk.queue, "succeed", forgotten)
        await kiosk.consumer().work(join)
    before = {k: v for k, v in kiosk.store.objects.items() if "/results/" in k}
    assert before
    assert await kiosk.store.list(parts_prefix(job.id)) == []
    now[0] += 31
    await kiosk.work()
    assert JobState.SUCCEEDED is (await kiosk.queue.get(job.id)).state
    assert before == {k: v for k, v in kiosk.store.objects.items() if "/results/" in k}


async def test_a_join_without_parts_and_results_fails(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    join = await up_to_the_join(kiosk)
    await kiosk.store.delete_prefix(parts_prefix(job.id))
    await kiosk.consumer().work(join)
    assert JobState.FAILED is (await kiosk.queue.get(job.id)).state


@pytest.mark.parametrize("frames", [1, 2])
async def test_results_are_on_the_disk_before_the_job_has_succeeded(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    job = await submitted(kiosk, frames)
    steps: list[str] = []
    succeed = kiosk.queue.succeed

    async def flush(prefix: str) -> None:
        steps.append(prefix)

    async def succeeded(*arguments: object) -> None:
        steps.append("succeeded")
        await succeed(*arguments)

    monkeypatch.setattr(kiosk.store, "flush", flush)
    monkeypatch.setattr(kiosk.queue, "succeed", succeeded)
    await kiosk.work()
    assert steps == [f"jobs/{job.id}/results/", "succeeded"]

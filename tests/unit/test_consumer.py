"""A consumer and the ways in which a part can end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from kiosk import consumer as module
from kiosk import lease_keeper
from kiosk.callers import LOCAL
from kiosk.consumer import Consumer
from kiosk.errors import InvalidRequest, LeaseLost, PermanentError, TransientError
from kiosk.jobs import Job, JobState, Lease, PartKind, parts_prefix
from kiosk.pipelines.context import OpenImages
from kiosk.ports import File, ImageEntry, ImageSource, Window
from kiosk.reading import ReadOptions
from kiosk.testing import FakeInference, FakeKiosk, MemoryQueue, MemoryStore, make_kiosk


class FakeSource:
    """Three planes of 32 x 32 with one bright spot each."""

    sizes: Mapping[str, int] = {"t": 3, "c": 1, "z": 1, "y": 32, "x": 32}
    dtype = np.dtype(np.uint8)
    is_rgb = False
    channel_names = ("channel 0",)
    pixel_size_um = None
    z_step_um = frame_interval_s = None
    format, axes, levels = "TIFF", "TYX", ((32, 32),)
    notes: tuple[str, ...] = ("A guess.",)

    def __init__(self, images: FakeImages) -> None:
        self._images = images
        self.sizes = {**self.sizes, "t": images.frames}

    def plane(
        self, t: int, z: int, channels: Sequence[int], window: Window | None = None, level: int = 0
    ) -> np.ndarray:
        if self._images.plane_errors:
            raise self._images.plane_errors.pop(0)
        plane = np.zeros((1, 32, 32), np.uint8)
        plane[0, 10:20, 10 + t : 20 + t] = 200
        return plane if window is None else plane[:, *window]

    def close(self) -> None:
        self._images.closed += 1


class FakeImages:
    """`ports.ImageFiles` that needs no file; fails as it is told."""

    def __init__(self) -> None:
        self.plane_errors: list[BaseException] = []
        self.open_errors: list[Exception] = []
        self.opened = 0
        self.closed = 0
        self.frames = 3

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        return [ImageEntry()]

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        if self.open_errors:
            raise self.open_errors.pop(0)
        self.opened += 1
        return FakeSource(self)


class BlockingInference(FakeInference):
    """Answers nothing until `go_on` is set; says when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self.cancelled = 0

    async def infer(self, model: str, version: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await super().infer(model, version, inputs)


async def open_counts(kiosk: FakeKiosk) -> tuple[int, int]:
    """Parts and jobs that are open."""
    backlog = await kiosk.queue.backlog()
    return backlog.parts, backlog.jobs


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "RECONNECT_S", 0.0)
    monkeypatch.setattr(module, "LEASE_WAIT_S", 0.01)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def images() -> FakeImages:
    return FakeImages()


@pytest.fixture
def kiosk(now: list[float], images: FakeImages) -> FakeKiosk:
    queue = MemoryQueue(clock=lambda: now[0], retry_delay_s=0.0)
    return make_kiosk(images, queue=queue)


async def submitted(kiosk: FakeKiosk) -> Job:
    return await kiosk.service.segment(
        upload_id=await kiosk.upload(b"image"), model="bright", caller=LOCAL
    )


async def take(kiosk: FakeKiosk, consumer: str = "c") -> Lease:
    lease = await kiosk.queue.lease(consumer, 0)
    assert lease is not None
    return lease


async def planned(kiosk: FakeKiosk) -> Job:
    """A job with three parts that wait for a consumer."""
    job = await submitted(kiosk)
    await kiosk.consumer().work(await take(kiosk))
    return job


async def state(kiosk: FakeKiosk, job: Job) -> JobState:
    return (await kiosk.queue.get(job.id)).state


def running(consumer: Consumer) -> asyncio.Task[None]:
    return asyncio.create_task(consumer.run())


async def stopped(consumer: Consumer, task: asyncio.Task[None]) -> None:
    consumer.stop()
    await asyncio.wait_for(task, 10)


async def end_of(kiosk: FakeKiosk, job: Job) -> Job:
    """Follow the job to its end."""

    async def follow() -> Job:
        async for event in kiosk.queue.watch(job.id):
            last = event.job
        return last

    return await asyncio.wait_for(follow(), 20)


# ---------------------------------------------------------------- how a part ends


async def test_job_goes_through(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.work()
    assert JobState.SUCCEEDED is await state(kiosk, job)
    assert await kiosk.store.list(f"jobs/{job.id}/parts/") == []


async def test_transient_error_is_tried_again(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    kiosk.inference.failures = [TransientError("Triton is away."), TransientError("Still away.")]
    await kiosk.work()
    assert JobState.SUCCEEDED is await state(kiosk, job)
    assert await kiosk.queue.dead_letters() == []


@pytest.mark.parametrize("kind", [InvalidRequest, PermanentError])
async def test_error_that_stays_fails_the_job_at_once(
    kiosk: FakeKiosk, images: FakeImages, kind: type[Exception]
) -> None:
    job = await planned(kiosk)
    images.plane_errors = [kind("Plane 3 is damaged.", reason="BAD_PLANE")]  # type: ignore[call-arg]
    await kiosk.work()
    failed = await kiosk.queue.get(job.id)
    assert (
        failed.state,
        failed.error_reason,
        failed.error,
    ) == (JobState.FAILED, "BAD_PLANE", "Plane 3 is damaged.")
    assert await kiosk.store.list(f"jobs/{job.id}/parts/") == []
    assert await open_counts(kiosk) == (0, 0)


async def test_attempts_run_out(kiosk: FakeKiosk) -> None:
    job = await planned(kiosk)
    kiosk.inference.failures = [TransientError("Triton is away.")] * 9
    await kiosk.work()
    failed = await kiosk.queue.get(job.id)
    assert (failed.state, failed.error_reason) == (JobState.FAILED, "ATTEMPTS_EXHAUSTED")
    assert "Triton is away." in failed.error
    (letter,) = await kiosk.queue.dead_letters()
    assert (job.id, PartKind.PART, 3) == (letter.job_id, letter.kind, letter.attempts)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ZeroDivisionError("division by zero in /home/secret.py"), "(ZeroDivisionError)"),
        (MemoryError(), "not enough memory"),
        (KeyError("x"), "(KeyError)"),
    ],
)
async def test_surprise_is_told_in_a_sentence(
    kiosk: FakeKiosk, images: FakeImages, error: Exception, sentence: str
) -> None:
    """Tried again, and the user sees neither a traceback nor the inner text."""
    job = await planned(kiosk)
    images.plane_errors = [error] * 9
    await kiosk.work()
    failed = await kiosk.queue.get(job.id)
    assert failed.error_reason == "ATTEMPTS_EXHAUSTED"
    assert sentence in failed.error
    for leaked in ("Traceback", "secret.py", "\n"):
        assert leaked not in failed.error


async def test_surprise_that_goes_away_does_no_harm(kiosk: FakeKiosk, images: FakeImages) -> None:
    job = await planned(kiosk)
    images.plane_errors = [RuntimeError("once")]
    await kiosk.work()
    assert JobState.SUCCEEDED is await state(kiosk, job)


async def test_model_that_vanished_is_waited_for(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    cards, kiosk.inference.cards = kiosk.inference.cards, []
    await kiosk.consumer().work(await take(kiosk))
    assert JobState.RUNNING is await state(kiosk, job)
    kiosk.inference.cards = cards
    await kiosk.work()
    assert JobState.SUCCEEDED is await state(kiosk, job)


async def test_upload_that_vanished_fails_the_job(kiosk: FakeKiosk) -> None:
    job = await submitted(kiosk)
    await kiosk.store.delete_prefix("uploads/")
    await kiosk.work()
    assert (await kiosk.queue.get(job.id)).error_reason == "UPLOAD_GONE"


async def test_model_without_the_maps_it_should_give(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await planned(kiosk)

    async def odd(*_: object) -> dict[str, np.ndarray]:
        return {"foreground": np.zeros((1, 32, 32), np.uint8)}

    monkeypatch.setattr(kiosk.inference, "infer", odd)
    await kiosk.work()
    assert "'distance'" in (await kiosk.queue.get(job.id)).error


# ---------------------------------------------------------------- leases


async def test_lost_lease_cancels_the_work_and_says_nothing(
    images: FakeImages, now: list[float]
) -> None:
    inference = BlockingInference()
    queue = MemoryQueue(clock=lambda: now[0], lease_s=10.0)
    kiosk = make_kiosk(images, queue=queue, inference=inference)
    job = await planned(kiosk)
    old = await take(kiosk, "old")
    work = asyncio.create_task(kiosk.consumer(lease_s=0.03).work(old))
    await asyncio.wait_for(inference.asked.wait(), 10)
    now[0] += 10
    new = await take(kiosk, "new")
    await asyncio.wait_for(work, 10)  # ends by itself: renewing has failed
    assert inference.cancelled == 1
    assert old.part == new.part
    assert (await queue.get(job.id)).parts_done == 0
    await queue.complete(new)
    assert (await queue.get(job.id)).parts_done == 1


async def test_cancelled_job_stops_the_work(images: FakeImages, now: list[float]) -> None:
    inference = BlockingInference()
    kiosk = make_kiosk(images, queue=MemoryQueue(clock=lambda: now[0]), inference=inference)
    job = await planned(kiosk)
    work = asyncio.create_task(kiosk.consumer(lease_s=0.03).work(await take(kiosk)))
    await asyncio.wait_for(inference.asked.wait(), 10)
    await kiosk.service.cancel_job(job.id, caller=LOCAL)
    await asyncio.wait_for(work, 10)
    assert inference.cancelled == 1
    assert JobState.CANCELLED is await state(kiosk, job)
    assert await open_counts(kiosk) == (0, 0)


async def test_lease_is_renewed_while_the_work_goes_on(
    images: FakeImages, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    inference = BlockingInference()
    queue = MemoryQueue(clock=lambda: now[0])
    kiosk = make_kiosk(images, queue=queue, inference=inference)
    await planned(kiosk)
    renewed, renew = asyncio.Event(), queue.renew
    outages = [TransientError("Redis is away.")]

    async def watched(lease: Lease) -> None:
        if outages:
            raise outages.pop()
        await renew(lease)
        renewed.set()

    monkeypatch.setattr(queue, "renew", watched)
    work = asyncio.create_task(kiosk.consumer(lease_s=0.3).work(await take(kiosk)))
    await asyncio.wait_for(renewed.wait(), 10)
    inference.go_on.set()
    await asyncio.wait_for(work, 10)
    assert inference.cancelled == 0


async def test_outcome_is_reported_through_a_short_outage(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await planned(kiosk)
    complete, outages = kiosk.queue.complete, [TransientError("Redis is away.")] * 3

    async def flaky(lease: Lease) -> None:
        if outages:
            raise outages.pop()
        await complete(lease)

    monkeypatch.setattr(kiosk.queue, "complete", flaky)
    await kiosk.consumer().work(await take(kiosk))
    assert (await kiosk.queue.get(job.id)).parts_done == 1


async def test_lost_answer_of_the_queue_counts_once(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step was done, but the connection broke before the answer."""
    job = await planned(kiosk)
    complete, broken = kiosk.queue.complete, [True]

    async def breaking(lease: Lease) -> None:
        await complete(lease)
        if broken and broken.pop():
            raise TransientError("Redis is away.")

    monkeypatch.setattr(kiosk.queue, "complete", breaking)
    await kiosk.work()
    done = await kiosk.queue.get(job.id)
    assert (done.state, done.parts_done) == (JobState.SUCCEEDED, 3)


# ---------------------------------------------------------------- stopping


async def test_stop_lets_the_part_in_hand_finish(images: FakeImages, now: list[float]) -> None:
    inference = BlockingInference()
    kiosk = make_kiosk(images, queue=MemoryQueue(clock=lambda: now[0]), inference=inference)
    job = await planned(kiosk)
    consumer = kiosk.consumer(parts_in_flight=1, stop_grace_s=10.0)
    task = running(consumer)
    await asyncio.wait_for(inference.asked.wait(), 10)
    consumer.stop()
    inference.go_on.set()
    await asyncio.wait_for(task, 10)
    assert (await kiosk.queue.get(job.id)).parts_done == 1
    assert inference.cancelled == 0


async def test_stop_gives_late_parts_back_without_counting_the_attempt(
    images: FakeImages, now: list[float]
) -> None:
    inference = BlockingInference()
    kiosk = make_kiosk(images, queue=MemoryQueue(clock=lambda: now[0]), inference=inference)
    job = await planned(kiosk)
    consumer = kiosk.consumer(parts_in_flight=2, stop_grace_s=0.01)
    task = running(consumer)
    await asyncio.wait_for(inference.asked.wait(), 10)
    await stopped(consumer, task)
    found = {}
    for number in range(3):
        lease = await take(kiosk, f"other{number}")
        found[lease.part.index] = lease.attempt
    assert found == {0: 1, 1: 1, 2: 1}
    assert JobState.RUNNING is await state(kiosk, job)


async def test_stop_of_an_idle_consumer_is_quick(kiosk: FakeKiosk) -> None:
    consumer = kiosk.consumer()
    task = running(consumer)
    await asyncio.sleep(0)
    await stopped(consumer, task)


async def test_images_are_closed_at_the_end(kiosk: FakeKiosk, images: FakeImages) -> None:
    job = await submitted(kiosk)
    before = images.opened
    kiosk.queue._clock = asyncio.get_running_loop().time
    consumer = kiosk.consumer()
    task = running(consumer)
    await end_of(kiosk, job)
    await stopped(consumer, task)
    assert images.opened - before == images.closed == 1


async def test_hung_part_costs_an_attempt_and_the_consumer(
    images: FakeImages, now: list[float]
) -> None:
    """A thread that hangs cannot be killed, so the process has to be replaced."""
    inference = BlockingInference()
    kiosk = make_kiosk(
        images,
        queue=MemoryQueue(clock=lambda: now[0], retry_delay_s=0.0),
        inference=inference,
    )
    job = await planned(kiosk)
    consumer = kiosk.consumer(parts_in_flight=1, part_timeout_s=0.05)
    await asyncio.wait_for(running(consumer), 10)  # stops by itself
    assert consumer.has_hung_thread
    attempts = [(await take(kiosk, f"c{number}")).attempt for number in range(3)]
    assert sorted(attempts) == [1, 1, 2]
    assert JobState.RUNNING is await state(kiosk, job)


async def test_the_join_of_many_parts_may_take_longer(kiosk: FakeKiosk) -> None:
    """A slide has a thousand blocks, and its join goes through all of them."""
    job = await planned(kiosk)
    for _ in range(3):
        await kiosk.consumer().work(await take(kiosk))
    join = await take(kiosk)
    assert join.part.kind is PartKind.JOIN
    hasty = kiosk.consumer(part_timeout_s=0.0, join_part_timeout_s=20.0)
    await hasty.work(join)
    assert JobState.SUCCEEDED is await state(kiosk, job)


async def test_slots_outlive_a_failing_queue(
    kiosk: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an outage nor a surprise may leave a consumer that takes no part any more."""
    job = await submitted(kiosk)
    lease = kiosk.queue.lease
    troubles: list[Exception] = [TransientError("Redis is away."), ValueError("odd record")] * 3

    async def flaky(consumer: str, wait_s: float) -> Lease | None:
        if troubles:
            raise troubles.pop()
        return await lease(consumer, wait_s)

    monkeypatch.setattr(kiosk.queue, "lease", flaky)
    kiosk.queue._clock = asyncio.get_running_loop().time
    consumer = kiosk.consumer()
    task = running(consumer)
    assert JobState.SUCCEEDED is (await end_of(kiosk, job)).state
    await stopped(consumer, task)


# ---------------------------------------------------------------- several consumers


async def test_two_consumers_finish_a_job_exactly_once(
    images: FakeImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    kiosk = make_kiosk(images, queue=MemoryQueue())
    succeeded: list[str] = []
    succeed = kiosk.queue.succeed

    async def counted(lease: Lease, *rest: Any) -> None:
        await succeed(lease, *rest)
        succeeded.append(lease.consumer)

    monkeypatch.setattr(kiosk.queue, "succeed", counted)
    jobs = [await submitted(kiosk) for _ in range(4)]
    consumers = [kiosk.consumer(name) for name in ("one", "two")]
    tasks = [running(consumer) for consumer in consumers]
    for job in jobs:
        done = await end_of(kiosk, job)
        assert (done.state, done.parts_total, done.parts_done) == (JobState.SUCCEEDED, 3, 3)
        assert len(await kiosk.service.list_results(job.id, caller=LOCAL)) == 4
    for consumer, task in zip(consumers, tasks, strict=True):
        await stopped(consumer, task)
    assert len(succeeded) == 4
    assert await open_counts(kiosk) == (0, 0)


async def test_a_job_of_one_part_is_done_in_one_go(images: FakeImages) -> None:
    """Plan, part and join under one lease; notes and counts are those of any job."""
    kiosk = make_kiosk(images)
    images.frames = 1
    job = await submitted(kiosk)
    await kiosk.consumer().work(await take(kiosk))
    done = await kiosk.queue.get(job.id)
    assert (done.state, done.parts_total, done.parts_done) == (JobState.SUCCEEDED, 1, 1)
    assert "A guess." in done.notes
    assert len(await kiosk.service.list_results(job.id, caller=LOCAL)) == 4
    assert await kiosk.store.list(parts_prefix(job.id)) == []
    assert await open_counts(kiosk) == (0, 0)


async def test_late_consumer_cannot_spoil_the_result(kiosk: FakeKiosk, now: list[float]) -> None:
    """It wakes after its lease went to another, who has finished the job meanwhile."""
    job = await planned(kiosk)
    late = await take(kiosk, "late")
    now[0] += 31
    await kiosk.work()
    done = await kiosk.queue.get(job.id)
    await kiosk.consumer("late").work(late)
    with pytest.raises(LeaseLost):
        await kiosk.queue.complete(late)
    assert done == await kiosk.queue.get(job.id)


# ---------------------------------------------------------------- open images


async def opened_images(count: int, keep: int = 4) -> tuple[OpenImages, FakeImages]:
    store, images = MemoryStore(), FakeImages()
    for number in range(count):
        await store.put(f"uploads/u{number}/data", b"x")
    return OpenImages(store, images, keep), images


async def test_image_is_opened_once_and_the_oldest_is_closed() -> None:
    open_images, images = await opened_images(3, keep=2)
    for upload_id in ("u0", "u0", "u1", "u2", "u2"):
        async with open_images.use(upload_id, "f"):
            pass
    assert (images.opened, images.closed) == (3, 1)
    open_images.close()
    assert images.closed == 3


async def test_image_has_one_user_at_a_time() -> None:
    open_images, images = await opened_images(1)
    users = 0

    async def use() -> None:
        nonlocal users
        async with open_images.use("u0", "f"):
            users += 1
            assert users == 1
            await asyncio.sleep(0)
            users -= 1

    await asyncio.gather(*(use() for _ in range(5)))
    assert images.opened == 1


async def test_image_of_a_cancelled_user_is_used_by_nobody_else() -> None:
    """Its thread goes on reading: two threads at one file would mix up their pixels."""
    open_images, images = await opened_images(1)
    reading, go_on = threading.Event(), threading.Event()
    sources: list[ImageSource] = []

    def read() -> None:
        reading.set()
        go_on.wait(10)

    async def user() -> None:
        async with open_images.use("u0", "f") as source:
            sources.append(source)
            await asyncio.to_thread(read)

    async def next_user() -> None:
        async with open_images.use("u0", "f") as source:
            sources.append(source)

    first = asyncio.create_task(user())
    await asyncio.to_thread(reading.wait, 10)
    waiting = asyncio.create_task(next_user())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait_for(waiting, 10)
    go_on.set()
    assert sources[0] is not sources[1]
    assert images.opened == 2


async def test_failing_image_leaves_nothing_behind() -> None:
    open_images, images = await opened_images(1)
    images.open_errors = [InvalidRequest("It is damaged.")]
    with pytest.raises(InvalidRequest):
        async with open_images.use("u0", "f"):
            pass
    with pytest.raises(InvalidRequest, match="no longer there"):
        async with open_images.use("u9", "f"):
            pass
    async with open_images.use("u0", "f"):
        pass
    assert images.opened == 1

"""A consumer: leases parts, runs them, keeps their leases alive, reports how they ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from kiosk import lease_keeper
from kiosk.errors import (
    DISK_FULL,
    MODEL_NOT_LOADED,
    MODEL_SERVER_AWAY,
    STORE_AWAY,
    InvalidRequest,
    KioskError,
    LeaseLost,
    NotFound,
    Outage,
    PermanentError,
    TransientError,
)
from kiosk.job_ends import count_end, count_success
from kiosk.jobs import JobState, Lease, PartKind, results_prefix
from kiosk.lease_keeper import LeaseKeeper, Step
from kiosk.missing_models import MissingModels
from kiosk.models import NO_MODEL, ModelCard
from kiosk.observed_parts import ObservedPart, count_pixels, observed, step
from kiosk.outages import Outages
from kiosk.pipelines import PIPELINES
from kiosk.pipelines.context import JobContext, OpenImages, SegmentationOptions
from kiosk.pipelines.result_files import are_complete
from kiosk.ports import ImageFiles, InferenceClient, JobQueue, ObjectStore
from kiosk.scratch import check_scratch
from kiosk.slots import Slots
from kiosk.telemetry import SLOTS, STAGE_SECONDS

log = logging.getLogger(__name__)

LEASE_WAIT_S = 2.0
INTERNAL = "An internal error stopped this part ({}). The log of the consumer has the details."


class Consumer:
    """Works on up to `parts_in_flight` parts at a time until it is told to stop.

    Args:
        name: unique among all consumers; each slot adds its number.
        lease_s: as in the queue's policy; leases are renewed three times within it.
        part_timeout_s: a part that takes longer ends as a failed attempt. Its thread cannot be
            killed, so the consumer then stops too, and whoever supervises it starts a fresh one.
        join_part_timeout_s: so much longer may a join take for each part of its job.
        stop_grace_s: when told to stop, parts in hand get this long to finish.
    """

    def __init__(
        self,
        *,
        name: str,
        queue: JobQueue,
        store: ObjectStore,
        images: ImageFiles,
        inference: InferenceClient,
        options: SegmentationOptions,
        parts_in_flight: int = 2,
        lease_s: float = 30.0,
        part_timeout_s: float = 900.0,
        join_part_timeout_s: float = 10.0,
        stop_grace_s: float = 20.0,
    ) -> None:
        self._name = name
        self._queue = queue
        self._store = store
        self._images = OpenImages(store, images)
        self._inference = inference
        self._options = options
        self._parts_in_flight = parts_in_flight
        self._leases = LeaseKeeper(queue, store, lease_s)
        self._part_timeout_s = part_timeout_s
        self._join_part_timeout_s = join_part_timeout_s
        self._stop_grace_s = stop_grace_s
        self._slots = Slots()
        self._missing = MissingModels(inference)
        self._outages = Outages(
            {
                MODEL_SERVER_AWAY: inference.check,
                MODEL_NOT_LOADED: self._missing.check,
                STORE_AWAY: store.check,
                DISK_FULL: self._check_disks,
            }
        )
        self._stop = asyncio.Event()
        self.has_hung_thread = False

    async def _check_disks(self) -> None:
        await self._store.check()
        check_scratch()

    @property
    def is_waiting(self) -> bool:
        """Whether it takes no part because something is away."""
        return self._outages.is_any

    def stop(self) -> None:
        """Take no new part; `run` returns when the parts in hand are done or given back."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def parts_in_hand(self) -> int:
        """How many parts it is doing."""
        return self._leases.held

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Reasons of the outages because of which it takes no part."""
        return self._outages.reasons

    async def run(self) -> None:
        SLOTS.set(self._parts_in_flight)
        slots = [
            asyncio.create_task(self._slot(f"{self._name}-{number}"))
            for number in range(self._parts_in_flight)
        ]
        await self._stop.wait()
        self._outages.close()
        _, late = await asyncio.wait(slots, timeout=self._stop_grace_s)
        for slot in late:
            slot.cancel()
        await asyncio.gather(*slots, return_exceptions=True)
        self._outages.close()
        if not self.has_hung_thread:
            self._images.close()

    async def _slot(self, consumer: str) -> None:
        while not self._stop.is_set():
            await self._outages.over()
            async with self._slots.one():
                if self._stop.is_set() or self._outages.is_any:
                    continue
                lease = await self._leased(consumer)
                if lease is None:
                    continue
                await self._work_in_company(lease)

    async def _work_in_company(self, lease: Lease) -> None:
        """Do a part beside others; or alone, when it may have killed its consumer before."""
        if not lease.suspect and not self._slots.is_one_wanted_alone:
            await self.work(lease)
        elif self._slots.is_one_alone:
            async with self._slots.alone():
                await self.work(lease)
        else:
            # Given back until this consumer is empty: a part that only waits may not lose an
            # attempt to what is done beside it.
            await self._leases.report(lease, partial(self._queue.release, lease))
            if lease.suspect and not self._slots.is_one_wanted_alone:
                await self._work_alone(lease.consumer)

    async def _work_alone(self, consumer: str) -> None:
        """Do the next part, which should be the suspect one that was given back, alone."""
        async with self._slots.alone():
            if not self._stop.is_set():
                lease = await self._leased(consumer)
                if lease is not None:
                    await self.work(lease)

    async def _leased(self, consumer: str) -> Lease | None:
        try:
            return await self._queue.lease(consumer, LEASE_WAIT_S)
        except TransientError as error:
            log.warning("%s", error)
        except Exception:
            log.exception("no part could be leased")
        await asyncio.sleep(lease_keeper.RECONNECT_S)
        return None

    async def work(self, lease: Lease) -> None:
        """Do one leased part and report its outcome to the queue."""
        with observed(lease) as part:
            await self._work(lease, part)

    async def _work(self, lease: Lease, part: ObservedPart) -> None:
        work = asyncio.create_task(self._perform(lease))
        keeper = asyncio.create_task(self._leases.keep(lease, work))
        try:
            report, outcome = await self._outcome(lease, work)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await self._leases.report(lease, partial(self._queue.release, lease))
            raise
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
        if report is not None:
            await self._leases.report(lease, report)
        else:
            await self._leases.tidy(lease)
        part.outcome = outcome

    async def _outcome(self, lease: Lease, work: asyncio.Task[Step]) -> tuple[Step | None, str]:
        """Wait for the work; the step of the queue that ends the part, and its name."""
        job = lease.job.id
        try:
            done, _ = await asyncio.wait({work}, timeout=self._timeout_s(lease))
            if not done:
                return self._hung(lease, work), "hung"
            return work.result(), "done"
        except asyncio.CancelledError:
            if work.cancelled():  # by the keeper: the lease is gone
                log.info("job %s: part %d is no longer ours", job, lease.part.index)
                return None, "lost"
            raise
        except LeaseLost:
            return None, "lost"
        except (InvalidRequest, PermanentError) as error:
            log.info("job %s failed: %s", job, error.message)
            return partial(self._fail, lease, error.reason, error.message), "failed"
        except Outage as error:
            if error.reason != MODEL_NOT_LOADED or self._missing.missed(lease.job):
                self._outages.met(error)
            log.warning("job %s: put off: %s", job, error.message)
            return partial(self._queue.postpone, lease, error.message), "postponed"
        except KioskError as error:
            message = error.message
        except MemoryError:
            message = "There was not enough memory for this image."
        except Exception as error:
            log.exception("job %s: part %d: attempt %d", job, lease.part.index, lease.attempt)
            message = INTERNAL.format(type(error).__name__)
        log.warning("job %s: attempt %d: %s", job, lease.attempt, message)
        return partial(self._queue.retry, lease, message), "retried"

    def _hung(self, lease: Lease, work: asyncio.Task[Step]) -> Step:
        work.cancel()
        self.has_hung_thread = True
        self.stop()
        message = f"It took longer than {self._timeout_s(lease):g} seconds and was stopped."
        log.error("job %s: part %d: %s", lease.job.id, lease.part.index, message)
        return partial(self._queue.retry, lease, message)

    def _timeout_s(self, lease: Lease) -> float:
        """The join of a slide goes through all of its blocks."""
        if lease.part.kind is not PartKind.JOIN:
            return self._part_timeout_s
        return self._part_timeout_s + self._join_part_timeout_s * lease.job.parts_total

    async def _perform(self, lease: Lease) -> Step:
        """Run the part; returns the step of the queue that acknowledges it."""
        context = JobContext(
            job=lease.job,
            card=await self._card(lease),
            store=self._store,
            images=self._images,
            inference=self._inference,
            options=self._options,
        )
        pipeline = PIPELINES[lease.job.pipeline]
        started = time.perf_counter()
        if lease.part.kind is PartKind.PLAN:
            with step("plan"):
                parts, notes = await pipeline.plan(context)
            planning_s = time.perf_counter() - started
            STAGE_SECONDS.labels("planning").observe(planning_s)
            if len(parts) != 1:
                return partial(self._queue.planned, lease, parts, notes)
            # One part: nobody could do it sooner, so it is not sent through the queue.
            job = lease.job.evolve(parts_total=1, notes=tuple(notes))
            context = replace(context, job=job)
            await pipeline.run(context, parts[0])
            joining_s = await self._join(context)
            count_pixels(job)
            return partial(self._succeed, lease, 1, notes, planning_s, joining_s)
        if lease.part.kind is PartKind.PART:
            await pipeline.run(context, lease.part)
            count_pixels(lease.job)
            return partial(self._queue.complete, lease)
        return partial(self._succeed, lease, joining_s=await self._join(context))

    async def _join(self, context: JobContext) -> float:
        """Put the results together; returns how long it took."""
        started = time.perf_counter()
        with step("join"):
            await self._joined(context)
        return time.perf_counter() - started

    async def _joined(self, context: JobContext) -> None:
        try:
            await PIPELINES[context.job.pipeline].join(context)
        except NotFound:
            # Redis may have lost its last second: the job had succeeded, its parts are removed.
            if not await are_complete(context):
                raise
        # A power failure may not take results of a job that has succeeded.
        await self._store.flush(results_prefix(context.job.id))

    async def _card(self, lease: Lease) -> ModelCard:
        if not lease.job.model:
            return NO_MODEL
        for card in await self._inference.models():
            if card.name == lease.job.model and lease.job.model_version in card.versions:
                self._missing.found(lease.job)
                return card
        # It was there when the job was accepted; it may be loading again.
        raise Outage(
            f"Version {lease.job.model_version} of the model '{lease.job.model}' is not loaded"
            " at present.",
            reason=MODEL_NOT_LOADED,
        )

    async def _succeed(
        self,
        lease: Lease,
        parts: int = 0,
        notes: Sequence[str] = (),
        planning_s: float = 0.0,
        joining_s: float = 0.0,
    ) -> None:
        await self._queue.succeed(lease, parts, notes)
        await count_success(self._queue, lease.job, planning_s=planning_s, joining_s=joining_s)
        await self._leases.clean(lease)

    async def _fail(self, lease: Lease, reason: str, message: str) -> None:
        await self._queue.fail(lease, reason, message)
        count_end(lease.job.evolve(state=JobState.FAILED))
        await self._leases.clean(lease)

"""`ports.JobQueue` in memory, on a clock that the test moves; it decides exactly as Redis does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any

from kiosk.errors import (
    AlreadyExists,
    LeaseLost,
    NotFound,
    Overloaded,
    WrongState,
)
from kiosk.jobs import (
    JOIN_INDEX,
    PLAN_INDEX,
    DeadLetter,
    Job,
    JobEvent,
    JobState,
    Lease,
    Part,
    PartKind,
    Priority,
    Stage,
    page_token,
)
from kiosk.ports import Backlog
from kiosk.queue_policy import LITTER_LEASES, LONGEST_DELAY_S, QueuePolicy
from kiosk.testing.memory_pace import MemoryPace
from kiosk.testing.memory_record import HeldLease, MemoryRecord
from kiosk.testing.memory_turns import MemoryTurns

STOPPED = (
    "The consumer stopped without a word, each time. The image may need more memory than there is."
)
ASKED = ("pipeline", "upload_id", "file_name", "model", "model_version", "parameters")
# What else a new beginning keeps of a job.
KEPT = (
    *("id", "owner", "request_id", "priority"),
    *("work_px", "trace", "create_time_s", "expire_time_s"),
)


class MemoryQueue:
    """`ports.JobQueue` in memory, on a clock that the test moves.

    Args:
        clock: gives seconds; the time of the event loop by default.
        longest_tick_s: the queue's own clock moves on by no more than this from one step to the
            next. Redis has five seconds; tests that jump ahead to let a lease run out need more.
        policy: the fields of QueuePolicy.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] | None = None,
        longest_tick_s: float = math.inf,
        **policy: Any,
    ) -> None:
        self._policy = QueuePolicy(**policy)
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._longest_tick_s = longest_tick_s
        self._seen_s: float | None = None
        self._ticked_s = 0.0
        self._records: dict[str, MemoryRecord] = {}
        self._requests: dict[tuple[str, str], tuple[str, Job]] = {}
        self._turns = MemoryTurns(self._is_capped)
        self._pace = MemoryPace()
        self._held: dict[str, HeldLease] = {}
        self._delayed: list[tuple[float, str, int]] = []
        self._litter: dict[str, float] = {}
        self._changed = asyncio.Condition()

    # ------------------------------------------------------------------ submitting

    async def submit(self, job: Job) -> Job:
        known = self._known(job)
        if known is not None:
            return known
        if job.id in self._records:
            return self._records[job.id].job
        open_jobs = [record.job for record in self._records.values() if record.is_open]
        own = sum(other.owner == job.owner for other in open_jobs)
        policy = self._policy
        if len(open_jobs) >= policy.open_jobs or self._parts() >= policy.open_parts:
            raise Overloaded("This kiosk has as much work waiting as it takes.")
        if own >= policy.owner_open_jobs:
            raise Overloaded(f"You have {policy.owner_open_jobs} unfinished jobs already.")
        few = own < policy.interactive_jobs
        now = self._clock()
        job = job.evolve(
            create_time_s=now,
            expire_time_s=now + policy.kept_s(job),
            priority=job.priority or (Priority.INTERACTIVE if few else Priority.BATCH),
        )
        record = self._records[job.id] = MemoryRecord(job=job, open_parts=1)
        record.parts[PLAN_INDEX] = Part(job_id=job.id, kind=PartKind.PLAN, index=PLAN_INDEX)
        if job.request_id:
            self._requests[job.owner, job.request_id] = (job.id, job)
        self._offer(record)
        await self._event(record)
        return job

    def _known(self, job: Job) -> Job | None:
        before = self._requests.get((job.owner, job.request_id)) if job.request_id else None
        if before is None or before[0] not in self._records:
            return None
        job_id, request = before
        if any(getattr(request, name) != getattr(job, name) for name in ASKED):
            raise AlreadyExists(f"The request id '{job.request_id}' was used before.")
        return self._records[job_id].job

    # ------------------------------------------------------------------ consuming

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        deadline = self._clock() + wait_s
        while True:
            lease = await self._hand_out(consumer)
            if lease is not None:
                return lease
            remaining = deadline - self._clock()
            if remaining <= 0:
                return None
            try:
                async with asyncio.timeout(min(remaining, 0.05)), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def _hand_out(self, consumer: str) -> Lease | None:
        now = self._tick()
        self._wake(now)
        for held in self._held.values():
            if held.lease.consumer == consumer:
                return replace(held.lease, job=self._records[held.lease.job.id].job)
        while (priority := self._turns.waiting()) is not None:
            lease = await self._look(priority, consumer, now)
            if lease is not None:
                return lease
        return None

    def _tick(self) -> float:
        now = self._clock()
        if self._seen_s is None:
            self._ticked_s = now
        else:
            self._ticked_s += max(0.0, min(now - self._seen_s, self._longest_tick_s))
        self._seen_s = now
        return self._ticked_s

    def _wake(self, now: float) -> None:
        """Parts whose delay is over, and before them those whose consumer is gone."""
        due = sorted(item for item in self._delayed if item[0] <= now)
        self._delayed = [item for item in self._delayed if item[0] > now]
        for _, job_id, index in due:
            self._records[job_id].again.append(index)
            self._offer(self._records[job_id])
        late = [(h.until_s, token) for token, h in self._held.items() if h.until_s <= now]
        for _, token in sorted(late):
            part = self._held.pop(token).lease.part
            record = self._records[part.job_id]
            record.suspects.add(part.index)
            record.again.appendleft(part.index)
            self._offer(record)

    def _is_capped(self, owner: str) -> bool:
        busy = sum(held.lease.job.owner == owner for held in self._held.values())
        return 0 < self._policy.owner_parts <= busy

    async def _look(self, priority: Priority, consumer: str, now: float) -> Lease | None:
        record = self._records.get(self._turns.next(priority))
        if record is None or not record.is_open:
            return None
        record.is_listed = False
        index = await self._next_index(record)
        attempt = await self._begin(record, index)
        if index is None or attempt is None:
            self._offer(record)
            return None
        self._turns.taken(record.job)
        lease = Lease(
            job=record.job,
            part=record.parts[index],
            consumer=consumer,
            token=f"{record.job.id}/{index}/{self._turns.count}/{consumer}",
            attempt=attempt,
            suspect=index in record.suspects,
        )
        self._held[lease.token] = HeldLease(lease, now, now + self._policy.lease_s)
        self._offer(record)
        return lease

    async def _next_index(self, record: MemoryRecord) -> int | None:
        if record.job.state is JobState.QUEUED:
            record.job = record.job.evolve(
                state=JobState.RUNNING, stage=Stage.PLANNING, start_time_s=self._clock()
            )
            await self._event(record)
            return PLAN_INDEX
        if record.again:
            return record.again.popleft()
        if record.next >= record.job.parts_total:
            return None
        record.next += 1
        return record.next - 1

    async def _begin(self, record: MemoryRecord, index: int | None) -> int | None:
        """The number of the attempt, or None when there is nothing to do (any more)."""
        if index is None or index in record.done:
            return None
        attempt = record.attempts.get(index, 0) + 1
        record.attempts[index] = attempt
        if attempt <= self._policy.attempts:
            return attempt
        await self._give_up(record, index, self._policy.attempts, STOPPED)
        return None

    def _offer(self, record: MemoryRecord) -> None:
        """List a job among those of its owner, if it has something and room in its window."""
        out = sum(held.lease.job.id == record.job.id for held in self._held.values())
        if record.is_listed or not record.has_more or out >= self._policy.window_parts:
            return
        record.is_listed = True
        self._turns.add(record.job)

    async def renew(self, lease: Lease) -> None:
        if lease.token not in self._held:
            raise LeaseLost("The part is no longer ours.")
        self._held[lease.token].until_s = self._tick() + self._policy.lease_s

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        record = self._end(lease, lambda _: 0)
        record.parts.update({part.index: part for part in parts})
        record.parts[JOIN_INDEX] = Part(job_id=record.job.id, kind=PartKind.JOIN, index=JOIN_INDEX)
        record.open_parts += len(parts)
        record.attempts.clear()
        record.suspects.clear()
        record.outages.clear()
        record.job = record.job.evolve(
            stage=Stage.PARTS, parts_total=len(parts), notes=tuple(notes), waiting_for=""
        )
        if not parts:
            record.job = record.job.evolve(stage=Stage.JOINING)
            record.again.append(JOIN_INDEX)
        self._offer(record)
        await self._event(record)

    async def complete(self, lease: Lease) -> None:
        index = lease.part.index
        record = self._end(lease, lambda r: r.share_px)
        record.attempts.pop(index, None)
        record.suspects.discard(index)
        record.outages.pop(index, None)
        record.job = record.job.evolve(waiting_for="")
        if index not in record.done:
            record.done.add(index)
            record.open_parts -= 1
            record.job = record.job.evolve(parts_done=record.job.parts_done + 1)
            if record.job.parts_done == record.job.parts_total:
                record.job = record.job.evolve(stage=Stage.JOINING)
                record.again.append(JOIN_INDEX)
        self._offer(record)
        await self._event(record)

    async def succeed(self, lease: Lease, parts: int = 0, notes: Sequence[str] = ()) -> None:
        record = self._end(lease, lambda r: r.left_px)
        if parts:
            record.job = record.job.evolve(parts_total=parts, parts_done=parts)
        if notes:
            record.job = record.job.evolve(notes=tuple(notes))
        await self._close(record, JobState.SUCCEEDED)

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        await self._close(self._end(lease), JobState.FAILED, reason, message)

    async def retry(self, lease: Lease, reason: str) -> None:
        record = self._end(lease)
        await self._later(record, lease.part.index, record.attempts[lease.part.index], reason)

    async def postpone(self, lease: Lease, reason: str) -> None:
        record, index = self._end(lease), lease.part.index
        times = record.attempts[index]
        record.outages[index] = record.outages.get(index, 0) + 1
        if record.outages[index] < self._policy.outages:
            record.attempts[index] -= 1
            times = record.outages[index]
        record.job = record.job.evolve(waiting_for=reason)
        await self._later(record, index, times, reason)

    async def _later(self, record: MemoryRecord, index: int, times: int, reason: str) -> None:
        if record.attempts[index] >= self._policy.attempts:
            await self._give_up(record, index, record.attempts[index], reason)
            return
        delay_s = min(self._policy.retry_delay_s * 2 ** (times - 1), LONGEST_DELAY_S)
        self._delayed.append((self._tick() + delay_s, record.job.id, index))
        self._offer(record)
        await self._event(record)

    async def release(self, lease: Lease) -> None:
        record = self._end(lease)
        record.attempts[lease.part.index] -= 1
        record.again.appendleft(lease.part.index)
        self._offer(record)
        await self._notify()

    # ------------------------------------------------------------------ reading and steering

    async def get(self, job_id: str) -> Job:
        return self._record(job_id).job

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        jobs = sorted(
            (r.job for r in self._records.values() if owner is None or r.job.owner == owner),
            key=lambda job: (round(job.create_time_s * 1000), job.id),
            reverse=True,
        )
        if before:
            time_ms, _, job_id = before.partition("-")
            last = (int(time_ms), job_id)
            jobs = [j for j in jobs if (round(j.create_time_s * 1000), j.id) < last]
        page = jobs[:limit]
        return page, page_token(page[-1]) if len(jobs) > limit else ""

    async def jobs_ahead(self, job_id: str) -> int | None:
        record = self._record(job_id)
        if record.job.state is not JobState.QUEUED:
            return None
        return self._turns.ahead(record.job)

    async def cancel(self, job_id: str) -> Job:
        record = self._record(job_id)
        if record.is_open:
            await self._close(record, JobState.CANCELLED)
        return record.job

    async def delete(self, job_id: str) -> None:
        if self._record(job_id).is_open:
            raise WrongState(f"Job '{job_id}' is not finished.")
        del self._records[job_id]
        await self._notify()

    async def extend(self, job_id: str, expire_time_s: float) -> Job:
        record = self._record(job_id)
        record.job = record.job.evolve(expire_time_s=expire_time_s)
        await self._event(record)
        return record.job

    async def redrive(self, job_id: str) -> Job:
        record = self._record(job_id)
        if record.job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise WrongState("Only a job that has failed or was cancelled can be begun anew.")
        if job_id in self._litter:
            raise WrongState("What it left is still being removed.", reason="STILL_CLEANING")
        self._turns.remove(record.job)
        job = Job(**{name: getattr(record.job, name) for name in (*ASKED, *KEPT)})
        new = self._records[job_id] = MemoryRecord(job=job, open_parts=1, version=record.version)
        new.parts[PLAN_INDEX] = Part(job_id=job_id, kind=PartKind.PLAN, index=PLAN_INDEX)
        self._offer(new)
        await self._event(new)
        return job

    async def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        seen = int(after) if after else 0
        while True:
            record = self._record(job_id)
            job, version = record.job, record.version
            if version > seen or job.state.is_final:
                yield JobEvent(id=str(version), job=job)
            if job.state.is_final:
                return
            seen = version
            async with self._changed:
                if self._records.get(job_id) is record and record.version <= seen:
                    await self._changed.wait()

    async def expired(self) -> list[str]:
        now = self._clock()
        return [key for key, record in self._records.items() if record.job.expire_time_s <= now]

    async def litter(self) -> list[str]:
        now = self._tick()
        due = [job_id for job_id, time_s in self._litter.items() if time_s <= now]
        self._litter.update(dict.fromkeys(due, now + LITTER_LEASES * self._policy.lease_s))
        return due

    async def cleaned(self, job_id: str) -> None:
        self._litter.pop(job_id, None)

    async def backlog(self) -> Backlog:
        now = self._tick()
        open_records = [record for record in self._records.values() if record.is_open]
        heads = [self._records[key].job for key in self._turns.heads() if key in self._records]
        waits_s = [self._clock() - job.create_time_s for job in heads if not job.state.is_final]
        return Backlog(
            parts=self._parts(),
            jobs=len(open_records),
            leased=len(self._held),
            oldest_s=max([0.0, *waits_s]),
            models=self._pace.loads(open_records, now),
        )

    async def dead_letters(self, limit: int = 100, owner: str | None = None) -> list[DeadLetter]:
        letters = [record.dead for record in self._records.values() if record.dead]
        own = [letter for letter in letters if owner is None or letter.owner == owner]
        return sorted(own, key=lambda x: (x.time_s, x.job_id), reverse=True)[:limit]

    # ------------------------------------------------------------------ inner

    def _record(self, job_id: str) -> MemoryRecord:
        if job_id not in self._records:
            raise NotFound(f"There is no job '{job_id}'.")
        return self._records[job_id]

    def _parts(self) -> int:
        return sum(record.open_parts for record in self._records.values() if record.is_open)

    def _end(
        self, lease: Lease, done_px: Callable[[MemoryRecord], int] | None = None
    ) -> MemoryRecord:
        """Take the part off the list of leases, if it is still this consumer's.

        Args:
            done_px: where it ended well, how many pixels that were.
        """
        held = self._held.pop(lease.token, None)
        if held is None:
            raise LeaseLost("The part is no longer ours.")
        record = self._records[lease.part.job_id]
        if done_px is not None and record.job.work_px > 0:
            now = self._tick()
            self._pace.count(record.job, done_px(record), now - held.begin_s, now)
        return record

    async def _close(
        self, record: MemoryRecord, state: JobState, reason: str = "", message: str = ""
    ) -> None:
        job_id = record.job.id
        self._held = {t: h for t, h in self._held.items() if h.lease.job.id != job_id}
        self._delayed = [item for item in self._delayed if item[1] != job_id]
        if record.job.state is JobState.RUNNING:
            self._litter[job_id] = self._tick() + LITTER_LEASES * self._policy.lease_s
        record.open_parts = 0
        record.job = record.job.evolve(
            state=state,
            stage=Stage.FINISHED,
            end_time_s=self._clock(),
            error=message,
            error_reason=reason,
            waiting_for="",
        )
        await self._event(record)

    async def _give_up(self, record: MemoryRecord, index: int, attempts: int, reason: str) -> None:
        record.dead = DeadLetter(
            job_id=record.job.id,
            owner=record.job.owner,
            file_name=record.job.file_name,
            part_index=index,
            kind=record.parts[index].kind,
            attempts=attempts,
            reason=reason,
            time_s=self._clock(),
        )
        message = (
            f"This job was given up after {attempts} attempts. The last one ended with: {reason}"
        )
        await self._close(record, JobState.FAILED, "ATTEMPTS_EXHAUSTED", message)

    async def _event(self, record: MemoryRecord) -> None:
        record.version += 1
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

"""`ports.JobQueue` in memory, on a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

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
    Stage,
)
from kiosk.ports import Backlog

OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass
class _Record:
    """A job and what the queue knows of its parts."""

    job: Job
    parts: dict[int, Part] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    released: int = 0
    open_parts: int = 0
    events: list[JobEvent] = field(default_factory=list)


@dataclass
class _Held:
    consumer: str
    job_id: str
    index: int
    until_s: float


class MemoryQueue:
    """`ports.JobQueue` in memory, on a clock that the test moves (`clock` gives seconds)."""

    def __init__(
        self,
        *,
        lease_s: float = 30.0,
        attempts: int = 3,
        retry_delay_s: float = 1.0,
        window_parts: int = 16,
        open_jobs: int = 10_000,
        retention_s: float = 7 * 24 * 3600.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._lease_s, self._most, self._delay_s = lease_s, attempts, retry_delay_s
        self._window, self._open_jobs, self._retention_s = window_parts, open_jobs, retention_s
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._records: dict[str, _Record] = {}
        self._requests: dict[str, tuple[str, Job]] = {}
        self._waiting: deque[tuple[str, int]] = deque()
        self._delayed: list[tuple[float, str, int]] = []
        self._held: dict[str, _Held] = {}
        self._dead: list[DeadLetter] = []
        self._serial = 0
        self._changed = asyncio.Condition()

    # ------------------------------------------------------------------ submitting

    async def submit(self, job: Job) -> Job:
        known = self._known(job)
        if known is not None:
            return known
        if job.id in self._records:
            return self._records[job.id].job
        if sum(r.job.state in OPEN for r in self._records.values()) >= self._open_jobs:
            raise Overloaded(f"There are {self._open_jobs} unfinished jobs already.")
        now = self._clock()
        job = job.evolve(create_time_s=now, expire_time_s=now + self._retention_s)
        record = self._records[job.id] = _Record(job=job, open_parts=1)
        record.parts[PLAN_INDEX] = Part(job_id=job.id, kind=PartKind.PLAN, index=PLAN_INDEX)
        if job.request_id:
            self._requests[f"{job.owner}:{job.request_id}"] = (job.id, job)
        self._waiting.append((job.id, PLAN_INDEX))
        await self._event(record)
        return job

    def _known(self, job: Job) -> Job | None:
        before = self._requests.get(f"{job.owner}:{job.request_id}") if job.request_id else None
        if before is None:
            return None
        job_id, request = before
        same = ("pipeline", "upload_id", "file_name", "model", "model_version", "parameters")
        if any(getattr(request, name) != getattr(job, name) for name in same):
            raise AlreadyExists(f"The request id '{job.request_id}' was used before.")
        return self._records[job_id].job if job_id in self._records else None

    # ------------------------------------------------------------------ consuming

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        deadline = self._clock() + wait_s
        while True:
            taken = self._take(consumer)
            if taken is not None:
                lease = await self._begin(*taken)
                if lease is not None:
                    return lease
                continue  # a part of a closed job; the next one may be for us
            remaining = deadline - self._clock()
            if remaining <= 0:
                return None
            try:
                async with asyncio.timeout(min(remaining, 0.05)), self._changed:
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _take(self, consumer: str) -> tuple[str, _Held] | None:
        now = self._clock()
        due = [item for item in self._delayed if item[0] <= now]
        self._delayed = [item for item in self._delayed if item[0] > now]
        self._waiting.extend((job_id, index) for _, job_id, index in sorted(due))
        for token, held in self._held.items():
            if held.until_s <= now:
                held.consumer, held.until_s = consumer, now + self._lease_s
                return token, held
        if not self._waiting:
            return None
        job_id, index = self._waiting.popleft()
        self._serial += 1
        held = _Held(consumer, job_id, index, now + self._lease_s)
        self._held[str(self._serial)] = held
        return str(self._serial), held

    async def _begin(self, token: str, held: _Held) -> Lease | None:
        record = self._records.get(held.job_id)
        if record is None or record.job.state not in OPEN or held.index in record.done:
            del self._held[token]
            return None
        attempt = record.attempts.get(held.index, 0) + 1
        record.attempts[held.index] = attempt
        if attempt > self._most:
            del self._held[token]
            await self._give_up(record, held.index, self._most, "The consumer stopped.")
            return None
        if record.job.state is JobState.QUEUED:
            record.job = record.job.evolve(
                state=JobState.RUNNING, stage=Stage.PLANNING, start_time_s=self._clock()
            )
            await self._event(record)
        return Lease(
            job=record.job,
            part=record.parts[held.index],
            consumer=held.consumer,
            token=token,
            attempt=attempt,
        )

    async def renew(self, lease: Lease) -> None:
        held = self._held.get(lease.token)
        if held is None or held.consumer != lease.consumer:
            raise LeaseLost("The part is no longer ours.")
        record = self._records.get(held.job_id)
        if record is None or record.job.state not in OPEN:
            del self._held[lease.token]
            raise LeaseLost("The job is closed.")
        held.until_s = self._clock() + self._lease_s

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        record = self._end(lease)
        record.parts.update({part.index: part for part in parts})
        record.parts[JOIN_INDEX] = Part(job_id=record.job.id, kind=PartKind.JOIN, index=JOIN_INDEX)
        record.open_parts += len(parts)
        record.released = min(self._window, len(parts))
        record.job = record.job.evolve(
            stage=Stage.PARTS, parts_total=len(parts), notes=tuple(notes)
        )
        self._waiting.extend((record.job.id, index) for index in range(record.released))
        if not parts:
            record.job = record.job.evolve(stage=Stage.JOINING)
            self._waiting.append((record.job.id, JOIN_INDEX))
        await self._event(record)

    async def complete(self, lease: Lease) -> None:
        record = self._end(lease)
        if lease.part.index in record.done:
            return
        record.done.add(lease.part.index)
        record.open_parts -= 1
        record.job = record.job.evolve(parts_done=record.job.parts_done + 1)
        if record.released < record.job.parts_total:
            self._waiting.append((record.job.id, record.released))
            record.released += 1
        if record.job.parts_done == record.job.parts_total:
            record.job = record.job.evolve(stage=Stage.JOINING)
            self._waiting.append((record.job.id, JOIN_INDEX))
        await self._event(record)

    async def succeed(self, lease: Lease) -> None:
        await self._close(self._end(lease), JobState.SUCCEEDED)

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        await self._close(self._end(lease), JobState.FAILED, reason, message)

    async def retry(self, lease: Lease, reason: str) -> None:
        record = self._end(lease)
        attempts = record.attempts[lease.part.index]
        if attempts >= self._most:
            await self._give_up(record, lease.part.index, attempts, reason)
            return
        due = self._clock() + self._delay_s * 2 ** (attempts - 1)
        self._delayed.append((due, record.job.id, lease.part.index))

    async def release(self, lease: Lease) -> None:
        record = self._end(lease)
        record.attempts[lease.part.index] -= 1
        self._waiting.append((record.job.id, lease.part.index))
        await self._notify()

    # ------------------------------------------------------------------ reading and steering

    async def get(self, job_id: str) -> Job:
        if job_id not in self._records:
            raise NotFound(f"There is no job '{job_id}'.")
        return self._records[job_id].job

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        jobs = sorted(
            (r.job for r in self._records.values() if owner in (None, r.job.owner)),
            key=lambda job: (int(job.create_time_s * 1000), job.id),
            reverse=True,
        )
        if before:
            time_ms, _, job_id = before.partition("-")
            last = (int(time_ms), job_id)
            jobs = [j for j in jobs if (int(j.create_time_s * 1000), j.id) < last]
        page = jobs[:limit]
        more = len(jobs) > limit
        token = f"{int(page[-1].create_time_s * 1000)}-{page[-1].id}" if more else ""
        return page, token

    async def cancel(self, job_id: str) -> Job:
        job = await self.get(job_id)
        if job.state in OPEN:
            await self._close(self._records[job_id], JobState.CANCELLED)
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        if (await self.get(job_id)).state in OPEN:
            raise WrongState(f"Job '{job_id}' is not finished.")
        del self._records[job_id]

    async def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        await self.get(job_id)
        last = (
            int(after.split("-", maxsplit=1)[0]) if after else len(self._records[job_id].events) - 1
        )
        while True:
            record = self._records.get(job_id)
            if record is None:
                raise NotFound(f"There is no job '{job_id}'.")
            for event in record.events[last:]:
                yield event
                last += 1
                if event.job.state.is_final:
                    return
            if record.job.state.is_final:
                yield JobEvent(id=f"{last}-0", job=record.job)
                return
            async with self._changed:
                await self._changed.wait()

    async def expired(self) -> list[str]:
        now = self._clock()
        return [key for key, record in self._records.items() if record.job.expire_time_s <= now]

    async def backlog(self) -> Backlog:
        open_records = [r for r in self._records.values() if r.job.state in OPEN]
        return Backlog(parts=sum(r.open_parts for r in open_records), jobs=len(open_records))

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        return self._dead[::-1][:limit]

    # ------------------------------------------------------------------ inner

    def _end(self, lease: Lease) -> _Record:
        """Take the part off the list of leases, if it is still this consumer's."""
        held = self._held.get(lease.token)
        if held is None or held.consumer != lease.consumer:
            raise LeaseLost("The part is no longer ours.")
        del self._held[lease.token]
        record = self._records.get(held.job_id)
        if record is None or record.job.state not in OPEN:
            raise LeaseLost("The job is closed.")
        return record

    async def _close(
        self, record: _Record, state: JobState, reason: str = "", message: str = ""
    ) -> None:
        record.open_parts = 0
        record.job = record.job.evolve(
            state=state,
            stage=Stage.FINISHED,
            end_time_s=self._clock(),
            error=message,
            error_reason=reason,
        )
        await self._event(record)

    async def _give_up(self, record: _Record, index: int, attempts: int, reason: str) -> None:
        letter = DeadLetter(
            job_id=record.job.id,
            part_index=index,
            kind=record.parts[index].kind,
            attempts=attempts,
            reason=reason,
            time_s=self._clock(),
        )
        self._dead.append(letter)
        message = f"This job was given up after {attempts} attempts. {reason}"
        await self._close(record, JobState.FAILED, "ATTEMPTS_EXHAUSTED", message)

    async def _event(self, record: _Record) -> None:
        record.events.append(JobEvent(id=f"{len(record.events) + 1}-0", job=record.job))
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

"""The job queue on Redis Streams: one Lua script per transition, so every step is atomic.

A part is an entry of one stream; the consumer group's pending list is the list of leases. A
lease is kept by claiming the entry anew (its idle time restarts) and runs out when nobody does.
The keys are described in `lua/_common.lua`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import redis.asyncio as redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kiosk.errors import AlreadyExists, LeaseLost, NotFound, Overloaded, TransientError, WrongState
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

GROUP = "consumers"
WATCH_WAIT_MS = 5_000
# Blocking reads last a few seconds; an answer later than this means a dead connection.
SOCKET_TIMEOUT_S = 30.0
IDLE_CONSUMER_MS = 3_600_000


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """The numbers that decide how parts are handed out; see settings.QueueSettings."""

    lease_s: float = 30.0
    attempts: int = 3
    retry_delay_s: float = 1.0
    window_parts: int = 16
    open_jobs: int = 10_000
    retention_s: float = 7 * 24 * 3600.0


class RedisQueue:
    """`ports.JobQueue` over one Redis server (6.2 or newer)."""

    def __init__(self, url: str, policy: QueuePolicy, prefix: str = "{kiosk}") -> None:
        # Any: redis-py's types allow bytes and None everywhere, which decode_responses rules out.
        self._redis: Any = redis.Redis.from_url(
            url, decode_responses=True, socket_timeout=SOCKET_TIMEOUT_S, health_check_interval=15
        )
        self._policy = policy
        self._prefix = prefix
        self._parts = f"{prefix}:parts"
        self._scripts = {
            name: self._redis.register_script(source) for name, source in script_sources().items()
        }

    async def close(self) -> None:
        await self._redis.aclose()

    async def prepare(self) -> None:
        """Make the consumer group; harmless when it is there."""
        async with _translated():
            try:
                # From the very beginning: parts queued before the first consumer count too.
                await self._redis.xgroup_create(self._parts, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    # ------------------------------------------------------------------ submitting

    async def submit(self, job: Job) -> Job:
        request = f"{job.owner}:{job.request_id}" if job.request_id else ""
        fields = {
            "pipeline": job.pipeline,
            "upload_id": job.upload_id,
            "file_name": job.file_name,
            "model": job.model,
            "model_version": job.model_version,
            "parameters": json.dumps(job.parameters, sort_keys=True),
            "owner": job.owner,
            "request_id": job.request_id,
        }
        fingerprint = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
        verdict, job_id = await self._run(
            "submit",
            job.id,
            request,
            fingerprint,
            self._policy.open_jobs,
            round(self._policy.retention_s * 1000),
            *(text for pair in fields.items() for text in pair),
        )
        if verdict == "conflict":
            raise AlreadyExists(
                f"The request id '{job.request_id}' was used before for another request (job"
                f" {job_id}). Use a new id for a new request.",
                field="request_id",
            )
        if verdict == "full":
            raise Overloaded(
                f"There are {self._policy.open_jobs} unfinished jobs already. Try again later."
            )
        return await self.get(job_id)

    # ------------------------------------------------------------------ consuming

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        begun = None
        while not begun:  # an entry of a closed job is dropped, and the next one may be for us
            entry = await self._run("reclaim", consumer, round(self._policy.lease_s * 1000))
            entry = entry or await self._read(consumer, wait_s)
            if not entry:
                return None
            begun = await self._run("begin", consumer, entry, self._policy.attempts)
        record, index, payload, attempt = begun
        job = _job(_pairs(record))
        part = Part(
            job_id=job.id, kind=_kind(int(index)), index=int(index), payload=json.loads(payload)
        )
        return Lease(job=job, part=part, consumer=consumer, token=entry, attempt=int(attempt))

    async def _read(self, consumer: str, wait_s: float) -> str | None:
        async with _translated():
            try:
                # None: do not block (Redis takes 0 for "for ever" and rounds up to 100 ms)
                answer = await self._redis.xreadgroup(
                    GROUP, consumer, {self._parts: ">"}, 1, block=round(wait_s * 1000) or None
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self.prepare()  # Redis was emptied under us
                return None
        if not answer:
            return None
        streams = answer.values() if isinstance(answer, dict) else [item[1] for item in answer]
        entries = next(iter(streams))
        if entries and isinstance(entries[0], list):  # RESP3 wraps the entries once more
            entries = entries[0]
        return str(entries[0][0]) if entries else None

    async def renew(self, lease: Lease) -> None:
        await self._with_lease("renew", lease)

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        payloads = [json.dumps(part.payload) for part in parts]
        window = self._policy.window_parts
        await self._with_lease("planned", lease, window, json.dumps(list(notes)), *payloads)

    async def complete(self, lease: Lease) -> None:
        await self._with_lease("complete", lease)

    async def succeed(self, lease: Lease) -> None:
        await self._with_lease("finish", lease, JobState.SUCCEEDED.value, "", "")

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        await self._with_lease("finish", lease, JobState.FAILED.value, reason, message)

    async def retry(self, lease: Lease, reason: str) -> None:
        delay_ms = round(self._policy.retry_delay_s * 1000)
        await self._with_lease("retry", lease, self._policy.attempts, delay_ms, reason)

    async def release(self, lease: Lease) -> None:
        await self._with_lease("release", lease)

    # ------------------------------------------------------------------ reading and steering

    async def get(self, job_id: str) -> Job:
        _check_id(job_id)
        async with _translated():
            record = await self._redis.hgetall(self._job_key(job_id))
        if not record:
            raise NotFound(f"There is no job '{job_id}'. It may have expired or been deleted.")
        return _job(record)

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        if owner is None:
            return await self._page(limit, before)
        found: list[Job] = []
        while True:  # one by one: the token then always names the last job that was looked at
            page, before = await self._page(1, before)
            found += [job for job in page if job.owner == owner]
            if len(found) == limit or not before:
                return found, before

    async def _page(self, limit: int, before: str) -> tuple[list[Job], str]:
        ids = await self._ids_before(limit + 1, before)
        async with _translated(), self._redis.pipeline(transaction=False) as pipe:
            for _, job_id in ids[:limit]:
                pipe.hgetall(self._job_key(job_id))
            records = await pipe.execute()
        more = f"{ids[limit - 1][0]}-{ids[limit - 1][1]}" if len(ids) > limit else ""
        return [_job(record) for record in records if record], more

    async def _ids_before(self, count: int, before: str) -> list[tuple[int, str]]:
        """(creation time in ms, id), newest first, strictly after the page token."""
        highest, _, last_id = before.partition("-")
        upper = highest or "+inf"
        found: list[tuple[int, str]] = []
        start = 0
        while len(found) < count:
            async with _translated():
                rows = await self._redis.zrevrangebyscore(
                    f"{self._prefix}:jobs", upper, "-inf", start=start, num=count, withscores=True
                )
            if not rows:
                break
            start += len(rows)
            found += [
                (int(score), job_id)
                for job_id, score in rows
                if not before or (int(score), job_id) < (int(highest), last_id)
            ]
        return found[:count]

    async def cancel(self, job_id: str) -> Job:
        _check_id(job_id)
        await self._run("cancel", job_id)
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        _check_id(job_id)
        verdict = await self._run("delete", job_id)
        if verdict == 0:
            raise NotFound(f"There is no job '{job_id}'. It may have expired or been deleted.")
        if verdict == -1:
            raise WrongState(f"Job '{job_id}' is not finished. Cancel it first, then delete it.")

    async def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        await self.get(job_id)  # NotFound before the first event
        stream = f"{self._job_key(job_id)}:events"
        if not after:
            async with _translated():
                rows = await self._redis.xrevrange(stream, count=1)
            after = "0-0"
            for event in map(_event, rows):
                yield event
                after = event.id
                if event.job.state.is_final:
                    return
        while True:
            events = await self._events_after(stream, after)
            if not events and (job := await self.get(job_id)).state.is_final:
                # The final event was seen before the break, or trimmed: say it once more.
                yield JobEvent(id=after, job=job)
                return
            for event in events:
                yield event
                after = event.id
                if event.job.state.is_final:
                    return

    async def _events_after(self, stream: str, after: str) -> list[JobEvent]:
        async with _translated():
            rows = await self._redis.xrange(stream, min=f"({after}", count=100)
            if rows:
                return [_event(row) for row in rows]
            await self._redis.xread({stream: after}, count=1, block=WATCH_WAIT_MS)
            rows = await self._redis.xrange(stream, min=f"({after}", count=100)
        return [_event(row) for row in rows]

    async def expired(self) -> list[str]:
        async with _translated():
            now_ms = time.time() * 1000
            return list(
                await self._redis.zrangebyscore(f"{self._prefix}:expiry", "-inf", now_ms, 0, 100)
            )

    async def backlog(self) -> Backlog:
        async with _translated():
            record = await self._redis.hgetall(f"{self._prefix}:backlog")
        return Backlog(parts=int(record.get("parts", 0)), jobs=int(record.get("jobs", 0)))

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        async with _translated():
            rows = await self._redis.xrevrange(f"{self._prefix}:dead", count=limit)
        return [
            DeadLetter(
                job_id=fields["job"],
                part_index=int(fields["index"]),
                kind=PartKind(fields["kind"]),
                attempts=int(fields["attempts"]),
                reason=fields["reason"],
                time_s=int(fields["time_ms"]) / 1000,
            )
            for _, fields in rows
        ]

    async def forget_idle_consumers(self) -> None:
        """Remove consumers of the group that are long gone and hold nothing."""
        async with _translated():
            for row in await self._redis.xinfo_consumers(self._parts, GROUP):
                if row["pending"] == 0 and row["idle"] > IDLE_CONSUMER_MS:
                    await self._redis.xgroup_delconsumer(self._parts, GROUP, row["name"])

    # ------------------------------------------------------------------ inner

    def _job_key(self, job_id: str) -> str:
        return f"{self._prefix}:job:{job_id}"

    async def _run(self, name: str, *arguments: Any) -> Any:
        async with _translated():
            try:
                return await self._scripts[name](keys=[], args=[self._prefix, *arguments])
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self.prepare()
                return await self._scripts[name](keys=[], args=[self._prefix, *arguments])

    async def _with_lease(self, name: str, lease: Lease, *arguments: Any) -> None:
        if not await self._run(name, lease.consumer, lease.token, *arguments):
            raise LeaseLost(f"Part {lease.part.index} of job {lease.job.id} is no longer ours.")


@cache
def script_sources() -> Mapping[str, str]:
    """Lua source of each transition by name, with the common part in front."""
    folder = files("kiosk.adapters") / "lua"
    common = (folder / "_common.lua").read_text()
    names = [item.name for item in folder.iterdir() if item.name.endswith(".lua")]
    return {
        name.removesuffix(".lua"): common + (folder / name).read_text()
        for name in sorted(names)
        if not name.startswith("_")
    }


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Errors of the Redis library as errors of the kiosk."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise TransientError("The job queue (Redis) does not answer. Try again soon.") from error
    except ResponseError as error:
        # LOADING, OOM, READONLY and the like: the server is there, but not able.
        raise TransientError(f"The job queue (Redis) refused a step: {error}.") from error
    except RedisError as error:
        raise TransientError(f"The job queue (Redis) failed: {error}.") from error


def _check_id(job_id: str) -> None:
    """Refuse what could name another key than that of a job, such as "<id>:parts"."""
    if not job_id.isalnum():
        raise NotFound(f"There is no job '{job_id}'.")


def _pairs(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _kind(index: int) -> PartKind:
    return {PLAN_INDEX: PartKind.PLAN, JOIN_INDEX: PartKind.JOIN}.get(index, PartKind.PART)


def _event(row: tuple[str, Mapping[str, str]]) -> JobEvent:
    return JobEvent(id=row[0], job=_job(_pairs(json.loads(row[1]["record"]))))


def _seconds(record: Mapping[str, str]) -> Callable[[str], float]:
    return lambda name: int(record.get(name, "0") or "0") / 1000


def _job(record: Mapping[str, str]) -> Job:
    seconds = _seconds(record)
    return Job(
        id=record["id"],
        pipeline=record["pipeline"],
        upload_id=record["upload_id"],
        file_name=record["file_name"],
        model=record["model"],
        model_version=record["model_version"],
        parameters=json.loads(record["parameters"]),
        owner=record["owner"],
        request_id=record["request_id"],
        state=JobState(record["state"]),
        stage=Stage(record["stage"]),
        parts_total=int(record.get("parts_total", "0")),
        parts_done=int(record.get("parts_done", "0")),
        error=record.get("error", ""),
        error_reason=record.get("error_reason", ""),
        notes=tuple(json.loads(record.get("notes", "[]"))),
        create_time_s=seconds("create_ms"),
        start_time_s=seconds("start_ms"),
        end_time_s=seconds("end_ms"),
        expire_time_s=seconds("expire_ms"),
    )

"""The job queue on Redis: one Lua script per transition, so every step is atomic.

Owners take turns, and so do the jobs of each; nothing is handed out before a consumer asks. A lease
is a token in a sorted set and runs out when nobody renews it. The keys are described in
`lua/_common.lua`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from kiosk.adapters.redis_errors import translated
from kiosk.adapters.redis_records import (
    backlog_of,
    dead_letter_of,
    job_of,
    kind_of,
    request_json,
    version_of,
)
from kiosk.adapters.redis_schema import check_schema
from kiosk.adapters.redis_watch import ChangeListener
from kiosk.errors import AlreadyExists, LeaseLost, NotFound, Overloaded, WrongState
from kiosk.jobs import DeadLetter, Job, JobEvent, JobState, Lease, Part
from kiosk.ports import Backlog
from kiosk.queue_policy import BATCH_TURN, LITTER_LEASES, LONGEST_DELAY_S, QueuePolicy

# An answer later than this means a dead connection; blocking reads last two seconds.
SOCKET_TIMEOUT_S = 10.0
RETRY_S = 0.1
# Whoever comes when all are in use waits for one; a thousand watchers may look at once.
MOST_CONNECTIONS = 50
# Above this share of its memory Redis takes no new jobs: those it has need some to go on.
FULL_SHARE = 0.85
MEMORY_LOOK_S = 1.0
MOST_AT_A_TIME = 100
NO_SUCH_JOB = -2  # as ahead.lua says it
# Taking apart what Redis answers holds up everybody else: a long list is read piece by piece.
READ_AT_A_TIME = 25
# A change of many jobs at once wakes all their watchers; calls do not wait behind all of them.
WATCHERS_TOLD_AT_A_TIME = 4


class RedisQueue:
    """`ports.JobQueue` over one Redis server (6.2 or newer)."""

    def __init__(self, url: str, policy: QueuePolicy, prefix: str = "{kiosk}") -> None:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=MOST_CONNECTIONS,
            timeout=SOCKET_TIMEOUT_S,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_S,
            health_check_interval=15,
            # Once more on a new connection: every step may be sent twice. Then the caller decides.
            retry=Retry(ConstantBackoff(RETRY_S), 1),
        )
        # Any: redis-py's types allow bytes and None everywhere, which decode_responses rules out.
        self._redis: Any = redis.Redis.from_pool(pool)
        self._policy = policy
        self._prefix = prefix
        self._changes = ChangeListener(self._redis)
        self._telling = asyncio.Semaphore(WATCHERS_TOLD_AT_A_TIME)
        self._scripts = {
            name: self._redis.register_script(source) for name, source in script_sources().items()
        }
        self._memory_looked_s = -math.inf
        self._memory_is_full = False

    async def close(self) -> None:
        await self._changes.close()
        await self._redis.aclose()

    async def check_schema(self) -> None:
        """Raises PermanentError when another kiosk's data are in Redis, see `redis_schema`."""
        await check_schema(self._redis, self._prefix)

    # ------------------------------------------------------------------ submitting

    async def submit(self, job: Job) -> Job:
        policy = self._policy
        await self._check_memory()
        verdict, answer = await self._run(
            "submit",
            job.id,
            job.owner,
            job.request_id,
            job.priority.value if job.priority else "",
            round(policy.kept_s(job) * 1000),
            policy.open_jobs,
            policy.owner_open_jobs,
            policy.open_parts,
            policy.interactive_jobs,
            policy.window_parts,
            request_json(job),
            job.work_px,
            f"{job.model}:{job.model_version}",
            job.trace,
        )
        if verdict == "conflict":
            raise AlreadyExists(
                f"The request id '{job.request_id}' was used before for another request (job"
                f" {answer}). Use a new id for a new request.",
                field="request_id",
            )
        if verdict == "full":
            raise Overloaded("This kiosk has as much work waiting as it takes. Try again later.")
        if verdict == "full for owner":
            raise Overloaded(
                f"You have {policy.owner_open_jobs} unfinished jobs already. Try again when some"
                " are done."
            )
        stored_id, stored = answer
        return job_of(stored_id, stored)

    async def _check_memory(self) -> None:
        """Raises Overloaded while Redis has nearly used up the memory it may use."""
        now = asyncio.get_running_loop().time()
        if now - self._memory_looked_s > MEMORY_LOOK_S:
            async with translated():
                memory = await self._redis.info("memory")
            self._memory_looked_s = now
            most = memory.get("maxmemory", 0)
            self._memory_is_full = 0 < most * FULL_SHARE < memory["used_memory"]
        if self._memory_is_full:
            raise Overloaded(
                "The job queue's memory (Redis) is nearly full, so no new jobs are taken until some"
                " are done or deleted. Try again later."
            )

    # ------------------------------------------------------------------ consuming

    async def lease(self, consumer: str, wait_s: float) -> Lease | None:
        policy = self._policy
        until = asyncio.get_running_loop().time() + wait_s
        while True:
            verdict, *answer = await self._run(
                "lease",
                consumer,
                round(policy.lease_s * 1000),
                policy.attempts,
                policy.window_parts,
                policy.owner_parts,
                BATCH_TURN,
                self._litter_ms,
            )
            if verdict == "part":
                return _lease(consumer, *answer)
            if verdict == "more":
                continue
            rest_s = until - asyncio.get_running_loop().time()
            if rest_s <= 0:
                return None
            due_s = answer[0] / 1000 if answer[0] >= 0 else rest_s
            await self._sleep(min(rest_s, due_s))

    async def _sleep(self, longest_s: float) -> None:
        """Until something may be there to do."""
        async with translated():
            await self._redis.blpop([f"{self._prefix}:bell"], timeout=max(longest_s, 0.01))

    async def renew(self, lease: Lease) -> None:
        await self._with_lease("renew", lease, round(self._policy.lease_s * 1000))

    async def planned(self, lease: Lease, parts: Sequence[Part], notes: Sequence[str]) -> None:
        payloads = [json.dumps(part.payload) for part in parts]
        window = self._policy.window_parts
        await self._with_lease("planned", lease, window, json.dumps(list(notes)), *payloads)

    async def complete(self, lease: Lease) -> None:
        await self._with_lease("complete", lease, self._policy.window_parts)

    async def succeed(self, lease: Lease, parts: int = 0, notes: Sequence[str] = ()) -> None:
        said = json.dumps(list(notes))
        await self._finish(lease, JobState.SUCCEEDED, "", "", str(parts or ""), said)

    async def fail(self, lease: Lease, reason: str, message: str) -> None:
        await self._finish(lease, JobState.FAILED, reason, message, "", "[]")

    async def _finish(
        self, lease: Lease, state: JobState, reason: str, message: str, parts: str, notes: str
    ) -> None:
        ending = (state.value, reason, message, self._litter_ms, parts, notes)
        await self._with_lease("finish", lease, *ending)

    async def retry(self, lease: Lease, reason: str) -> None:
        await self._give_back(lease, reason, most_outages=0)

    async def postpone(self, lease: Lease, reason: str) -> None:
        await self._give_back(lease, reason, most_outages=self._policy.outages)

    async def _give_back(self, lease: Lease, reason: str, most_outages: int) -> None:
        policy = self._policy
        await self._with_lease(
            "retry",
            lease,
            policy.attempts,
            round(policy.retry_delay_s * 1000),
            round(LONGEST_DELAY_S * 1000),
            reason,
            self._litter_ms,
            policy.window_parts,
            most_outages,
        )

    async def release(self, lease: Lease) -> None:
        await self._with_lease("release", lease, self._policy.window_parts)

    # ------------------------------------------------------------------ reading and steering

    async def get(self, job_id: str) -> Job:
        return job_of(job_id, await self._record(job_id))

    async def list_jobs(
        self, limit: int, before: str = "", owner: str | None = None
    ) -> tuple[list[Job], str]:
        ids: list[tuple[int, str]] = []
        for name in await self._owners() if owner is None else [owner]:
            ids += await self._ids_before(name, limit + 1, before)
        ids = sorted(ids, reverse=True)[: limit + 1]
        records = await self._records([job_id for _, job_id in ids[:limit]])
        more = f"{ids[limit - 1][0]}-{ids[limit - 1][1]}" if len(ids) > limit else ""
        return [job_of(job_id, stored) for job_id, stored in records.items()], more

    async def _owners(self) -> list[str]:
        async with translated():
            return sorted(await self._redis.smembers(f"{self._prefix}:owners"))

    async def _ids_before(self, owner: str, count: int, before: str) -> list[tuple[int, str]]:
        """(creation time in ms, id), newest first, strictly after the page token."""
        highest, _, last_id = before.partition("-")
        upper = highest or "+inf"
        found: list[tuple[int, str]] = []
        start = 0
        while len(found) < count:
            async with translated():
                rows = await self._redis.zrevrangebyscore(
                    f"{self._prefix}:jobs:{owner}",
                    upper,
                    "-inf",
                    start=start,
                    num=count,
                    withscores=True,
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

    async def jobs_ahead(self, job_id: str) -> int | None:
        _check_id(job_id)
        ahead = int(await self._run("ahead", job_id, BATCH_TURN))
        if ahead == NO_SUCH_JOB:
            raise _no_such_job(job_id)
        return None if ahead < 0 else ahead

    async def cancel(self, job_id: str) -> Job:
        _check_id(job_id)
        await self._run("cancel", job_id, self._litter_ms)
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        job = await self.get(job_id)
        verdict = await self._run("delete", job_id, job.request_id)
        if verdict == 0:
            raise _no_such_job(job_id)
        if verdict == -1:
            raise WrongState(f"Job '{job_id}' is not finished. Cancel it first, then delete it.")

    async def extend(self, job_id: str, expire_time_s: float) -> Job:
        _check_id(job_id)
        if not await self._run("extend", job_id, round(expire_time_s * 1000)):
            raise _no_such_job(job_id)
        return await self.get(job_id)

    async def redrive(self, job_id: str) -> Job:
        _check_id(job_id)
        verdict = await self._run("redrive", job_id, self._policy.window_parts)
        if verdict == 0:
            raise _no_such_job(job_id)
        if verdict == -1:
            raise WrongState("Only a job that has failed or was cancelled can be begun anew.")
        if verdict == -2:
            raise WrongState(
                "What this job left behind is still being removed. Try again in a minute.",
                reason="STILL_CLEANING",
            )
        return await self.get(job_id)

    async def watch(self, job_id: str, after: str = "") -> AsyncIterator[JobEvent]:
        _check_id(job_id)
        seen = int(after) if after else 0
        async with translated(), self._changes.following(self._job_key(job_id)) as changed:
            while True:
                async with self._telling:
                    stored = await self._record(job_id)
                version, job = version_of(stored), job_of(job_id, stored)
                # A watcher that comes back after the end is told the end once more.
                if version > seen or job.state.is_final:
                    yield JobEvent(id=str(version), job=job)
                if job.state.is_final:
                    return
                seen = version
                await changed.wait()

    async def expired(self) -> list[str]:
        return list(await self._run("expired", MOST_AT_A_TIME))

    async def litter(self) -> list[str]:
        return list(await self._run("litter", self._litter_ms, MOST_AT_A_TIME))

    async def cleaned(self, job_id: str) -> None:
        async with translated():
            await self._redis.zrem(f"{self._prefix}:litter", job_id)

    async def backlog(self) -> Backlog:
        return backlog_of(await self._run("backlog"))

    async def dead_letters(self, limit: int = 100, owner: str | None = None) -> list[DeadLetter]:
        found: list[DeadLetter] = []
        start = 0
        while len(found) < limit:
            async with translated():
                rows = await self._redis.zrevrange(
                    f"{self._prefix}:dead", start, start + MOST_AT_A_TIME - 1, withscores=True
                )
            if not rows:
                break
            start += len(rows)
            records = await self._records([job_id for job_id, _ in rows])
            for job_id, time_ms in rows:
                if job_id not in records:
                    continue
                job = job_of(job_id, records[job_id])
                if owner is None or job.owner == owner:
                    found.append(dead_letter_of(job, records[job_id], time_ms / 1000))
        return found[:limit]

    # ------------------------------------------------------------------ inner

    @property
    def _litter_ms(self) -> int:
        return round(LITTER_LEASES * self._policy.lease_s * 1000)

    def _job_key(self, job_id: str) -> str:
        return f"{self._prefix}:job:{job_id}"

    async def _record(self, job_id: str) -> list[Any]:
        """Raises NotFound."""
        _check_id(job_id)
        records = await self._records([job_id])
        if not records:
            raise _no_such_job(job_id)
        return records[job_id]

    async def _records(self, job_ids: Sequence[str]) -> dict[str, list[Any]]:
        """The records of those jobs that are there, each read in one step."""
        if not job_ids:
            return {}
        found: dict[str, list[Any]] = {}
        for first in range(0, len(job_ids), READ_AT_A_TIME):
            some = job_ids[first : first + READ_AT_A_TIME]
            records = zip(some, await self._run("read", *some), strict=True)
            found |= {job_id: stored for job_id, stored in records if stored[0]}
        return found

    async def _run(self, name: str, *arguments: Any) -> Any:
        async with translated():
            return await self._scripts[name](keys=[], args=[self._prefix, *arguments])

    async def _with_lease(self, name: str, lease: Lease, *arguments: Any) -> None:
        if not await self._run(name, lease.token, *arguments):
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


def _no_such_job(job_id: str) -> NotFound:
    return NotFound(f"There is no job '{job_id}'. It may have expired or been deleted.")


def _check_id(job_id: str) -> None:
    """Refuse what could name another key than that of a job, such as "<id>:parts"."""
    if not (job_id.isascii() and job_id.isalnum()):
        raise NotFound(f"There is no job '{job_id}'.")


def _lease(
    consumer: str, index: int, payload: str, attempt: int, suspect: int, token: str, stored: Any
) -> Lease:
    job = job_of(token.split("/", 1)[0], stored)
    index = int(index)
    part = Part(job_id=job.id, kind=kind_of(index), index=index, payload=json.loads(payload))
    return Lease(
        job=job,
        part=part,
        consumer=consumer,
        token=token,
        attempt=int(attempt),
        suspect=bool(suspect),
    )

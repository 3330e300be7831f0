"""What a load run does and measures, one phase after another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import redis
import tifffile

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.adapters.redis_records import request_json
from kiosk.client import AsyncKiosk
from kiosk.errors import KioskError
from kiosk.jobs import Job, new_id
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import CHECKOUT
from tests.load.stack import STARTED_WITHIN_S, Stack

IN_FLIGHT = 16
LONGEST_S = 240.0
CONSUMER_STARTS_S = 5.0
POLICY = QueuePolicy(open_jobs=1_000_000, owner_open_jobs=1_000_000)


@dataclass(frozen=True)
class Throughput:
    """Jobs through the whole kiosk, from the first call to the end of the last."""

    jobs: int
    seconds: float
    cpu_ms: dict[str, float]  # per job and process

    @property
    def per_s(self) -> float:
        return self.jobs / self.seconds


@dataclass(frozen=True)
class Latency:
    """Submissions at a steady pace while others watch."""

    submissions: int
    median_ms: float
    p99_ms: float
    events: int


@dataclass(frozen=True)
class Queued:
    """Jobs that only wait."""

    jobs: int
    bytes_per_part: float
    backlog_ms_before: float
    backlog_ms_after: float


async def ready(stack: Stack) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + STARTED_WITHIN_S
    async with AsyncKiosk(stack.server) as kiosk:
        while True:
            try:
                await kiosk.models()
                return
            except KioskError:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.2)


async def uploaded(kiosk: AsyncKiosk, folder: Path) -> str:
    """An image of one tile."""
    plane = np.zeros((64, 64), np.uint8)
    plane[10:20, 10:20] = 200
    file = folder / "one_tile.tif"
    tifffile.imwrite(file, plane)
    return await kiosk.upload(file)


def open_jobs(stack: Stack) -> int:
    with redis.Redis.from_url(stack.redis_url) as client:
        return int(client.hget("{kiosk}:backlog", "jobs") or 0)


async def all_done(stack: Stack) -> None:
    until = time.monotonic() + LONGEST_S
    while open_jobs(stack):
        if time.monotonic() > until:
            raise RuntimeError("the jobs were not done in time")
        await asyncio.sleep(0.02)


async def throughput(stack: Stack, jobs: int) -> Throughput:
    """Submit jobs through the API and wait until the last is done."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    async with AsyncKiosk(stack.server) as kiosk:
        upload = await uploaded(kiosk, stack.folder)
        warm = await kiosk.submit(upload, model="bright")
        await kiosk.wait(warm.name)

        async def one() -> None:
            async with slots:
                await kiosk.submit(upload, model="bright")

        cpu, begun = stack.cpu_s(), time.perf_counter()
        await asyncio.gather(*(one() for _ in range(jobs)))
        await all_done(stack)
        seconds = time.perf_counter() - begun
    spent = stack.cpu_s()
    return Throughput(
        jobs, seconds, {name: 1000 * (spent[name] - cpu[name]) / jobs for name in cpu}
    )


async def latency(stack: Stack, watchers: int, submissions: int, per_s: float) -> Latency:
    """Submit at a steady pace while as many watchers as told follow jobs that are being done."""
    async with AsyncKiosk(stack.server) as kiosk:
        upload = await uploaded(kiosk, stack.folder)
        for _ in range(watchers):  # something to watch from the beginning
            await kiosk.submit(upload, model="bright")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.load.watchers", stack.server, str(watchers)),
            cwd=CHECKOUT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LONGEST_S):
                await process.stdout.readline()
            stack.start_role("consumer-1", "bare")
            await asyncio.sleep(CONSUMER_STARTS_S)  # its start takes a core for a while
            taken = await _paced(kiosk, upload, submissions, per_s)
            process.stdin.write(b"\n")
            events = int(await process.stdout.readline())
        finally:
            process.terminate()
            await process.wait()
        stack.stop("consumer-1")
    median, p99 = np.percentile(taken, [50, 99]) * 1000
    return Latency(submissions, float(median), float(p99), events)


async def _paced(kiosk: AsyncKiosk, upload: str, count: int, per_s: float) -> list[float]:
    """Times that submissions took, each counted from when it was due: a late one is a slow one."""
    taken: list[float] = []

    async def one(due: float) -> None:
        await kiosk.submit(upload, model="bright")
        taken.append(time.perf_counter() - due)

    begun, tasks = time.perf_counter(), []
    for number in range(count):
        due = begun + number / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
    await asyncio.gather(*tasks)
    return taken


async def queued(stack: Stack, jobs: int) -> Queued:
    """Many jobs in the queue at once, as the server stores them."""
    queue = RedisQueue(stack.redis_url, POLICY)
    with redis.Redis.from_url(stack.redis_url) as client:
        before_bytes = client.info("memory")["used_memory"]
        before_ms = await _backlog_ms(queue)
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            async with slots:
                await queue.submit(waiting_job(number))

        for first in range(0, jobs, 1000):
            await asyncio.gather(*(one(first + i) for i in range(min(1000, jobs - first))))
        await _rewritten(client)
        after_bytes = client.info("memory")["used_memory"]
    after_ms = await _backlog_ms(queue)
    await queue.close()
    return Queued(jobs, (after_bytes - before_bytes) / jobs, before_ms, after_ms)


async def _rewritten(client: redis.Redis) -> None:
    """Redis writes its file anew from time to time; the buffers for that count as used."""
    for _ in range(600):
        if not client.info("persistence")["aof_rewrite_in_progress"]:
            return
        await asyncio.sleep(0.1)


def waiting_job(number: int) -> Job:
    """A job as long as they are: with an owner, a request id and a choice."""
    return Job(
        id=new_id(),
        pipeline="segmentation",
        upload_id=new_id(),
        file_name=f"plate7_B{number:06d}_w1.ome.tif",
        model="nuclei",
        model_version="2",
        parameters={"channel": "DAPI"},
        owner="screening@example.org",
        request_id=f"{number:032x}",
        work_px=2048 * 2048,
    )


async def _backlog_ms(queue: RedisQueue) -> float:
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        await queue.backlog()
        taken.append(time.perf_counter() - begun)
    return 1000 * float(np.median(taken))


def peer(which: str, python: Path, stack: Stack, count: int) -> float:
    """Tasks per second of another queue with the same payload on the same Redis."""
    script = CHECKOUT / "tests" / "load" / "peers.py"
    url = stack.redis_url.removesuffix("/0") + "/1"
    payload = request_json(waiting_job(1))
    answer = subprocess.run(
        [str(python), str(script), which, url, str(count), payload],
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=True,
    )
    return float(answer.stdout.strip().splitlines()[-1])

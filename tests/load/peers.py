"""The same payloads through other task queues; run by an interpreter that has them installed.

    python tests/load/peers.py arq | taskiq REDIS_URL COUNT PAYLOAD

Two worker processes, tasks that only count. Prints tasks per second from the first to the last.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import redis.asyncio as redis

URL = os.environ.get("PEER_REDIS_URL", "redis://127.0.0.1:6379/1")
COUNT_KEY = "peers:done"
WORKERS = 2
IN_FLIGHT = 32
LONGEST_S = 120.0


def arq_settings() -> Any:
    from arq.connections import RedisSettings
    from arq.worker import func

    async def count(context: dict[str, Any], payload: str) -> None:
        await context["redis"].incr(COUNT_KEY)

    return {
        "functions": [func(count, name="count")],
        "redis_settings": RedisSettings.from_dsn(URL),
        "max_jobs": 10,
        "poll_delay": 0.01,
        "keep_result": 0,
    }


def taskiq_broker() -> Any:
    from taskiq_redis import RedisStreamBroker

    broker = RedisStreamBroker(url=URL)
    client = redis.Redis.from_url(URL)

    @broker.task(task_name="count")
    async def count(payload: str) -> None:
        await client.incr(COUNT_KEY)

    return broker


async def arq(count: int, payload: str) -> None:
    from arq import create_pool
    from arq.connections import RedisSettings

    pool = await create_pool(RedisSettings.from_dsn(URL))
    await in_flight(count, lambda: pool.enqueue_job("count", payload))


async def taskiq(count: int, payload: str) -> None:
    broker = taskiq_broker()
    await broker.startup()
    task = broker.find_task("count")
    await in_flight(count, lambda: task.kiq(payload))
    await broker.shutdown()


async def in_flight(count: int, send: Any) -> None:
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> None:
        async with slots:
            await send()

    await asyncio.gather(*(one() for _ in range(count)))


async def timed(which: str, count: int, payload: str) -> float:
    async with redis.Redis.from_url(URL) as client:
        await client.delete(COUNT_KEY)
        await asyncio.sleep(3)  # the workers have no word for being ready
        begun = time.perf_counter()
        await {"arq": arq, "taskiq": taskiq}[which](count, payload)
        while int(await client.get(COUNT_KEY) or 0) < count:
            if time.perf_counter() - begun > LONGEST_S:
                raise RuntimeError(f"{which} did not finish")
            await asyncio.sleep(0.01)
        return count / (time.perf_counter() - begun)


def workers(which: str) -> list[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PEER_REDIS_URL": URL, "PYTHONPATH": str(Path(__file__).parent)}
    bin_folder = Path(sys.executable).parent
    taskiq = [str(bin_folder / "taskiq"), "worker", "peer_taskiq_worker:broker"]
    commands = {
        "arq": [sys.executable, "-m", "peer_arq_worker"],
        "taskiq": [*taskiq, "--workers", "1", "--log-level", "ERROR"],
    }
    return [
        subprocess.Popen(commands[which], env=environment, stderr=subprocess.DEVNULL)
        for _ in range(WORKERS)
    ]


def main() -> None:
    global URL
    which, URL, count, payload = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    running = workers(which)
    try:
        print(asyncio.run(timed(which, count, payload)))
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(10)


if __name__ == "__main__":
    main()

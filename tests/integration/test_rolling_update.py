"""A newer kiosk takes the place of an older one while jobs, uploads and watchers are under way."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from proxy import Proxy
from spots import spots

from kiosk import connection
from kiosk.adapters.image_files import ImageFileReader
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.adapters.redis_rollouts import RedisRolloutBook
from kiosk.authentication import Authentication
from kiosk.client import AsyncKiosk
from kiosk.grpc_api import GrpcServer
from kiosk.jobs import Job, JobState, new_id
from kiosk.queue_policy import QueuePolicy
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, MemoryStore, make_kiosk

ROLE = Path(__file__).with_name("rolling_role.py")
MOST_JOBS = 100
EVERY_S = 0.6
PATIENCE_S = 60.0


class Consumers:
    """Consumer processes over one Redis, whose queue forgives no attempt."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._folder, self._redis_url = folder, redis_url
        self._log = folder / "parts.log"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.queue = RedisQueue(redis_url, QueuePolicy(attempts=1, lease_s=30.0))

    def start(self, part_s: float, grace_s: float) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "KIOSK_HOME": str(self._folder),
            "KIOSK_QUEUE__REDIS_URL": self._redis_url,
            "KIOSK_QUEUE__ATTEMPTS": "1",
            "KIOSK_CONSUMER__STOP_GRACE_S": str(grace_s),
        }
        log = self._folder / f"consumer-{len(self._processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, ROLE, self._log, str(part_s)],
                env=environment, stdout=file, stderr=file,
            )  # fmt: skip
        self._processes.append(process)
        return process

    async def submit_until(self, begins: Callable[[], int]) -> list[Job]:
        """Jobs, more and more of them until at least two parts have begun."""
        fields = {"pipeline": "segmentation", "upload_id": "u", "file_name": "a.tif"}
        fields |= {"model": "bright", "model_version": "1"}
        jobs = []
        for _ in range(MOST_JOBS):
            jobs.append(await self.queue.submit(Job(id=new_id(), **fields)))
            await asyncio.sleep(EVERY_S)  # what is waited for is in another process
            if begins() >= 2:
                return jobs
        raise AssertionError("no part was begun")

    async def states(self, jobs: list[Job]) -> Counter[JobState]:
        """How the jobs have ended."""
        async with asyncio.timeout(PATIENCE_S):
            for job in jobs:
                async for _ in self.queue.watch(job.id):
                    pass
        return Counter([(await self.queue.get(job.id)).state for job in jobs])

    def lines(self, word: str, process: subprocess.Popen[bytes] | None = None) -> Counter[str]:
        """ "JOB PART" -> how often it was begun, ended or joined (by one of the processes)."""
        text = self._log.read_text() if self._log.exists() else ""
        rows = [line.split() for line in text.splitlines()]
        pid = str(process.pid) if process else ""
        return Counter(
            f"{job} {part}" for what, job, part, by in rows if what == word and pid in ("", by)
        )

    async def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(10)
        await self.queue.close()


@pytest.fixture
async def consumers(tmp_path: Path, new_redis: Callable[[], object]) -> AsyncIterator[Consumers]:
    consumers = Consumers(tmp_path, new_redis().url)  # type: ignore[attr-defined]
    yield consumers
    await consumers.close()


@pytest.mark.slow
@pytest.mark.parametrize(("part_s", "grace_s"), [(0.3, 20.0), (0.6, 0.05)])
async def test_a_consumer_is_replaced_while_it_has_parts_in_hand(
    consumers: Consumers, part_s: float, grace_s: float
) -> None:
    older = consumers.start(part_s, grace_s)
    jobs = await consumers.submit_until(lambda: len(consumers.lines("begin")))
    newer = consumers.start(part_s, grace_s)
    jobs += await consumers.submit_until(lambda: len(consumers.lines("begin", newer)))
    older.send_signal(signal.SIGTERM)
    await asyncio.to_thread(older.wait, PATIENCE_S)
    assert older.returncode == 0

    assert await consumers.states(jobs) == {JobState.SUCCEEDED: len(jobs)}
    assert await consumers.queue.dead_letters() == []
    ended, begun = consumers.lines("end"), consumers.lines("begin")
    assert len(ended) == 2 * len(jobs)
    assert set(ended.values()) == {1}  # nothing was done twice
    assert set(consumers.lines("join").values()) == {1}
    # Only what the older one gave back was begun again: what it had in hand, if anything.
    again = {part for part, count in begun.items() if count > 1}
    given_back = set(consumers.lines("begin", older)) - set(consumers.lines("end", older))
    assert again == given_back
    assert len(given_back) <= (2 if grace_s < part_s else 0)


class Servers:
    """Servers over one Redis and one store, one after the other behind one address."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self.store = MemoryStore()
        self._books: list[RedisRolloutBook] = []
        self._queues: list[RedisQueue] = []

    async def start(self) -> tuple[GrpcServer, FakeKiosk]:
        queue, book = RedisQueue(self._redis_url, QueuePolicy()), RedisRolloutBook(self._redis_url)
        self._queues.append(queue)
        self._books.append(book)
        kiosk = make_kiosk(
            ImageFileReader(LimitSettings()),
            queue=queue,  # type: ignore[arg-type]
            rollouts=book,  # type: ignore[arg-type]
            upload_limit_bytes=100_000_000,
        )
        kiosk.store.objects = self.store.objects
        server = GrpcServer(kiosk.service, Authentication(), "127.0.0.1", 0)
        await server.start()
        return server, kiosk

    async def close(self) -> None:
        for part in (*self._queues, *self._books):
            await part.close()


@pytest.fixture
async def servers(new_redis: Callable[[], object]) -> AsyncIterator[Servers]:
    servers = Servers(new_redis().url)  # type: ignore[attr-defined]
    yield servers
    await servers.close()


async def test_a_server_is_replaced_while_clients_watch_and_upload(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE_S", 0.02)
    older, _ = await servers.start()
    newer, kiosk = await servers.start()
    async with Proxy(older.port) as proxy, AsyncKiosk(f"127.0.0.1:{proxy.port}") as client:
        upload = await client.upload(spots())
        job = await client.submit(upload, model="bright")
        watching = asyncio.create_task(client.wait(job.name))

        half_way = asyncio.Event()

        def progress(step: object) -> None:
            half_way.set()

        big = np.random.default_rng(0).integers(0, 255, (2000, 10_000), np.uint8)
        uploading = asyncio.create_task(client.upload(big, progress=progress))
        await asyncio.wait_for(half_way.wait(), PATIENCE_S)
        # As a cluster does it: no new connections for the older one, then it is told to stop.
        proxy.turn_to(newer.port)
        await older.stop(0.05)
        name = await asyncio.wait_for(uploading, PATIENCE_S)

        consumer = kiosk.consumer()
        running = asyncio.create_task(consumer.run())
        done = await asyncio.wait_for(watching, PATIENCE_S)
        assert done.name == job.name
        assert done.parts_done == done.parts_total > 0
        (image,) = await client.inspect(name)
        assert (image.size_y, image.size_x) == big.shape
        consumer.stop()
        await running
    await newer.stop(0)

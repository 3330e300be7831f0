"""The Redis of `kiosk up` lets its one user do what the kiosk does, and no more."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from kiosk.adapters.redis_keys import RedisKeyRing
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.adapters.redis_rollouts import RedisRolloutBook
from kiosk.api_keys import new_api_key
from kiosk.callers import Scope
from kiosk.errors import PermanentError, TransientError
from kiosk.jobs import Job, JobState, Part, PartKind, new_id
from kiosk.local_redis import redis_conf, redis_url
from kiosk.machine import free_port, server_files
from kiosk.queue_policy import QueuePolicy
from kiosk.rollouts import Rollout
from kiosk.settings import CHECKOUT

PASSWORD = "secret-of-this-test"


@contextmanager
def running(binary: Path, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis with the configuration of `kiosk up`, ready."""
    (folder / "redis.conf").write_text(redis_conf(folder, port, PASSWORD, 2**30))
    process = subprocess.Popen([binary, folder / "redis.conf"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(400):
            try:
                redis.Redis.from_url(redis_url(port, PASSWORD)).ping()
                break
            except (redis.ConnectionError, redis.BusyLoadingError):
                time.sleep(0.02)  # nothing to wait on but the port
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def port(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, port = tmp_path_factory.mktemp("a folder"), free_port()
    with running(redis_binary, folder, port):
        yield port


@pytest.fixture
def client(port: int) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url(port, PASSWORD)) as client:
        yield client


def job(**changes: Any) -> Job:
    fields = {"pipeline": "segmentation", "upload_id": "u", "file_name": "a.tif", "model": "m"}
    return Job(**{"id": new_id(), **fields, "model_version": "1", "owner": "alice", **changes})


async def test_the_whole_life_of_jobs(port: int) -> None:
    queue = RedisQueue(redis_url(port, PASSWORD), QueuePolicy(lease_s=30.0))
    one = await queue.submit(job(request_id="r"))
    assert (await queue.submit(job(id=one.id, request_id="r"))).id == one.id
    lease = await queue.lease("consumer", 1.0)
    assert lease is not None
    events = queue.watch(one.id)
    assert (await anext(events)).job.id == one.id
    await queue.renew(lease)
    part = Part(job_id=one.id, kind=PartKind.PART, index=0)
    await queue.planned(lease, [part], ["a note"])
    lease = await queue.lease("consumer", 1.0)
    assert lease is not None
    await queue.complete(lease)
    lease = await queue.lease("consumer", 1.0)
    assert lease is not None
    await queue.succeed(lease)
    async with asyncio.timeout(10):
        async for event in events:
            state = event.job.state
    assert state is JobState.SUCCEEDED
    await queue.extend(one.id, time.time() + 1000.0)
    two = await queue.submit(job())
    lease = await queue.lease("consumer", 1.0)
    assert lease is not None
    await queue.postpone(lease, "an outage")
    await queue.cancel(two.id)
    assert await queue.lease("consumer", 0.05) is None
    three = await queue.submit(job())
    lease = await queue.lease("consumer", 1.0)
    assert lease is not None
    await queue.fail(lease, "BAD", "It is broken.")
    assert {j.id for j in (await queue.list_jobs(10, owner="alice"))[0]} == {
        one.id, two.id, three.id}  # fmt: skip
    assert await queue.dead_letters() == []
    assert await queue.expired() == []
    for job_id in await queue.litter():
        await queue.cleaned(job_id)
    assert (await queue.backlog()).jobs == 0
    for job_id in (one.id, two.id, three.id):
        await queue.delete(job_id)
    await queue.close()


def binaries() -> list[Path]:
    """That of `make setup` and the machine's own: they read their files in different ways."""
    own = [Path(found)] if (found := shutil.which("redis-server")) else []
    with suppress(PermanentError):
        own.append(server_files(CHECKOUT / ".servers").redis_server)
    return own


def wait_until_written(job_id: str, folder: Path) -> None:
    """Redis may let a second or two pass."""
    for _ in range(500):
        if any(job_id.encode() in file.read_bytes() for file in folder.rglob("*.aof")):
            return
        time.sleep(0.02)


@pytest.mark.parametrize("binary", binaries(), ids=str)
async def test_jobs_are_there_after_a_kill(binary: Path, tmp_path: Path) -> None:
    """A job is written in one transaction, which Redis has to read back with somebody's rights."""
    port = free_port()
    with running(binary, tmp_path, port) as process:
        queue = RedisQueue(redis_url(port, PASSWORD), QueuePolicy())
        one = await queue.submit(job())
        await asyncio.to_thread(wait_until_written, one.id, tmp_path)
        process.kill()
        process.wait(10)
    with running(binary, tmp_path, port):
        assert (await queue.get(one.id)).owner == one.owner
    await queue.close()


async def test_keys_of_the_api(port: int) -> None:
    ring = RedisKeyRing(redis_url(port, PASSWORD))
    key, _ = new_api_key("alice", [Scope.READ], time_s=1.0)
    await ring.add(key)
    await ring.used(key.id, 2.0)
    assert (await ring.revoke(key.id, 3.0)).revoke_time_s == 3.0
    assert len(await ring.list()) == 1
    assert await ring.signing_secret()
    await ring.close()


async def test_rollouts_of_models(port: int) -> None:
    book = RedisRolloutBook(redis_url(port, PASSWORD))
    pinned = Rollout(model="nuclei", promoted="1")
    assert await book.update("nuclei", lambda _: pinned) == pinned
    assert await book.list() == [pinned]
    assert await book.update("nuclei", lambda _: None) is None
    await book.close()


# Redis 7 has a switch for DEBUG, which it asks before the user's rights.
REFUSED = r"(?i)permission|NOPERM|can't run|access|DEBUG command not allowed"


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET dir /tmp", "KEYS *", "DEBUG SLEEP 0",
        "SHUTDOWN NOSAVE", "ACL LIST", "ACL WHOAMI", "MONITOR", "SAVE", "BGREWRITEAOF",
        "SLAVEOF 127.0.0.1 1", "MODULE LIST", "CLIENT LIST", "CLIENT KILL TYPE normal",
        "GET other", "SET other 1", "SET {kiosk}x 1", "PUBLISH other hello", "MIGRATE h 1 k 0 1",
        "EVAL return_redis.call('GET','other') 0", "EVAL return_redis.call('FLUSHALL') 0",
    ],
)  # fmt: skip
def test_what_the_kiosk_does_not_do(client: redis.Redis, command: str) -> None:
    words = [word.replace("return_", "return ") for word in command.split()]
    with pytest.raises(redis.ResponseError, match=REFUSED):
        client.execute_command(*words)


@pytest.mark.parametrize("login", ["", ":@", f":{PASSWORD}@", "kiosk:guess@", "default:x@"])
async def test_strangers(port: int, login: str) -> None:
    url = f"redis://{login}127.0.0.1:{port}/0"
    with pytest.raises(redis.RedisError), redis.Redis.from_url(url) as client:
        client.get("{kiosk}:keys")
    ring = RedisKeyRing(url)
    with pytest.raises(TransientError):
        await ring.list()
    await ring.close()

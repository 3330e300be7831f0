"""The layout of the data in Redis has a number; no kiosk works on those of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio
from queue_bench import POLICY, make_job

from kiosk.adapters import redis_schema
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.errors import PermanentError, TransientError
from kiosk.queue_policy import QueuePolicy
from kiosk.schema_check import schema_checked


@pytest.fixture
async def queue(redis_url: str, redis_prefix: str) -> AsyncIterator[RedisQueue]:
    queue = RedisQueue(redis_url, QueuePolicy(**POLICY), redis_prefix)
    yield queue
    await queue.close()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Any]:
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


async def test_first_check_notes_the_layout(
    queue: RedisQueue, client: Any, redis_prefix: str
) -> None:
    await queue.submit(make_job())  # a kiosk that knew no number has been here
    await asyncio.gather(*(queue.check_schema() for _ in range(5)))
    assert await client.get(f"{redis_prefix}:schema") == str(redis_schema.SCHEMA)
    await queue.check_schema()
    assert len((await queue.list_jobs(5))[0]) == 1


@pytest.mark.parametrize("found", ["2", "10", "something"])
async def test_data_of_a_newer_kiosk_are_left_alone(
    queue: RedisQueue, client: Any, redis_prefix: str, found: str
) -> None:
    await client.set(f"{redis_prefix}:schema", found)
    with pytest.raises(PermanentError, match=r"newer kiosk.*install that version") as error:
        await queue.check_schema()
    assert error.value.reason == "SCHEMA_IS_NEWER"
    assert await client.get(f"{redis_prefix}:schema") == found


async def test_data_of_an_older_kiosk_are_left_alone(
    queue: RedisQueue, client: Any, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.check_schema()
    monkeypatch.setattr(redis_schema, "SCHEMA", 2)
    with pytest.raises(PermanentError, match=r"older kiosk.*finish its jobs") as error:
        await queue.check_schema()
    assert error.value.reason == "SCHEMA_IS_OLDER"
    assert await client.get(f"{redis_prefix}:schema") == "1"


async def test_a_role_that_began_without_redis_ends_on_data_of_another(
    new_redis: Callable[[], Any], redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiosk.schema_check.LOOK_AGAIN_S", 0.01)
    server = new_redis()
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.set(f"{redis_prefix}:schema", 99)
    server.stop()
    queue = RedisQueue(server.url, QueuePolicy(**POLICY), redis_prefix)
    with pytest.raises(TransientError):
        await queue.check_schema()
    stopping = asyncio.Event()

    async def role() -> None:
        async with schema_checked(queue.check_schema, stopping):
            assert not stopping.is_set()
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(stopping.wait(), 30)

    with pytest.raises(PermanentError, match="newer kiosk"):
        await role()
    await queue.close()

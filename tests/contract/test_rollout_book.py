"""What every `RolloutBook` promises: the one in memory and the one in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import redis.asyncio

from kiosk.adapters.redis_rollouts import RedisRolloutBook
from kiosk.errors import TransientError, WrongState
from kiosk.machine import free_port
from kiosk.ports import RolloutBook
from kiosk.rollouts import Rollout, promoted_to, with_canary
from kiosk.testing import MemoryRolloutBook

FULL = Rollout(model="nuclei", promoted="2", previous="1", canary="3", canary_ratio=0.25)


@pytest.fixture(params=["memory", "redis"])
async def book(request: pytest.FixtureRequest) -> AsyncIterator[RolloutBook]:
    if request.param == "memory":
        yield MemoryRolloutBook()
        return
    url, prefix = (request.getfixturevalue(name) for name in ("redis_url", "redis_prefix"))
    book = RedisRolloutBook(url, prefix)
    yield book
    await book.close()


async def test_rollouts_come_back_as_they_were(book: RolloutBook) -> None:
    assert await book.list() == []
    bare = Rollout(model="cells", promoted="1")
    assert await book.update("nuclei", lambda _: FULL) == FULL
    assert await book.update("cells", lambda _: bare) == bare
    assert await book.list() == [bare, FULL]


async def test_a_change_sees_what_is_there(book: RolloutBook) -> None:
    seen: list[Rollout | None] = []

    def change(rollout: Rollout | None) -> Rollout:
        seen.append(rollout)
        return promoted_to(rollout, "nuclei", str(len(seen)))

    await book.update("nuclei", change)
    after = await book.update("nuclei", change)
    assert seen == [None, Rollout(model="nuclei", promoted="1")]
    assert after == Rollout(model="nuclei", promoted="2", previous="1")


async def test_a_refused_change_changes_nothing(book: RolloutBook) -> None:
    await book.update("nuclei", lambda _: FULL)
    with pytest.raises(WrongState):
        await book.update("nuclei", lambda rollout: promoted_to(rollout, "nuclei", "2"))
    assert await book.list() == [FULL]


async def test_a_rollout_can_be_forgotten(book: RolloutBook) -> None:
    await book.update("nuclei", lambda _: FULL)
    assert await book.update("nuclei", lambda _: None) is None
    assert await book.update("nuclei", lambda _: None) is None
    assert await book.list() == []


async def test_no_step_is_lost_when_many_are_taken_at_once(book: RolloutBook) -> None:
    await book.update("nuclei", lambda _: replace(FULL, canary_ratio=0.125))

    def more(rollout: Rollout | None) -> Rollout:
        assert rollout is not None
        return with_canary(rollout, "3", rollout.canary_ratio + 1 / 64)

    await asyncio.gather(*(book.update("nuclei", more) for _ in range(8)))
    assert await book.list() == [replace(FULL, canary_ratio=0.25)]


async def test_what_a_newer_kiosk_has_written_is_read(redis_url: str, redis_prefix: str) -> None:
    book = RedisRolloutBook(redis_url, redis_prefix)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.hset(f"{redis_prefix}:rollouts", "nuclei", '{"promoted": "2", "moon": 1}')
    assert await book.list() == [Rollout(model="nuclei", promoted="2")]
    after = await book.update("nuclei", lambda rollout: promoted_to(rollout, "nuclei", "3"))
    assert after == Rollout(model="nuclei", promoted="3", previous="2")
    await book.close()


async def test_redis_that_is_away() -> None:
    book = RedisRolloutBook(f"redis://127.0.0.1:{free_port()}/0")
    for call in (book.list(), book.update("nuclei", lambda _: FULL)):
        with pytest.raises(TransientError):
            await call
    await book.close()

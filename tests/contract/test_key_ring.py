"""What every `KeyRing` promises: the one in memory and the one in Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio

from kiosk.adapters.redis_keys import RedisKeyRing
from kiosk.api_keys import new_api_key
from kiosk.callers import Scope
from kiosk.errors import NotFound, TransientError
from kiosk.machine import free_port
from kiosk.ports import KeyRing
from kiosk.testing import MemoryKeyRing

EVERYTHING = tuple(Scope)


@pytest.fixture(params=["memory", "redis"])
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[KeyRing]:
    if request.param == "memory":
        yield MemoryKeyRing()
        return
    url, prefix = (request.getfixturevalue(name) for name in ("redis_url", "redis_prefix"))
    ring = RedisKeyRing(url, prefix)
    yield ring
    await ring.close()


async def test_a_key_comes_back_as_it_was(keys: KeyRing) -> None:
    full, _ = new_api_key(
        "alice@lab.example", EVERYTHING, time_s=100.5, expire_time_s=200.5, note="microscope 2"
    )
    bare, _ = new_api_key("bob", [Scope.READ], time_s=101.5)
    await keys.add(full)
    await keys.add(bare)
    assert (await keys.get(full.id), await keys.get(bare.id)) == (full, bare)
    assert await keys.list() == [full, bare]


async def test_use_is_noted(keys: KeyRing) -> None:
    key, _ = new_api_key("alice", EVERYTHING, time_s=1.0)
    await keys.add(key)
    await keys.used(key.id, 1234.5)
    await keys.used(key.id, 2234.5)
    assert [(await keys.get(key.id)).use_time_s, (await keys.list())[0].use_time_s] == [2234.5] * 2


async def test_revoking_is_once_and_for_all(keys: KeyRing) -> None:
    key, _ = new_api_key("alice", EVERYTHING, time_s=1.0)
    await keys.add(key)
    assert (await keys.revoke(key.id, 500.0)).revoke_time_s == 500.0
    assert (await keys.revoke(key.id, 900.0)).revoke_time_s == 500.0
    assert not (await keys.get(key.id)).holds_at(10_000.0)
    await keys.used(key.id, 600.0)
    assert not (await keys.list())[0].holds_at(1.0)


async def test_unknown_keys(keys: KeyRing) -> None:
    assert await keys.list() == []
    for name in ("nosuchkey", "", "*", "a b\n"):
        with pytest.raises(NotFound):
            await keys.get(name)
        with pytest.raises(NotFound):
            await keys.revoke(name, 1.0)
    assert await keys.list() == []


async def test_the_signing_secret_stays_the_same(keys: KeyRing) -> None:
    first = await keys.signing_secret()
    assert len(first) >= 64
    assert await keys.signing_secret() == first


async def test_no_secret_is_kept(redis_url: str, redis_prefix: str) -> None:
    ring = RedisKeyRing(redis_url, redis_prefix)
    key, token = new_api_key("alice", EVERYTHING, time_s=1.0)
    await ring.add(key)
    secret = token.rpartition("_")[2]
    async with redis.asyncio.Redis.from_url(redis_url, decode_responses=True) as client:
        stored = await client.hgetall(f"{redis_prefix}:keys")
    assert key.id in str(stored)
    assert secret not in str(stored)
    assert secret not in repr(await ring.get(key.id))
    await ring.close()


async def test_servers_share_one_signing_secret(redis_url: str, redis_prefix: str) -> None:
    one, other = RedisKeyRing(redis_url, redis_prefix), RedisKeyRing(redis_url, redis_prefix)
    assert await one.signing_secret() == await other.signing_secret()
    await one.close()
    await other.close()


async def test_redis_that_is_away(tmp_path: Path) -> None:
    ring = RedisKeyRing(f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(TransientError):
        await ring.get("anykey")
    await ring.close()

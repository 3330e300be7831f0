"""The queues of the contract tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from queue_bench import POLICY, Bench, memory_bench, redis_bench

from kiosk.adapters.redis_queue import RedisQueue


@pytest.fixture(params=["memory", "redis"])
async def make_bench(
    request: pytest.FixtureRequest, redis_prefix: str
) -> AsyncIterator[Callable[..., Bench]]:
    """Makes a queue with some other policy, over the fake and over Redis."""
    made: list[RedisQueue] = []

    def make(**changes: Any) -> Bench:
        policy = {**POLICY, **changes}
        if request.param == "memory":
            return memory_bench(policy)
        bench = redis_bench(request.getfixturevalue("redis_url"), redis_prefix, policy)
        made.append(bench.queue)  # type: ignore[arg-type]
        return bench

    yield make
    for queue in made:
        await queue.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()

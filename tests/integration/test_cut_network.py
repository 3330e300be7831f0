"""The network between a consumer and Redis is cut or falls silent.

Nothing is lost, nothing is acknowledged twice, and results stay what they were.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from proxy import Line, Proxy
from site_of_consumers import LEASE_S, Site, SlowInference, make_quick

from kiosk.jobs import JobState
from kiosk.testing import FakeInference


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)


@pytest.fixture
def redis_port(redis_url: str) -> int:
    return int(redis_url.rsplit(":", 1)[1].split("/", maxsplit=1)[0])


@pytest.fixture
async def proxy(redis_port: int) -> AsyncIterator[Proxy]:
    async with Proxy(redis_port) as proxy:
        yield proxy


@pytest.fixture
async def site(redis_port: int, redis_prefix: str, proxy: Proxy) -> AsyncIterator[Site]:
    site = Site(redis_port, redis_prefix)
    yield site
    await site.close()  # before the proxy, through which some queues go


@pytest.mark.parametrize("line", [Line.CUT, Line.SILENT])
async def test_a_consumer_that_is_cut_off_loses_its_part_to_another(
    site: Site, redis_port: int, proxy: Proxy, line: Line
) -> None:
    job = await site.submitted()
    inference = SlowInference()
    site.consumer("cut off", proxy.port, inference)
    await asyncio.wait_for(inference.asked.wait(), 10)
    proxy.become(line)
    site.consumer("well", redis_port, FakeInference())
    done = await site.ended(job)
    assert (done.state, done.parts_done) == (JobState.SUCCEEDED, done.parts_total)
    before = await site.results(job)
    assert before
    inference.go_on.set()
    proxy.become(Line.WELL)
    # The one that was cut off is of use again, and has spoiled nothing.
    second = await site.submitted()
    assert JobState.SUCCEEDED is (await site.ended(second)).state
    assert await site.queue.get(job.id) == done
    assert await site.results(job) == before
    assert (await site.queue.backlog()).parts == 0


async def test_an_only_consumer_that_is_cut_off_goes_on_afterwards(
    site: Site, proxy: Proxy
) -> None:
    inference = SlowInference()
    site.consumer("only", proxy.port, inference)
    job = await site.submitted()
    await asyncio.wait_for(inference.asked.wait(), 10)
    proxy.become(Line.CUT)
    inference.go_on.set()
    await asyncio.sleep(1.5 * LEASE_S)  # longer than it may keep its part without a word
    proxy.become(Line.WELL)
    assert JobState.SUCCEEDED is (await site.ended(job)).state
    assert await site.queue.dead_letters() == []

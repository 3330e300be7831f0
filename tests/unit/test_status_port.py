"""The port on which a role can be looked at, and what it says of the queue."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from kiosk.errors import PermanentError, TransientError
from kiosk.machine import free_port
from kiosk.ports import Backlog, ModelLoad
from kiosk.queue_gauges import QueueGauges
from kiosk.settings.observing import StatusSettings
from kiosk.status_port import Condition, make_status_app, status_port
from kiosk.telemetry import QUEUE_GAUGES
from kiosk.testing import MemoryQueue

FULL = Backlog(
    7,
    2,
    leased=3,
    oldest_s=12.5,
    models=(
        ModelLoad(model="nuclei", version="1", open_px=4096, px_per_slot_s=1e6),
        ModelLoad(model="cells", version="2", open_px=512),
    ),
)


class Queue(MemoryQueue):
    """A queue that says what it is told to say, or does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Backlog | None = FULL
        self.asked = 0

    async def backlog(self) -> Backlog:
        self.asked += 1
        if self.answer is None:
            raise TransientError("Redis does not answer. Try again soon.")
        return self.answer


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_the_queue_is_asked_once_a_second_whoever_looks() -> None:
    queue, clock = Queue(), Clock()
    gauges = QueueGauges(queue, clock)
    await asyncio.gather(*(gauges.exposition() for _ in range(5)))
    assert await gauges.look() == FULL
    assert queue.asked == 1
    clock.now_s += 1.0
    await gauges.look()
    assert queue.asked == 2


async def test_the_backlog_is_told_by_model() -> None:
    text = (await QueueGauges(Queue()).exposition()).decode()
    for line in (
        "kiosk_queue_up 1.0",
        "kiosk_queue_backlog_parts 7.0",
        "kiosk_queue_backlog_jobs 2.0",
        "kiosk_queue_backlog_leased 3.0",
        "kiosk_queue_oldest_seconds 12.5",
        'kiosk_queue_backlog_px{model="nuclei",version="1"} 4096.0',
        'kiosk_queue_backlog_px{model="cells",version="2"} 512.0',
        'kiosk_model_slot_px_per_second{model="nuclei",version="1"} 1e+06',
    ):
        assert f"\n{line}\n" in text
    assert 'kiosk_model_slot_px_per_second{model="cells"' not in text  # not measured yet
    assert all(f"# TYPE {name} gauge" in text for name in QUEUE_GAUGES)


async def test_without_redis_there_is_no_backlog_rather_than_an_old_one() -> None:
    queue, clock = Queue(), Clock()
    gauges = QueueGauges(queue, clock)
    await gauges.exposition()
    queue.answer = None
    clock.now_s += 1.0
    text = (await gauges.exposition()).decode()
    assert "kiosk_queue_up 0.0" in text
    assert "kiosk_queue_backlog" not in text
    assert "kiosk_build_info" in text or "kiosk_jobs_total" in text  # its own are still told


async def test_what_a_role_says_of_itself() -> None:
    ready = True

    async def condition() -> Condition:
        return Condition(is_ready=ready, facts={"redis": ready, "draining": False})

    async with TestClient(TestServer(make_status_app("server", condition))) as web:
        assert (await web.get("/healthz")).status == 200
        answer = await web.get("/readyz")
        assert answer.status == 200
        assert await answer.json() == {
            "role": "server",
            "ready": True,
            "redis": True,
            "draining": False,
        }
        ready = False
        assert (await web.get("/readyz")).status == 503
        assert (await web.get("/healthz")).status == 200
        metrics = await web.get("/metrics")
        assert "text/plain" in metrics.headers["Content-Type"]
        assert "kiosk_jobs_total" in await metrics.text()


async def always() -> Condition:
    return Condition(is_ready=True)


async def test_zero_is_no_port() -> None:
    async with status_port(StatusSettings(port=0), "server", always) as port:
        assert port == 0


async def test_a_port_that_is_taken_is_told() -> None:
    settings = StatusSettings(port=free_port())
    async with (
        status_port(settings, "server", always) as port,
        ClientSession() as session,
    ):
        assert (await session.get(f"http://127.0.0.1:{port}/healthz")).status == 200
        with pytest.raises(PermanentError, match="KIOSK_STATUS__PORT"):
            async with status_port(settings, "server", always):
                pass

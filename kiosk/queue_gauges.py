"""What the queue says of itself, as metrics: read when somebody looks, at most once a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from kiosk.errors import KioskError
from kiosk.ports import Backlog, JobQueue
from kiosk.telemetry import QUEUE_GAUGES

FRESH_S = 1.0
# Probes wait a second; the answer that Redis does not come has to be there by then.
PATIENCE_S = 0.8


class QueueGauges:
    """The backlog for those who look at a process from outside.

    Args:
        clock: gives seconds.
    """

    def __init__(self, queue: JobQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._clock = clock
        self._looking = asyncio.Lock()
        self._seen: Backlog | None = None
        self._until_s = float("-inf")

    async def look(self) -> Backlog | None:
        """How much work there is, not older than a second; None while Redis does not answer."""
        async with self._looking:
            if self._clock() >= self._until_s:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        self._seen = await self._queue.backlog()
                except (KioskError, TimeoutError):
                    self._seen = None
                self._until_s = self._clock() + FRESH_S
            return self._seen

    async def exposition(self) -> bytes:
        """All metrics of this process and those of the queue, as Prometheus reads them.

        Without an answer of Redis there is no backlog: an old one would look like a queue that
        stands still.
        """
        backlog = await self.look()
        return generate_latest() + generate_latest(_registry(backlog))


def _registry(backlog: Backlog | None) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str) -> Gauge:
        text, labels = QUEUE_GAUGES[name]
        return Gauge(name, text, labels, registry=registry)

    gauge("kiosk_queue_up").set(backlog is not None)
    if backlog is None:
        return registry
    gauge("kiosk_queue_backlog_parts").set(backlog.parts)
    gauge("kiosk_queue_backlog_jobs").set(backlog.jobs)
    gauge("kiosk_queue_backlog_leased").set(backlog.leased)
    gauge("kiosk_queue_oldest_seconds").set(backlog.oldest_s)
    open_px, pace = gauge("kiosk_queue_backlog_px"), gauge("kiosk_model_slot_px_per_second")
    for load in backlog.models:
        open_px.labels(load.model, load.version).set(load.open_px)
        if load.px_per_slot_s:
            pace.labels(load.model, load.version).set(load.px_per_slot_s)
    return registry

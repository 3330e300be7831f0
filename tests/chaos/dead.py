"""The parts that a kiosk has given up, as its queue has them."""

from __future__ import annotations

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.jobs import DeadLetter
from kiosk.queue_policy import QueuePolicy

DeadPart = DeadLetter


async def dead_parts(redis_url: str) -> list[DeadLetter]:
    queue = RedisQueue(redis_url, QueuePolicy())
    try:
        return await queue.dead_letters(10_000)
    finally:
        await queue.close()

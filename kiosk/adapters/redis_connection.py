"""How Redis is reached by those who ask it now and then; the queue has a pool of its own."""

from __future__ import annotations

from typing import Any

import redis.asyncio as redis

SOCKET_TIMEOUT_S = 10.0


def connect(url: str) -> Any:
    """A client that decodes responses, to be closed. Any: as in RedisQueue."""
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=SOCKET_TIMEOUT_S, health_check_interval=15
    )

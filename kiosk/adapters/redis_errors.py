"""Errors of the Redis library as errors of the kiosk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kiosk.errors import Overloaded, TransientError
from kiosk.telemetry import REDIS_ERRORS


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Errors of the Redis library as errors of the kiosk, and how often there are some."""
    try:
        with REDIS_ERRORS.count_exceptions((RedisError, OSError)):
            yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise TransientError("Redis does not answer. Try again soon.") from error
    except ResponseError as error:
        if isinstance(error, OutOfMemoryError) or "OOM command" in str(error):  # as scripts put it
            raise Overloaded(
                "The memory of Redis is full, so no new jobs are taken until some are"
                " done or deleted. Try again later."
            ) from error
        # LOADING, READONLY and the like: the server is there, but not able.
        raise TransientError(f"Redis refused a step: {error}.") from error
    except RedisError as error:
        raise TransientError(f"Redis failed: {error}.") from error

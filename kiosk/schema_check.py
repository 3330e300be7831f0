"""No role works on the data of another kiosk version, also where Redis comes after the role."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from kiosk.errors import Overloaded, TransientError

log = logging.getLogger(__name__)

# A role begins without Redis, as it goes on without it; a network that swallows all is no reason
# to keep its probes waiting.
FIRST_LOOK_S = 3.0
LOOK_AGAIN_S = 1.0

Check = Callable[[], Awaitable[None]]


@asynccontextmanager
async def schema_checked(check: Check, stopping: asyncio.Event) -> AsyncIterator[None]:
    """Around the work of a role.

    Args:
        check: see `RedisQueue.check_schema`.
        stopping: is set when Redis comes later and has the data of another version.

    Raises:
        PermanentError: Redis has the data of another version; before the work where it answers.
    """
    looking = None
    if not await _is_known(check, FIRST_LOOK_S):
        log.warning("Redis does not say yet which kiosk's data it has; looking again until it does")
        looking = asyncio.create_task(_look(check, stopping))
    try:
        yield
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.wait({looking})
    if looking is not None and not looking.cancelled():
        looking.result()


async def _look(check: Check, stopping: asyncio.Event) -> None:
    try:
        is_known = False
        while not is_known:
            await asyncio.sleep(LOOK_AGAIN_S)
            is_known = await _is_known(check, None)
    except Exception:
        stopping.set()
        raise


async def _is_known(check: Check, patience_s: float | None) -> bool:
    """False when Redis cannot say."""
    try:
        async with asyncio.timeout(patience_s):
            await check()
    except (TransientError, Overloaded, TimeoutError):
        return False
    return True

"""Which kiosk's data are in Redis: their layout has a number, so that no kiosk misreads another's.

The layout is described in `lua/_common.lua`. Its number goes up with a change that
a kiosk of before, or what it left, cannot go along with.
"""

from __future__ import annotations

from typing import Any

from kiosk.adapters.redis_errors import translated
from kiosk.errors import PermanentError

SCHEMA = 1


async def check_schema(redis: Any, prefix: str) -> None:
    """Note the number of our layout in a Redis that has none yet.

    Args:
        redis: a client that decodes responses.

    Raises:
        PermanentError: the data there are of another layout.
        TransientError, Overloaded: Redis does not answer, or cannot take the number.
    """
    key = f"{prefix}:schema"
    async with translated():
        found = await redis.get(key)
        if found is None:  # unless another process of this kiosk has just done it
            await redis.set(key, SCHEMA, nx=True)
            found = await redis.get(key)
    if found != str(SCHEMA):
        raise _other_layout(found)


def _other_layout(found: str) -> PermanentError:
    numbers = f"layout {found}, and this one knows {SCHEMA}"
    if found.isdigit() and int(found) < SCHEMA:
        return PermanentError(
            f"The data in Redis are of an older kiosk ({numbers}): let that one finish its jobs,"
            " then start this one with an empty Redis.",
            reason="SCHEMA_IS_OLDER",
        )
    return PermanentError(
        f"The data in Redis are of a newer kiosk ({numbers}): install that version again, or"
        " give this one a Redis of its own with KIOSK_QUEUE__REDIS_URL.",
        reason="SCHEMA_IS_NEWER",
    )

"""Rollouts of models in Redis.

{prefix}:rollouts    hash: name of the model -> JSON
"""

from __future__ import annotations

import json
from dataclasses import asdict

from kiosk.adapters.redis_connection import connect
from kiosk.adapters.redis_errors import translated
from kiosk.errors import TransientError
from kiosk.ports import RolloutChange
from kiosk.rollouts import Rollout

# Administrators that take steps at the same moment are few.
MOST_TRIES = 50

# KEYS: the hash. ARGV: model, JSON that is expected, JSON to be stored; "" is no rollout.
# Returns 1 when it was stored, 0 when something else was there.
_REPLACE = """
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
if ARGV[3] == "" then redis.call("HDEL", KEYS[1], ARGV[1])
else redis.call("HSET", KEYS[1], ARGV[1], ARGV[3]) end
return 1
"""


class RedisRolloutBook:
    """`ports.RolloutBook` over one Redis server."""

    def __init__(self, url: str, prefix: str = "{kiosk}") -> None:
        self._redis = connect(url)
        self._key = f"{prefix}:rollouts"
        self._replace = self._redis.register_script(_REPLACE)

    async def close(self) -> None:
        await self._redis.aclose()

    async def list(self) -> list[Rollout]:
        async with translated():
            records = await self._redis.hgetall(self._key)
        return [_unpacked(model, records[model]) for model in sorted(records)]

    async def update(self, model: str, change: RolloutChange) -> Rollout | None:
        for _ in range(MOST_TRIES):
            async with translated():
                before = await self._redis.hget(self._key, model) or ""
            after = change(_unpacked(model, before) if before else None)
            record = _packed(after) if after is not None else ""
            async with translated():
                if await self._replace(keys=[self._key], args=[model, before, record]):
                    return after
        raise TransientError(f"Others change the rollout of '{model}' all the time. Try again.")


def _packed(rollout: Rollout) -> str:
    return json.dumps({k: v for k, v in asdict(rollout).items() if v and k != "model"})


def _unpacked(model: str, record: str) -> Rollout:
    known = Rollout.__dataclass_fields__
    # A newer kiosk may have written more, while it takes the place of this one.
    fields = {k: v for k, v in json.loads(record).items() if k in known}
    return Rollout(model=model, **fields)

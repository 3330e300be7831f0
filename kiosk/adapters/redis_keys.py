"""API keys in Redis.

{prefix}:keys              hash: key id -> JSON; written once
{prefix}:key_revocations   hash: key id -> when; written once
{prefix}:key_uses          hash: key id -> when, last
{prefix}:signing_secret    the secret with which this kiosk signs
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict

from kiosk.adapters.redis_connection import connect
from kiosk.adapters.redis_errors import translated
from kiosk.api_keys import ApiKey
from kiosk.callers import Scope
from kiosk.errors import NotFound

SIGNING_SECRET_BYTES = 32


class RedisKeyRing:
    """`ports.KeyRing` over one Redis server."""

    def __init__(self, url: str, prefix: str = "{kiosk}") -> None:
        self._redis = connect(url)
        self._keys, self._uses = f"{prefix}:keys", f"{prefix}:key_uses"
        self._revocations = f"{prefix}:key_revocations"
        self._secret = f"{prefix}:signing_secret"

    async def close(self) -> None:
        await self._redis.aclose()

    async def add(self, key: ApiKey) -> None:
        async with translated():
            await self._redis.hset(self._keys, key.id, _packed(key))

    async def get(self, key_id: str) -> ApiKey:
        async with translated(), self._redis.pipeline(transaction=False) as pipe:
            for name in (self._keys, self._uses, self._revocations):
                pipe.hget(name, key_id)
            record, use, revocation = await pipe.execute()
        if record is None:
            raise NotFound(f"There is no key '{key_id}'. `kiosk keys list` shows all.")
        return _unpacked(record, use, revocation)

    async def list(self) -> list[ApiKey]:
        async with translated(), self._redis.pipeline(transaction=False) as pipe:
            for name in (self._keys, self._uses, self._revocations):
                pipe.hgetall(name)
            records, uses, revocations = await pipe.execute()
        keys = [
            _unpacked(record, uses.get(key_id), revocations.get(key_id))
            for key_id, record in records.items()
        ]
        return sorted(keys, key=lambda key: (key.create_time_s, key.id))

    async def revoke(self, key_id: str, time_s: float) -> ApiKey:
        await self.get(key_id)
        async with translated():
            await self._redis.hsetnx(self._revocations, key_id, time_s)
        return await self.get(key_id)

    async def used(self, key_id: str, time_s: float) -> None:
        async with translated():
            await self._redis.hset(self._uses, key_id, time_s)

    async def signing_secret(self) -> str:
        async with translated():
            await self._redis.set(self._secret, secrets.token_hex(SIGNING_SECRET_BYTES), nx=True)
            return str(await self._redis.get(self._secret))


def _packed(key: ApiKey) -> str:
    kept = {**asdict(key), "scopes": sorted(key.scopes)}
    return json.dumps({name: value for name, value in kept.items() if value})


def _unpacked(record: str, use: str | None, revocation: str | None) -> ApiKey:
    fields = json.loads(record)
    fields["scopes"] = frozenset(Scope(scope) for scope in fields["scopes"])
    return ApiKey(
        **{**fields, "use_time_s": float(use or 0), "revoke_time_s": float(revocation or 0)}
    )

"""`ports.KeyRing` in memory."""

from __future__ import annotations

import secrets
from dataclasses import replace

from kiosk.api_keys import ApiKey
from kiosk.errors import NotFound


class MemoryKeyRing:
    """`ports.KeyRing` in memory."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._secret = secrets.token_hex(32)

    async def add(self, key: ApiKey) -> None:
        self._keys[key.id] = key

    async def get(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise NotFound(f"There is no key '{key_id}'.")
        return self._keys[key_id]

    async def list(self) -> list[ApiKey]:
        return sorted(self._keys.values(), key=lambda key: (key.create_time_s, key.id))

    async def revoke(self, key_id: str, time_s: float) -> ApiKey:
        key = await self.get(key_id)
        self._keys[key_id] = replace(key, revoke_time_s=key.revoke_time_s or time_s)
        return self._keys[key_id]

    async def used(self, key_id: str, time_s: float) -> None:
        self._keys[key_id] = replace(await self.get(key_id), use_time_s=time_s)

    async def signing_secret(self) -> str:
        return self._secret

"""Whether the kiosk does anything at this moment: its queue counts what it hands out."""

from __future__ import annotations

import asyncio
import time

import redis

from kiosk.machine import running
from tests.chaos.victim import Victim

LOOK_EVERY_S = 0.25
TURN = "{kiosk}:turn"


class Pulse:
    """Looks at the queue until it is cancelled; `beats_s` are times of time.monotonic()."""

    def __init__(self, victim: Victim) -> None:
        self._victim = victim
        self._last: bytes | None = None
        self.beats_s: list[float] = []

    async def watch(self) -> None:
        while True:
            now = await asyncio.to_thread(self._look)
            if now is not None and now != self._last:
                self._last = now
                self.beats_s.append(time.monotonic())
            await asyncio.sleep(LOOK_EVERY_S)

    def _look(self) -> bytes | None:
        kiosk = running(self._victim.home)  # other ports after the supervisor was killed
        if kiosk is None:
            return None
        try:
            with redis.Redis.from_url(kiosk.redis_url, socket_timeout=LOOK_EVERY_S) as client:
                return client.get(TURN)  # type: ignore[return-value]
        except redis.RedisError:
            return None

    def recovery_s(self, since_s: float) -> float | None:
        """How long after a moment something was handed out; None when nothing was any more."""
        later = [beat for beat in self.beats_s if beat > since_s]
        return later[0] - since_s if later else None

"""Who waits for changes of which job: one connection to Redis for all watchers of a server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import RedisError

log = logging.getLogger(__name__)

RECONNECT_S = 1.0
# A watcher looks again after so long without a word, should one ever get lost.
LONGEST_SILENCE_S = 30.0
SUBSCRIBED_WITHIN_S = 5.0


class Changed:
    """Set by every word about one job; one for each watcher."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def tell(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Until there is a word that was not waited for yet, or long silence."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SILENCE_S):
                await self._event.wait()
        self._event.clear()


class ChangeListener:
    """Subscribes to the channel of every job that is watched, and only to those.

    Args:
        client: a redis.asyncio.Redis that decodes responses.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._pubsub: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._watchers: dict[str, set[Changed]] = {}
        self._subscribed: dict[str, asyncio.Event] = {}
        # Two that send at the same time while there is no connection would open one each.
        self._sending = asyncio.Lock()

    @asynccontextmanager
    async def following(self, channel: str) -> AsyncIterator[Changed]:
        """Words on one channel, from the moment the block begins. Raises RedisError."""
        changed = Changed()
        self._watchers.setdefault(channel, set()).add(changed)
        try:
            await self._subscribe(channel)
            yield changed
        finally:
            await self._leave(channel, changed)

    async def _subscribe(self, channel: str) -> None:
        if channel not in self._subscribed:
            self._subscribed[channel] = asyncio.Event()
            if self._pubsub is None:
                self._pubsub = self._client.pubsub()
            async with self._sending:
                await self._pubsub.subscribe(channel)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.create_task(self._read())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SUBSCRIBED_WITHIN_S):
                await self._subscribed[channel].wait()

    async def _leave(self, channel: str, changed: Changed) -> None:
        watchers = self._watchers.get(channel, set())
        watchers.discard(changed)
        if watchers:
            return
        self._watchers.pop(channel, None)
        self._subscribed.pop(channel, None)
        with contextlib.suppress(RedisError, OSError):
            async with self._sending:
                await self._pubsub.unsubscribe(channel)

    async def _read(self) -> None:
        while self._watchers:
            try:
                message = await self._pubsub.get_message(timeout=LONGEST_SILENCE_S)
            except (RedisError, OSError) as error:
                log.warning("watchers lost Redis, which is asked again: %s", error)
                await asyncio.sleep(RECONNECT_S)
                # What was said meanwhile is lost; the next read connects and subscribes anew.
                self._tell_all()
                continue
            if message is not None:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        channel = message["channel"]
        if message["type"] == "subscribe" and channel in self._subscribed:
            self._subscribed[channel].set()
        if message["type"] in ("message", "subscribe"):
            for changed in self._watchers.get(channel, ()):
                changed.tell()

    def _tell_all(self) -> None:
        for watchers in self._watchers.values():
            for changed in watchers:
                changed.tell()

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._pubsub is not None:
            await self._pubsub.aclose()

"""The slots of a consumer: parts are done side by side, but a suspect one is done alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Slots:
    """Who works beside whom in one consumer.

    An image that kills its consumer takes with it what is done beside it, and nobody can tell
    afterwards which of them it was. So a part whose consumer ended without a word is done with no
    other beside it the next time: then it harms nobody else, and an innocent one gets through.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._waiting = 0
        self._alone = False
        self._changed = asyncio.Event()

    @property
    def is_one_wanted_alone(self) -> bool:
        return self._waiting > 0

    @property
    def is_one_alone(self) -> bool:
        """Whether nobody but the asking holder has a slot."""
        return self._taken == 1

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A slot, from before a part is leased until its end; waits while a part is alone."""
        await self._until(lambda: not self._alone and not self._waiting)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._tell()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """For the holder of a slot: the only one that works, once all others are done."""
        self._waiting += 1
        try:
            # Others that wait for the same hold slots too, but do nothing.
            await self._until(lambda: not self._alone and self._taken <= self._waiting)
            self._alone = True
        finally:
            self._waiting -= 1
            self._tell()
        try:
            yield
        finally:
            self._alone = False
            self._tell()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

"""Arrays that were made for somebody and will be asked for again, up to so many bytes."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

import numpy as np


class PieceCache:
    """The arrays used last. Who asks for one that is being made waits for it with the others.

    Args:
        most_bytes: of all arrays together; what is larger by itself is given and not kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._kept: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._made: dict[Hashable, asyncio.Task[np.ndarray]] = {}

    async def get(
        self, key: Hashable, make: Callable[[], Coroutine[Any, Any, np.ndarray]]
    ) -> np.ndarray:
        """The array of a key, made if need be; nobody may write to it. Raises what `make` does.

        Making goes on when the one who asked is gone: most often others wait, too.
        """
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        task = self._made.get(key)
        if task is None:
            task = asyncio.create_task(make())
            self._made[key] = task
            task.add_done_callback(lambda done: self._take(key, done))
        return await asyncio.shield(task)

    def _take(self, key: Hashable, task: asyncio.Task[np.ndarray]) -> None:
        if self._made.get(key) is task:
            del self._made[key]
        if task.cancelled() or task.exception() is not None:
            return
        array = task.result()
        if array.nbytes > self._most_bytes:
            return
        self._kept[key] = array
        self._bytes += array.nbytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def close(self) -> None:
        """Forget all; what is being made is given up."""
        for task in self._made.values():
            task.cancel()
        self._kept.clear()
        self._bytes = 0

"""Any asynchronous object for programs that are not asynchronous."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from typing import Any


class Blocking:
    """The methods of an object, run on an event loop in a thread of its own.

    Args:
        wrapped: with coroutines, asynchronous iterators, and a coroutine `close`.
    """

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._run(self._wrapped.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._wrapped, name)
        if inspect.isasyncgenfunction(member):
            return lambda *args, **kwargs: self._iterate(member(*args, **kwargs))
        if inspect.iscoroutinefunction(member):
            return lambda *args, **kwargs: self._run(member(*args, **kwargs))
        return member

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(n for n in dir(self._wrapped) if not n.startswith("_"))]

    def _run(self, coroutine: Any) -> Any:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _iterate(self, iterator: Any) -> Iterator[Any]:
        while True:
            try:
                yield self._run(anext(iterator))
            except StopAsyncIteration:
                return

"""Arrays are made once for all who ask, and the oldest go first."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from kiosk.piece_cache import PieceCache


class Maker:
    """Makes arrays of 8 bytes, when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made, self.go, self.error = 0, asyncio.Event(), error

    async def __call__(self) -> np.ndarray:
        self.made += 1
        await self.go.wait()
        if self.error:
            raise self.error
        return np.zeros(8, np.uint8)


async def test_who_asks_meanwhile_waits_for_the_same() -> None:
    cache, maker = PieceCache(100), Maker()
    asked = [asyncio.create_task(cache.get("a", maker)) for _ in range(5)]
    await asyncio.sleep(0)
    maker.go.set()
    arrays = await asyncio.gather(*asked)
    assert maker.made == 1
    assert all(array is arrays[0] for array in arrays)
    assert await cache.get("a", maker) is arrays[0]


async def test_one_that_gives_up_does_not_stop_the_others() -> None:
    cache, maker = PieceCache(100), Maker()
    first = asyncio.create_task(cache.get("a", maker))
    second = asyncio.create_task(cache.get("a", maker))
    await asyncio.sleep(0)
    first.cancel()
    maker.go.set()
    assert (await second).nbytes == 8
    assert maker.made == 1


async def test_errors_are_told_to_all_and_not_kept() -> None:
    cache, maker = PieceCache(100), Maker(ValueError("broken"))
    maker.go.set()
    found = await asyncio.gather(*(cache.get("a", maker) for _ in range(2)), return_exceptions=True)
    assert [str(error) for error in found] == ["broken", "broken"]
    with pytest.raises(ValueError, match="broken"):
        await cache.get("a", maker)
    assert maker.made == 2


async def test_the_oldest_go_first_and_what_is_too_large_is_not_kept() -> None:
    cache, maker = PieceCache(20), Maker()
    maker.go.set()
    for key in ("a", "b", "a", "c", "a", "b"):  # c drives b out, and b then c
        await cache.get(key, maker)
    assert maker.made == 4
    small = PieceCache(7)
    for _ in range(2):
        assert (await small.get("a", maker)).nbytes == 8
    assert maker.made == 6

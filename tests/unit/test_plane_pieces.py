"""Pieces of planes: who waits for whom, and what is read of slides."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from segmented import spots, tiff

from kiosk import plane_pieces
from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import KioskError, TooLarge
from kiosk.imaging.tile_grid import SMALLEST_PX
from kiosk.pipelines.context import Origin
from kiosk.plane_pieces import READ_AT_A_TIME, PlanePieces
from kiosk.ports import File, ImageEntry, ImageSource, Window
from kiosk.reading import ReadOptions
from kiosk.settings import LimitSettings
from kiosk.testing import MemoryStore

FIRST = slice(0, 16), slice(0, 16)


class Slow:
    """An image of many planes that are read only when they may be, and how large windows were."""

    def __init__(self, source: ImageSource, go: threading.Event, read_px: list[int]) -> None:
        self._source, self._go, self._read_px = source, go, read_px

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def plane(
        self, t: int, z: int, channels: Sequence[int], window: Window | None = None, level: int = 0
    ) -> np.ndarray:
        assert self._go.wait(20)
        pixels = self._source.plane(t, z, channels, window, level)
        self._read_px.append(pixels.size)
        return pixels


class SlowFiles:
    """Opens images whose name says so slowly; at most as many planes at a time as are let go."""

    def __init__(self) -> None:
        self._files = ImageFileReader(LimitSettings())
        self.go = threading.Event()
        self.read_px: list[int] = []

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        go = self.go if "slow" in file_name else threading.Event()
        if go is not self.go:
            go.set()
        return Slow(self._files.open(file, file_name, options), go, self.read_px)

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        return self._files.entries(file, file_name)


async def pieces_of(**images: np.ndarray) -> tuple[PlanePieces, SlowFiles, dict[str, Origin]]:
    store, files = MemoryStore(), SlowFiles()
    for name, image in images.items():
        await store.put(name, tiff(image, metadata={"axes": "ZYX"[-image.ndim :]}, ome=True))
    origins = {name: Origin(file_name=f"{name}.tif", key=name) for name in images}
    return PlanePieces(store, files), files, origins


async def test_those_who_wait_for_one_image_hold_up_nobody_else() -> None:
    many = READ_AT_A_TIME + 3
    pieces, files, origins = await pieces_of(slow=spots((many, 40, 40)), other=spots((2, 40, 40)))
    slow, other = await pieces.image(origins["slow"]), await pieces.image(origins["other"])
    waiting = [asyncio.create_task(pieces.pixels(slow, 0, z, 0, 0, FIRST)) for z in range(many)]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert (await pieces.pixels(other, 0, 1, 0, 0, FIRST)).shape == (16, 16)
    assert not any(task.done() for task in waiting)
    files.go.set()
    found = await asyncio.gather(*waiting)
    expected = spots((many, 40, 40))
    for z, pixels in enumerate(found):
        np.testing.assert_array_equal(pixels, expected[z][FIRST])
    pieces.close()


async def test_what_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane_pieces, "PATIENCE_S", -1.0)
    pieces, _, origins = await pieces_of(image=spots((40, 40)))
    image = await pieces.image(origins["image"])
    with pytest.raises(TooLarge) as caught:
        await pieces.pixels(image, 0, 0, 0, 0, FIRST)
    assert caught.value.reason == "TOO_SLOW"
    pieces.close()


async def test_contrast_of_a_slide_without_resolutions_does_not_read_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plane_pieces, "LOOK_PX", 100_000)
    monkeypatch.setattr(plane_pieces, "LOOK_WINDOW_PX", 64)
    image = np.random.default_rng(1).normal(1000, 50, (3 * SMALLEST_PX, SMALLEST_PX))
    pieces, files, origins = await pieces_of(image=image.astype(np.float32))
    values = await pieces.values(await pieces.image(origins["image"]), 0)
    assert sum(files.read_px) == 3 * 64 * 64
    low, high = (values.offset + values.scale * value for value in (values.low, values.high))
    assert 800 < low < 950
    assert 1050 < high < 1200
    pieces.close()


async def test_an_error_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces, _, origins = await pieces_of(image=spots((40, 40)))
    image = await pieces.image(origins["image"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plane_pieces, "PATIENCE_S", -1.0)
        with pytest.raises(KioskError):
            await pieces.pixels(image, 0, 0, 0, 0, FIRST)
    assert (await pieces.pixels(image, 0, 0, 0, 0, FIRST)).shape == (16, 16)
    pieces.close()

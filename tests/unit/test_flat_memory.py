"""Peak memory of a job does not grow with its plane, its planes or its channels.

Everything that is read or held at a time is made small here, so that small planes are many times
as large, as slides are in earnest. `tracemalloc` counts arrays of numpy too. OME-Zarr is left out:
zarr packs in threads of its own.
"""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kiosk.adapters.object_store import ObstoreObjectStore
from kiosk.jobs import Job, upload_key
from kiosk.pipelines import segmentation
from kiosk.pipelines.context import JobContext, OpenImages, SegmentationOptions
from kiosk.ports import File, ImageEntry, ImageSource, Window
from kiosk.reading import ReadOptions
from kiosk.request import SegmentationRequest
from kiosk.testing import FakeInference, make_card

FORMATS = ("labels", "grown", "table", "overlay", "parquet", "rois", "geojson")
SMALL = {
    "kiosk.exports.label_tiff.LARGE_PX": 256,
    "kiosk.exports.label_tiff.TILE_PX": 64,
    "kiosk.exports.grown_tiff.PIECE_PX": 64,
    "kiosk.exports.label_tiff.SMALLEST_PX": 256,
    "kiosk.exports.label_tiff.AT_A_TIME_BYTES": 2**16,
    "kiosk.exports.outlines.WINDOW_PIXELS": 2**14,
    "kiosk.exports.overlay.PICTURE_PX": 100,
    "kiosk.exports.qc_sheet.PICTURE_PX": 100,
    "kiosk.exports.qc_sheet.WHOLE_PIXELS": 2**14,
    "kiosk.exports.qc_sheet.WINDOW_PX": 32,
    "kiosk.exports.parquet.GROUP_ROWS": 100,
    "kiosk.imaging.giants.MOST_BYTES": 2**14,
    "kiosk.imaging.volume_measurements.MOST_BYTES": 2**14,
    "kiosk.imaging.intensity.SAMPLE_LIMIT_PX": 2**14,
    "kiosk.imaging.overviews.BAND_PX": 2**15,
    "kiosk.pipelines.joining.BAND_PX": 2**14,
    "kiosk.pipelines.joining.GIANT_WINDOW_PX": 2**16,
    "kiosk.pipelines.volume_joining.WINDOW_PX": 2**15,
    "kiosk.pipelines.label_planes.AT_A_TIME_BYTES": 2**17,
    "kiosk.pipelines.segmentation.AT_A_TIME_BYTES": 2**17,
    "kiosk.pipelines.sizing.WINDOW_PX": 64,
}
# How much more a job of four times the size may take: rows of the plane, names of parts.
MOST_GROWTH = 1.3

Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


def spots(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A bright spot every 32 pixels."""
    return np.where((y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 40, 200, 10)


def one_instance(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bright all over, with a dark hole every 32 pixels."""
    return np.where((y % 32 < 4) & (x % 32 < 4), 10, 200)


class Painted:
    """`ports.ImageSource` of any size that is made window by window."""

    format, axes, is_rgb = "TIFF", "TCZYX", False
    dtype = np.dtype(np.uint8)
    pixel_size_um, z_step_um, frame_interval_s = (0.5, 0.5), 1.0, None
    notes: tuple[str, ...] = ()

    def __init__(self, paint: Paint, **sizes: int) -> None:
        self._paint = paint
        self.sizes: Mapping[str, int] = {"t": 1, "c": 1, "z": 1, **sizes}
        self.levels = ((self.sizes["y"], self.sizes["x"]),)
        self.channel_names = tuple(f"channel {n}" for n in range(self.sizes["c"]))

    def plane(
        self, t: int, z: int, channels: Sequence[int], window: Window | None = None, level: int = 0
    ) -> np.ndarray:
        rows, columns = window or (slice(0, self.sizes["y"]), slice(0, self.sizes["x"]))
        y = np.arange(rows.start, rows.stop, dtype=np.int32)[:, None]
        x = np.arange(columns.start, columns.stop, dtype=np.int32)
        # Every third plane shows other instances: those of a stack come to an end.
        shown = self._paint(y, x + 16 * (z // 3)).astype(np.uint8)
        return np.stack([shown] * len(channels))

    def close(self) -> None:
        pass


class PaintedFiles:
    """`ports.ImageFiles` with one image."""

    def __init__(self, source: Painted) -> None:
        self._source = source

    def open(self, file: File, file_name: str, options: ReadOptions = ReadOptions()) -> ImageSource:
        return self._source

    def entries(self, file: File, file_name: str) -> list[ImageEntry]:
        return [ImageEntry()]


async def peak_bytes(folder: Path, source: Painted, block_px: int = 128, **request: Any) -> int:
    """The most memory of a whole job, part after part. What is stored lies on the disk."""
    store = ObstoreObjectStore(str(folder))
    await store.put(upload_key("u"), b"-")
    card = make_card(tile_px=128, high_percentile=99.0)
    wanted = SegmentationRequest(formats=FORMATS, channel="0", **request)
    context = JobContext(
        job=Job(
            id="j",
            pipeline="segmentation",
            upload_id="u",
            file_name="slide.tif",
            model=card.name,
            model_version="1",
            parameters=wanted.as_parameters(),
        ),
        card=card,
        store=store,
        images=OpenImages(store, PaintedFiles(source)),
        inference=FakeInference([card]),
        options=SegmentationOptions(block_px=block_px, block_halo_px=32),
    )
    tracemalloc.start()
    try:
        parts, _ = await segmentation.plan(context)
        for part in parts:
            await segmentation.run(context, part)
        await segmentation.join(context)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is imported on the way stays, and is not counted."""
    asyncio.run(peak_bytes(tmp_path_factory.mktemp("first"), Painted(spots, y=150, x=150)))


@pytest.fixture(autouse=True)
def _little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(name, value)


@pytest.mark.parametrize("paint", [spots, one_instance])
async def test_peak_does_not_grow_with_the_plane(tmp_path: Path, paint: Paint) -> None:
    small = await peak_bytes(tmp_path / "1", Painted(paint, y=384, x=384))
    large = await peak_bytes(tmp_path / "2", Painted(paint, y=768, x=768))
    assert large < MOST_GROWTH * small


@pytest.mark.parametrize("volume", [False, True])
async def test_peak_does_not_grow_with_the_planes(tmp_path: Path, volume: bool) -> None:
    sizes = {"y": 150, "x": 150}
    small = await peak_bytes(tmp_path / "1", Painted(spots, z=3, **sizes), volume=volume)
    large = await peak_bytes(tmp_path / "2", Painted(spots, z=12, **sizes), volume=volume)
    assert large < MOST_GROWTH * small


@pytest.mark.parametrize("block_px", [256, 128])  # a whole plane, and blocks
async def test_peak_does_not_grow_with_the_channels(tmp_path: Path, block_px: int) -> None:
    sizes = {"y": 256, "x": 256}
    small = await peak_bytes(tmp_path / "1", Painted(spots, c=8, **sizes), block_px)
    large = await peak_bytes(tmp_path / "2", Painted(spots, c=32, **sizes), block_px)
    assert large < MOST_GROWTH * small

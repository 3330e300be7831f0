"""Intensity limits of a plane are found once for all of its blocks, without reading it whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from segmented import ome

from kiosk.adapters.image_files import ImageFileReader
from kiosk.imaging import overviews
from kiosk.imaging.intensity import plane_limits
from kiosk.pipelines.limits import limits_of_plane
from kiosk.ports import ImageSource
from kiosk.request import SegmentationRequest
from kiosk.settings import LimitSettings
from kiosk.testing import MemoryStore, make_card


def opened(pixels: np.ndarray, axes: str) -> ImageSource:
    import io

    return ImageFileReader(LimitSettings()).open(io.BytesIO(ome(pixels, axes)), "a.tif")


def context(store: MemoryStore) -> Any:
    card = make_card(low_percentile=1.0, high_percentile=99.0)
    job, request = SimpleNamespace(id="j1"), SegmentationRequest()
    return SimpleNamespace(store=store, card=card, job=job, request=request)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 5000, (2, 2, 90, 70)).astype(np.uint16)


@pytest.mark.parametrize("band_px", [1, 1000, 10**7])
@pytest.mark.parametrize("channels", [[0], [1], [0, 1]])
async def test_limits_are_those_of_the_whole_plane(
    pixels: np.ndarray, band_px: int, channels: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overviews, "BAND_PX", band_px)
    monkeypatch.setattr("kiosk.imaging.intensity.SAMPLE_LIMIT_PX", 800)
    source = opened(pixels, "ZCYX")
    found = await limits_of_plane(context(MemoryStore()), source, (0, 1), channels)
    assert found == plane_limits(pixels[1, channels], 1.0, 99.0)


async def test_they_are_read_once_for_each_plane(pixels: np.ndarray) -> None:
    store = MemoryStore()
    source = opened(pixels, "ZCYX")
    first = await limits_of_plane(context(store), source, (0, 0), [0])
    other = await limits_of_plane(context(store), source, (0, 1), [0])
    assert first != other
    source.close()  # nothing is read again
    assert await limits_of_plane(context(store), source, (0, 0), [0]) == first
    assert sorted(store.objects) == ["jobs/j1/parts/limits-0-0", "jobs/j1/parts/limits-0-1"]

"""Finished planes: small pictures of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from segmented import tiff

from kiosk.adapters.image_files import ImageFileReader
from kiosk.pipelines.label_planes import FinishedPlane, HeldLabels, bands_of, each_channel
from kiosk.ports import ImageSource
from kiosk.settings import LimitSettings

DTYPES = ["u1", "u2", "i2", "i4", "u4", "f4", "f8"]


def source_of(image: np.ndarray) -> ImageSource:
    return ImageFileReader(LimitSettings()).open(io.BytesIO(tiff(image)), "image.tif")


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_pictures_of_any_type(dtype: str) -> None:
    """Of the plane itself, and of a picture of it that was made before."""
    image = np.linspace(0, 100, 90 * 120).reshape(90, 120).astype(dtype)
    plane = FinishedPlane(source_of(image), (0, 0), HeldLabels(np.zeros((90, 120), np.uint32)), 0)
    for longest_px, shape in ((200, (1, 90, 120)), (60, (1, 45, 60)), (40, (1, 30, 40))):
        small = plane.small_pixels([0], longest_px)
        assert small.shape == shape
        assert abs(float(small.mean()) - float(image.mean())) < 1


def test_a_smaller_picture_takes_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(np.zeros((90, 120), np.uint8))
    plane = FinishedPlane(source, (0, 0), HeldLabels(np.zeros((90, 120), np.uint32)), 0)
    plane.small_pixels([0], 60)
    monkeypatch.setattr(source, "plane", None)
    assert plane.small_pixels([0], 40).shape == (1, 30, 40)


def test_each_channel_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.pipelines.label_planes.AT_A_TIME_BYTES", 2 * 5 * 4)
    image = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
    source = source_of(np.moveaxis(image, -1, 0))
    window = slice(2, 7), slice(4, 8)
    channels = list(each_channel(source, (0, 0), window))
    assert len(channels) == source.sizes["c"]
    for number, channel in enumerate(channels):
        np.testing.assert_array_equal(source.plane(0, 0, [number], window)[0], channel)


def test_bands_cover_a_window_once() -> None:
    bands = list(bands_of((slice(3, 20), slice(5, 9)), 4 * 4))
    assert bands[0] == (slice(3, 7), slice(5, 9))
    assert [row for rows, _ in bands for row in range(rows.start, rows.stop)] == list(range(3, 20))
    assert {(columns.start, columns.stop) for _, columns in bands} == {(5, 9)}

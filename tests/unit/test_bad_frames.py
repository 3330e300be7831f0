"""Movies of which a frame cannot be read or segmented."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with
from tracked import (
    failed,
    file_of,
    pictures,
    shuffled,
    tracked,
    truth,
)

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import PermanentError
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, make_card, make_kiosk

TRUTH = truth()


class FailingInference(FakeInference):
    """Refuses tiles of one frame, which is known by its first pixel."""

    def __init__(self, value: int) -> None:
        super().__init__()
        self.value = value

    async def infer(self, model: str, version: str, inputs: Any) -> dict[str, np.ndarray]:
        if self.value in inputs["image"]:
            raise PermanentError("Nobody likes this frame.")
        return await super().infer(model, version, inputs)


def failing(value: int) -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()), inference=FailingInference(value))


async def test_a_frame_that_fails_ends_the_job() -> None:
    movie = pictures(TRUTH)
    movie[2, 0, 0] = 3
    job = await failed(file_of(movie), failing(3))
    assert "Frame 2, counted from 0: Nobody likes this frame." in job.error
    assert "--skip-bad-frames" in job.error


async def test_a_frame_that_fails_may_be_left_out() -> None:
    movie = pictures(TRUTH)
    movie[1, 0, 0] = 3
    found = await tracked(file_of(movie), failing(3), skip_bad_frames=True)
    assert found.run["bad_frames"] == {"1": "Nobody likes this frame."}
    assert not found.labels[1].any()
    assert found.run["tracks"] == 5


async def test_a_broken_label_image_may_be_left_out() -> None:
    labels = TRUTH.astype(np.float32)
    labels[3, 5, 5] = 0.5
    job = await failed(file_of(pictures(TRUTH)), labels=file_of(labels))
    assert "Frame 3" in job.error
    assert "values that are no labels" in job.error
    movie = file_of(pictures(TRUTH))
    found = await tracked(movie, labels=file_of(labels), skip_bad_frames=True)
    assert list(found.run["bad_frames"]) == ["3"]


def with_a_broken_frame(movie: np.ndarray, t: int) -> bytes:
    """A file with compressed frames, of which one cannot be unpacked."""
    data = file_of(movie, compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        page = tif.pages[t]
        places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    spoiled = bytearray(data)
    for offset, count in places:
        spoiled[offset : offset + count] = b"\xff" * count
    return bytes(spoiled)


@pytest.mark.parametrize("block_px", [2560, 48])
@pytest.mark.parametrize("bad", [0, 2, 4])
@pytest.mark.parametrize("given", [False, True])
async def test_a_frame_that_cannot_be_read(block_px: int, bad: int, given: bool) -> None:
    movie = with_a_broken_frame(pictures(TRUTH), bad)
    wanted: dict[str, Any] = {"labels": file_of(shuffled(TRUTH))} if given else {}

    def kiosk() -> FakeKiosk:
        return kiosk_with(block_px=block_px, block_halo_px=24)

    job = await failed(movie, kiosk(), **wanted)
    assert f"Frame {bad}, counted from 0: " in job.error
    found = await tracked(movie, kiosk(), **wanted, skip_bad_frames=True, formats=("all",))
    assert list(found.run["bad_frames"]) == [str(bad)]
    seen = found.labels.any(axis=(1, 2)).tolist()
    assert seen == [t != bad for t in range(5)]
    assert "cells_tracks.jpg" in found.names


@pytest.mark.parametrize("bad", [0, 2, 4])
async def test_the_scale_is_measured_in_frames_that_can_be_read(bad: int) -> None:
    inference = FakeInference([make_card(network_diameter_px=24.0)])
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), inference=inference)
    movie = with_a_broken_frame(pictures(TRUTH), bad)
    found = await tracked(movie, kiosk, skip_bad_frames=True)
    assert found.run["scale"]["diameter_source"] == "measured"
    assert found.run["scale"]["diameter_px"] == pytest.approx(12, abs=2)
    assert list(found.run["bad_frames"]) == [str(bad)]

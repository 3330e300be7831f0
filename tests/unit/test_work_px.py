"""How much work a job is: its pixels, known when it is accepted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from segmented import kiosk_with
from tracked import file_of

from kiosk.callers import LOCAL
from kiosk.pipelines.job_size import work_px
from kiosk.request import Plane, Region, SegmentationRequest
from kiosk.testing import FakeKiosk
from kiosk.tracking_request import TrackingRequest

REGION = Region(min_y_px=10, min_x_px=5, max_y_px=20, max_x_px=25)


def image(*shape: int) -> bytes:
    pixels = np.zeros(shape, np.uint8)
    pixels[..., 10:16, 10:16] = 200
    return file_of(pixels, "TZYX" if len(shape) == 4 else "TYX")


@pytest.fixture
def kiosk() -> FakeKiosk:
    return kiosk_with()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, 3 * 2 * 40 * 50),
        ({"plane": Plane(t=1, z=1)}, 40 * 50),
        ({"region": REGION}, 3 * 2 * 10 * 20),
        ({"region": REGION, "plane": Plane(t=0, z=1)}, 10 * 20),
        ({"volume": True}, 3 * 2 * 40 * 50),
    ],
)
async def test_pixels_of_what_is_asked_for(
    kiosk: FakeKiosk, wanted: dict[str, Any], expected: int
) -> None:
    upload = await kiosk.upload(image(3, 2, 40, 50))
    request = SegmentationRequest(**wanted)
    job = await kiosk.service.segment(
        upload_id=upload, model="bright", request=request, caller=LOCAL
    )
    assert job.work_px == expected
    (load,) = (await kiosk.queue.backlog()).models
    assert (load.model, load.version, load.open_px) == ("bright", job.model_version, expected)


async def test_pixels_of_all_frames_of_a_movie(kiosk: FakeKiosk) -> None:
    movie = await kiosk.upload(image(4, 40, 50))
    job = await kiosk.service.track(upload_id=movie, model="bright", caller=LOCAL)
    assert job.work_px == 4 * 40 * 50


async def test_tracking_given_labels_is_work_for_no_model(kiosk: FakeKiosk) -> None:
    movie = await kiosk.upload(image(4, 2, 40, 50))
    request = TrackingRequest(labels=movie)
    job = await kiosk.service.track(upload_id=movie, request=request, caller=LOCAL)
    assert job.work_px == 4 * 2 * 40 * 50
    (load,) = (await kiosk.queue.backlog()).models
    assert (load.model, load.version, load.open_px) == ("", "", job.work_px)


async def test_nothing_is_open_when_the_work_is_done(kiosk: FakeKiosk) -> None:
    upload = await kiosk.upload(image(3, 2, 40, 50))
    await kiosk.service.segment(upload_id=upload, model="bright", caller=LOCAL)
    await kiosk.service.track(
        upload_id=upload, request=TrackingRequest(labels=upload), caller=LOCAL
    )
    await kiosk.work()
    assert not any(load.open_px for load in (await kiosk.queue.backlog()).models)


def test_a_header_may_claim_any_number_of_planes() -> None:
    """They are counted, not listed."""
    sizes = {"t": 10**9, "c": 1, "z": 10**9, "y": 2, "x": 2}
    assert work_px(sizes, SegmentationRequest()) == 4 * 10**18

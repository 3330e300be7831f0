"""Tracking of label images that a movie comes with, over fakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from segmented import kiosk_with
from tracked import (
    SPANS,
    assert_same_tracks,
    ended,
    failed,
    file_of,
    pictures,
    shuffled,
    spans,
    submitted,
    tracked,
    truth,
)

from kiosk.adapters.image_files import ImageFileReader
from kiosk.callers import LOCAL
from kiosk.errors import InvalidRequest, TooLarge
from kiosk.imaging.detections import Detections, detect
from kiosk.jobs import JobState
from kiosk.pipelines import tracking
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk
from kiosk.tracking_request import TrackingRequest

TRUTH = truth()


async def test_given_labels_are_linked_and_need_no_model() -> None:
    kiosk = kiosk_with()
    kiosk.inference.is_down = False
    kiosk.inference.cards = []
    found = await tracked(file_of(pictures(TRUTH)), kiosk, labels=file_of(shuffled(TRUTH)))
    assert_same_tracks(found.labels, TRUTH)
    assert spans(found.ctc) == SPANS
    assert found.run["model"] is found.run["scale"] is None
    assert found.run["parameters"] == {}
    assert kiosk.inference.calls == []


async def test_given_labels_in_3d() -> None:
    labels = np.zeros((5, 6, 96, 96), np.uint16)
    labels[:, 1:5] = shuffled(TRUTH)[:, None]
    metadata = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 1.0}
    movie = file_of(pictures(labels), "TZYX", **metadata)
    found = await tracked(movie, labels=file_of(labels, "TZYX"))
    assert (found.axes, found.labels.shape) == ("TZYX", (5, 6, 96, 96))
    assert_same_tracks(found.labels[:, 1:5], np.repeat(TRUTH[:, None], 4, axis=1))
    assert len(found.summary) == 5
    assert {float(row["z_px"]) for row in found.rows} == {2.5}


async def test_labels_whose_time_lies_on_z() -> None:
    labels = file_of(shuffled(TRUTH), "ZYX")
    found = await tracked(file_of(pictures(TRUTH)), labels=labels)
    assert_same_tracks(found.labels, TRUTH)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int32, np.float32, np.float64])
async def test_labels_of_other_types(dtype: Any) -> None:
    found = await tracked(file_of(pictures(TRUTH)), labels=file_of(shuffled(TRUTH).astype(dtype)))
    assert_same_tracks(found.labels, TRUTH)


async def test_labels_up_to_the_highest() -> None:
    labels = TRUTH.astype(np.uint32)
    labels[labels > 0] += 2**32 - 6
    found = await tracked(file_of(pictures(TRUTH)), labels=file_of(labels))
    assert_same_tracks(found.labels, TRUTH)
    kept = await tracked(
        file_of(pictures(TRUTH)), labels=file_of(labels), labels_are_tracks=True, formats=("all",)
    )
    assert kept.labels.dtype == np.uint32
    np.testing.assert_array_equal(kept.labels, labels)
    assert max(kept.ctc) == 5


@pytest.mark.parametrize(
    ("labels", "axes", "sentence"),
    [
        (np.zeros((4, 96, 96), np.uint8), "TYX", "they have 4 frames, and the movie 5 frames"),
        (np.zeros((96, 96), np.uint8), "YX", "they have one frame, and the movie 5 frames"),
        (np.zeros((5, 2, 96, 96), np.uint8), "TZYX", "2 planes along z, and the movie 1"),
        (np.zeros((5, 95, 96), np.uint8), "TYX", "are 95 x 96 pixels, and the movie 96 x 96"),
        (np.zeros((5, 2, 96, 96), np.uint8), "TCYX", "they have 2 channels; labels have one"),
    ],
)
async def test_labels_that_do_not_fit(labels: np.ndarray, axes: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match="label images do not fit the movie") as caught:
        await submitted(file_of(pictures(TRUTH)), kiosk_with(), labels=file_of(labels, axes))
    assert sentence in caught.value.message
    assert (caught.value.reason, caught.value.field) == ("BAD_LABELS", "labels")


async def test_labels_that_are_no_image_are_called_by_their_name() -> None:
    with pytest.raises(InvalidRequest, match=r"'masks\.tif' is a text file and no image"):
        await submitted(file_of(pictures(TRUTH)), kiosk_with(), labels=b"hello\n" * 20)


async def test_frames_that_are_too_large() -> None:
    """All of a frame is in memory, of a given stack with all its planes."""

    def kiosk(frame_px: int) -> FakeKiosk:
        return make_kiosk(ImageFileReader(LimitSettings()), frame_px=frame_px)

    await submitted(file_of(pictures(TRUTH)), kiosk(96 * 96))
    stack = file_of(np.zeros((2, 3, 96, 96), np.uint8), "TZYX")
    with pytest.raises(TooLarge, match="crop the movie"):
        await submitted(stack, kiosk(96 * 96), labels=stack)
    with pytest.raises(TooLarge, match="KIOSK_LIMITS__FRAME_PX"):
        await submitted(file_of(pictures(TRUTH)), kiosk(96 * 95))


async def test_of_a_movie_that_is_its_own_labels_nothing_is_known_of_grey_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers of labels are no brightness: they would lead the linking astray."""
    seen = []

    def watched(*args: Any, **more: Any) -> Detections:
        seen.append(args)
        return detect(*args, **more)

    monkeypatch.setattr(tracking, "detect", watched)
    kiosk = kiosk_with()
    labels = await kiosk.upload(file_of(shuffled(TRUTH)), "masks.tif")
    job = await kiosk.service.track(
        upload_id=labels, request=TrackingRequest(labels=labels), caller=LOCAL
    )
    assert (await ended(kiosk, job)).state is JobState.SUCCEEDED
    assert [len(args) for args in seen] == [1] * len(TRUTH)


async def test_a_stack_in_3d_needs_labels_in_3d() -> None:
    movie = np.zeros((2, 4, 30, 30), np.uint8)
    with pytest.raises(InvalidRequest, match="Give labels in 3-D for a stack in 3-D"):
        await submitted(file_of(movie, "TZYX"), kiosk_with(), labels=file_of(movie[:, 0], "TYX"))


async def test_pictures_are_no_labels() -> None:
    noise = np.random.default_rng(0).integers(200, 4000, (5, 96, 96)).astype(np.uint16)
    for wanted in ({}, {"labels_are_tracks": True}):
        job = await failed(file_of(noise), labels=file_of(noise), **wanted)
        assert "look like pictures" in job.error


async def test_cells_that_share_a_label_are_separated() -> None:
    labels = TRUTH.copy()
    labels[labels == 3] = 2
    found = await tracked(file_of(pictures(TRUTH)), labels=file_of(labels))
    assert_same_tracks(found.labels, TRUTH)
    assert found.run["separated"] == 5
    kept = await tracked(file_of(pictures(TRUTH)), labels=file_of(labels), labels_are_tracks=True)
    np.testing.assert_array_equal(kept.labels, labels)
    assert kept.run["separated"] == 0

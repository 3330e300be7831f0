"""Tracking from movie to results, over fakes of the queue, the store and Triton."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with
from tracked import (
    ended,
    failed,
    file_of,
    pictures,
    shuffled,
    submitted,
    tracked,
    tracking_request,
    truth,
)

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest, NotFound, PermanentError, TooLarge, TransientError
from kiosk.exports.tracks import TRACK_FORMATS
from kiosk.imaging import ctc_tracks
from kiosk.jobs import JobState
from kiosk.models import LINKING
from kiosk.pipelines import tracking
from kiosk.pipelines.context import SegmentationOptions
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, MemoryQueue, make_card, make_kiosk
from kiosk.tracking_request import TrackingRequest

TRUTH = truth()
# first frame, last frame, mother: of the tracks of TRUTH, whatever their numbers are.
SPANS = [(0, 2, False), (0, 4, False), (0, 4, False), (3, 4, True), (3, 4, True)]


def spans(tracks: dict[int, tuple[int, int, int]]) -> list[tuple[int, int, bool]]:
    return sorted((first, last, mother > 0) for first, last, mother in tracks.values())


def assert_same_tracks(found: np.ndarray, expected: np.ndarray) -> None:
    """The same pixels in the same tracks; numbers may be others."""
    pairs = {tuple(pair) for pair in np.stack([found.ravel(), expected.ravel()], 1).tolist()}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    assert (0, 0) in pairs


# ---------------------------------------------------------------- a segmented movie


async def test_a_movie_is_segmented_and_linked() -> None:
    found = await tracked(file_of(pictures(TRUTH)))
    assert (found.axes, found.labels.shape, found.labels.dtype) == ("TYX", (5, 96, 96), np.uint16)
    assert_same_tracks(found.labels, TRUTH)
    assert spans(found.ctc) == SPANS
    run = found.run
    assert (run["frames"], run["instances"], run["tracks"], run["divisions"]) == (5, 17, 5, 1)
    assert run["model"] == {"name": "bright", "version": "2", "weights_sha256": ""}
    assert run["linking"]["by"] == "geometric"
    assert run["bad_frames"] == run["left_out"] == {}
    assert run["mended"] == {"joined": 0, "parted": 0}
    assert len(found.rows) == 17
    assert len(found.summary) == 5
    for row in found.rows:
        place = int(row["frame"]), round(float(row["y_px"])), round(float(row["x_px"]))
        assert found.labels[place] == int(row["track_id"])


async def test_the_promised_files_are_written() -> None:
    found = await tracked(file_of(pictures(TRUTH)), formats=())
    usual = [item.ending for item in TRACK_FORMATS.values() if item.is_default]
    assert found.names == sorted(f"cells{ending}" for ending in [*usual, "_run.json"])
    every = await tracked(file_of(pictures(TRUTH)), formats=("all",))
    endings = [item.ending for item in TRACK_FORMATS.values()]
    assert every.names == sorted(f"cells{ending}" for ending in [*endings, "_run.json"])
    one = await tracked(file_of(pictures(TRUTH)), formats=("tracks",))
    assert one.names == ["cells_run.json", "cells_tracks.csv"]


@pytest.mark.parametrize("block_px", [48, 64])
async def test_blocks_give_the_same_tracks_as_whole_frames(block_px: int) -> None:
    """With mending, which the assembled frames go through as well."""
    movie = file_of(pictures(TRUTH))
    whole = await tracked(movie)
    blocks = await tracked(movie, kiosk_with(block_px=block_px, block_halo_px=24))
    assert_same_tracks(blocks.labels, whole.labels)
    assert spans(blocks.ctc) == SPANS
    assert len(blocks.rows) == len(whole.rows)

    def measured(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
        numbers = {"track_id", "label", "parent_id", "root_id", "link_confidence"}
        return sorted(tuple(row[name] for name in row if name not in numbers) for row in rows)

    assert measured(blocks.rows) == measured(whole.rows)


async def test_a_cell_that_was_cut_in_one_frame_is_mended() -> None:
    movie = pictures(TRUTH)
    x = int(np.flatnonzero((TRUTH[2] == 3).any(axis=0)).mean())
    movie[2, 60:90, x] = 100
    found = await tracked(file_of(movie))
    assert found.run["mended"] == {"joined": 1, "parted": 0}
    assert len(found.summary) == 5
    plain = await tracked(file_of(movie), mend=False)
    assert plain.run["mended"] == {"joined": 0, "parted": 0}
    assert plain.run["instances"] == found.run["instances"] + 1


async def test_no_divisions_where_there_are_none() -> None:
    found = await tracked(file_of(pictures(TRUTH)), divisions=False)
    assert found.run["divisions"] == 0
    assert {row["parent_id"] for row in found.summary} == {"0"}


async def test_one_frame() -> None:
    found = await tracked(file_of(pictures(TRUTH)[:1]))
    assert any("one frame only" in note for note in found.run["notes"])
    assert found.labels.shape == (96, 96)
    assert sorted(np.unique(found.labels)) == [0, 1, 2, 3]


async def test_an_empty_frame_in_the_middle() -> None:
    movie = pictures(TRUTH)
    movie[1] = 100
    found = await tracked(file_of(movie))
    assert found.run["tracks"] == 5
    assert not found.labels[1].any()
    gone = await tracked(file_of(movie), longest_gap_frames=0)
    assert gone.run["tracks"] == 8


async def test_nothing_at_all() -> None:
    found = await tracked(file_of(np.full((3, 20, 30), 7, np.uint16)), formats=("all",))
    assert found.run["tracks"] == found.run["instances"] == 0
    assert found.rows == found.summary == []
    assert found.labels.shape == (3, 20, 30)


async def test_colour_movies() -> None:
    grey = (pictures(TRUTH) // 5).astype(np.uint8)
    data = io.BytesIO()
    tifffile.imwrite(data, np.stack([grey] * 3, -1), photometric="rgb", metadata={"axes": "TYXS"})
    found = await tracked(data.getvalue())
    assert_same_tracks(found.labels, TRUTH)


async def test_a_stack_along_z_is_no_movie() -> None:
    for axes, shape, sentence in (
        ("ZYX", (4, 30, 30), "one frame of 4 planes along z"),
        ("TZYX", (2, 3, 30, 30), "2 frames of 3 planes along z"),
    ):
        with pytest.raises(InvalidRequest, match=sentence) as caught:
            await submitted(file_of(np.zeros(shape, np.uint8), axes), kiosk_with())
        assert caught.value.reason == "NOT_A_MOVIE"


async def test_unknown_formats() -> None:
    with pytest.raises(InvalidRequest, match="no result format 'gif' for tracked movies"):
        await submitted(file_of(pictures(TRUTH)), kiosk_with(), formats=("gif",))
    with pytest.raises(InvalidRequest, match="no result format 'geojson'"):
        await submitted(file_of(pictures(TRUTH)), kiosk_with(), formats=("geojson",))


async def test_a_format_that_cannot_hold_the_movie_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctc_tracks, "MOST_TRACKS", 4)
    found = await tracked(file_of(pictures(TRUTH)))
    assert "cells_RES.zip" not in found.names
    assert "cells_tracks.csv" in found.names
    assert list(found.run["left_out"]) == ["ctc"]
    assert "has 5; leave the format 'ctc' out" in found.run["left_out"]["ctc"]


# ---------------------------------------------------------------- frames that fail


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


@pytest.mark.parametrize("block_px", [2560, 48])
async def test_a_join_that_is_repeated_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, block_px: int
) -> None:
    """It leaves frames that it has mended or put together beside the parts."""
    movie = pictures(TRUTH)
    x = int(np.flatnonzero((TRUTH[2] == 3).any(axis=0)).mean())
    movie[2, 60:90, x] = 100
    options = SegmentationOptions(block_px=block_px, block_halo_px=24)
    once = await tracked(file_of(movie), kiosk_with(block_px=block_px, block_halo_px=24))
    queue = MemoryQueue(retry_delay_s=0.0)
    kiosk = make_kiosk(ImageFileReader(LimitSettings()), queue=queue, options=options)
    put_file, failures = kiosk.store.put_file, [TransientError("The disk is being changed.")]

    async def put(*arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await put_file(*arguments)

    monkeypatch.setattr(kiosk.store, "put_file", put)
    again = await tracked(file_of(movie), kiosk)
    assert not failures
    np.testing.assert_array_equal(again.labels, once.labels)
    assert again.run["mended"] == once.run["mended"] == {"joined": 1, "parted": 0}
    assert again.table == once.table


# ---------------------------------------------------------------- given labels


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


async def test_frames_that_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a frame is in memory, of a given stack with all its planes."""
    monkeypatch.setattr(tracking, "FRAME_PX", 96 * 96)
    await submitted(file_of(pictures(TRUTH)), kiosk_with())
    stack = file_of(np.zeros((2, 3, 96, 96), np.uint8), "TZYX")
    with pytest.raises(TooLarge, match="crop the movie"):
        await submitted(stack, kiosk_with(), labels=stack)
    monkeypatch.setattr(tracking, "FRAME_PX", 96 * 95)
    with pytest.raises(TooLarge, match="crop the movie"):
        await submitted(file_of(pictures(TRUTH)), kiosk_with())


async def test_a_movie_that_is_its_own_labels() -> None:
    kiosk = kiosk_with()
    upload_id = await kiosk.upload(file_of(TRUTH), "cells.tif")
    job = await kiosk.service.track(upload_id=upload_id, request=TrackingRequest(labels=upload_id))
    assert (await ended(kiosk, job)).state is JobState.SUCCEEDED


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


# ---------------------------------------------------------------- linking


def with_network() -> FakeKiosk:
    cards = [make_card(), make_card("linking", pipeline=LINKING, versions=("3",))]
    return make_kiosk(ImageFileReader(LimitSettings()), inference=FakeInference(cards))


async def test_the_network_links_where_there_is_one() -> None:
    kiosk = with_network()
    found = await tracked(file_of(pictures(TRUTH)), kiosk)
    assert found.run["linking"] | {"by": "network", "version": "3"} == found.run["linking"]
    assert set(kiosk.inference.linked) == {"3"}
    assert spans(found.ctc) == SPANS
    assert not any("without a network" in note for note in found.run["notes"])


async def test_geometric_when_asked_for_or_when_there_is_no_network() -> None:
    kiosk = with_network()
    for found in (
        await tracked(file_of(pictures(TRUTH)), kiosk, linker="geometric"),
        await tracked(file_of(pictures(TRUTH))),
    ):
        assert (found.run["linking"]["by"], found.run["linking"]["version"]) == ("geometric", "")
        assert "Linked by positions and shapes alone, without a network." in found.run["notes"]
    assert kiosk.inference.linked == []


async def test_a_network_that_is_not_there() -> None:
    with pytest.raises(NotFound, match="hosts no linking network"):
        await submitted(file_of(pictures(TRUTH)), kiosk_with(), linker="network")


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"labels": "u1", "tracks": "u2", "skip_bad_frames": True},
        {"labels": "u1", "labels_are_tracks": True, "linker": "geometric"},
        {"linker": "network", "linking_version": "4", "longest_gap_frames": 0, "reach_px": 12.5},
        {"divisions": False, "correct_drift": False, "mend": False},
        {"channel": "DAPI", "formats": ("ctc",), "postprocessing": {"min_area_px": 3.0}},
    ],
)
def test_requests_survive_the_record_of_a_job(wanted: dict[str, Any]) -> None:
    request = tracking_request(dict(wanted))
    assert TrackingRequest.from_parameters(request.as_parameters()) == request
    assert set(request.as_parameters()["tracking"]) <= set(wanted)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"linker": "magic"}, "linker"),
        ({"tracks": "u1"}, "labels"),
        ({"labels_are_tracks": True}, "labels"),
        ({"longest_gap_frames": 6}, "longest_gap_frames"),
        ({"longest_gap_frames": -1}, "longest_gap_frames"),
        ({"reach_px": -1.0}, "reach_px"),
        ({"reach_px": float("nan")}, "reach_px"),
        ({"reach_px": float("inf")}, "reach_px"),
    ],
)
def test_requests_that_cannot_be_meant(wanted: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        TrackingRequest(**wanted)
    assert caught.value.field == field

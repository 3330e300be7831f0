"""Tracking from movie to results, over fakes of the queue, the store and Triton."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from segmented import kiosk_with
from tracked import (
    SPANS,
    assert_same_tracks,
    file_of,
    pictures,
    spans,
    submitted,
    tracked,
    tracking_request,
    truth,
)

from kiosk.adapters.image_files import ImageFileReader
from kiosk.errors import InvalidRequest, NotFound, TransientError
from kiosk.exports.tracks import TRACK_FORMATS
from kiosk.imaging import ctc_tracks
from kiosk.models import LINKING
from kiosk.pipelines.context import SegmentationOptions
from kiosk.settings import LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, MemoryQueue, make_card, make_kiosk
from kiosk.tracking_request import LONGEST_GAP_FRAMES, TrackingRequest

TRUTH = truth()


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


@pytest.mark.parametrize("gap", [0, 1])
async def test_gaps_are_closed(gap: int) -> None:
    """Of cells that lie still."""
    movie = np.repeat(pictures(TRUTH)[:1, 40:], 8, axis=0)
    movie[2 : 2 + gap] = 100
    found = await tracked(file_of(movie), longest_gap_frames=gap)
    assert found.run["tracks"] == 2
    if gap:
        again = await tracked(file_of(movie), longest_gap_frames=gap - 1)
        assert again.run["tracks"] == 4


async def test_the_longest_gap_that_a_request_may_have() -> None:
    found = await tracked(file_of(pictures(TRUTH)), longest_gap_frames=LONGEST_GAP_FRAMES)
    assert found.run["linking"]["longest_gap_frames"] == LONGEST_GAP_FRAMES


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
        ({"longest_gap_frames": LONGEST_GAP_FRAMES + 1}, "longest_gap_frames"),
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


async def test_results_are_of_the_channel_that_was_tracked() -> None:
    empty = np.zeros_like(pictures(TRUTH))
    movie = np.stack([empty, pictures(TRUTH)], axis=1)
    data = file_of(movie, "TCYX", Channel={"Name": ["phase", "DAPI"]})
    found = await tracked(data, channel="DAPI")
    with tifffile.TiffFile(io.BytesIO(found.files["cells_labels.tif"])) as tif:
        assert "labels of DAPI" in (tif.ome_metadata or "")

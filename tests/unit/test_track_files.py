"""Result files of tracked movies, read back by what people read them with."""

from __future__ import annotations

import csv
import dataclasses
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from track_makers import (
    FRAMES,
    PARENTS,
    lineage_of,
    movie,
    movie_image,
    tracked_frames,
    write_tracks,
)
from zarr.storage import ZipStore

from kiosk.errors import InvalidRequest
from kiosk.exports.tracks import TRACK_FORMATS, chosen_track_formats, ctc, geff, tails_picture
from kiosk.exports.tracks.ctc import CtcZip
from kiosk.exports.tracks.geff import Geff
from kiosk.exports.tracks.labels import TrackedLabels
from kiosk.exports.tracks.lineage_picture import LineagePng, LineageSvg
from kiosk.exports.tracks.tables import (
    DOUBTFUL_COLUMNS,
    DoubtfulLinksCsv,
    TracksCsv,
    TrackSummaryCsv,
)
from kiosk.exports.tracks.tails_picture import TailsPicture
from kiosk.exports.tracks.tracked_plane import TrackedPlane
from kiosk.exports.tracks.writer import TrackedFrame
from kiosk.imaging import track_summary
from kiosk.imaging.lineage import lineage_from_tracks
from kiosk.testing import MemoryPlane

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = CHECKOUT.parent / "shared/data/tracking"


def written(writer: Any, folder: Path, *, confidence: float | None = 0.9, **changes: Any) -> Path:
    planes = movie()
    lineage = lineage_of(planes, confidence=confidence)
    image = movie_image(planes, **changes)
    return write_tracks(
        writer, folder / "file", tracked_frames(planes, image, lineage), image, lineage
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def unpacked(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def test_tracks_of_every_cell_and_frame(tmp_path: Path) -> None:
    rows = rows_of(written(TracksCsv, tmp_path, frame_interval_s=600.0, pixel_size_um=(0.5, 0.5)))
    assert list(rows[0])[:8] == [
        "track_id", "frame", "time_s", "label", "parent_id", "root_id", "generation",
        "link_confidence",
    ]  # fmt: skip
    assert len(rows) == sum(plane.instances for plane in movie())
    last = next(row for row in rows if row["track_id"] == "5" and row["frame"] == "9")
    assert (last["parent_id"], last["root_id"], last["generation"]) == ("3", "1", "2")
    assert (last["time_s"], last["label"], last["link_confidence"]) == ("5400", "5", "0.9")
    assert (last["y_px"], last["x_px"], last["area_px"]) == ("14.5", "20.5", "16")
    assert (last["x_um"], last["mean_intensity"]) == ("10.25", "159")
    assert "t" not in last


def test_what_is_not_known_stays_empty_or_out(tmp_path: Path) -> None:
    rows = rows_of(written(TracksCsv, tmp_path, confidence=None))
    assert rows[0]["link_confidence"] == ""
    assert "time_s" not in rows[0]


def test_summary_of_every_track(tmp_path: Path) -> None:
    path = written(TrackSummaryCsv, tmp_path, frame_interval_s=600.0, pixel_size_um=(0.5, 0.5))
    rows = {int(row["track_id"]): row for row in rows_of(path)}
    assert set(rows[1]) == {
        *track_summary.SUMMARY_COLUMNS,
        *track_summary.TIME_COLUMNS,
        *track_summary.MICROMETRE_COLUMNS,
        *track_summary.SPEED_COLUMNS,
    }
    reasons = {track: (row["start_reason"], row["end_reason"]) for track, row in rows.items()}
    assert reasons == {
        1: ("first frame", "division"),
        2: ("division", "last frame"),
        3: ("division", "division"),
        4: ("division", "last frame"),
        5: ("division", "last frame"),
        6: ("first frame", "last frame"),
        7: ("border", "lost"),
    }
    first, gap = rows[1], rows[6]
    assert (first["daughter_1_id"], first["daughter_2_id"], first["divides"]) == ("2", "3", "1")
    assert (first["division_frame"], first["division_s"]) == ("4", "2400")
    assert rows[2]["division_frame"] == ""
    assert (first["path_length_px"], first["displacement_px"], first["straightness"]) == (
        "4", "4", "1",
    )  # fmt: skip
    assert (first["path_length_um"], first["duration_s"]) == ("2", "2400")
    assert first["mean_speed_px_per_frame"] == "1"
    assert first["mean_speed_um_per_h"] == "3"  # 2 um in 40 min
    assert (gap["frames"], gap["missing_frames"], gap["path_length_px"]) == ("10", "2", "9")
    for start, end in reasons.values():
        assert start in track_summary.START_REASONS
        assert end in track_summary.END_REASONS


def test_summary_in_3d_takes_steps_along_z_as_long_as_they_are(tmp_path: Path) -> None:
    planes = [MemoryPlane(np.ones((4, 4), np.uint32), t=t) for t in range(2)]
    lineage = lineage_of(planes, {})
    image = dataclasses.replace(
        movie_image(planes, pixel_size_um=(0.5, 0.5), z_step_um=2.0), is_volume=True
    )
    frames = [
        TrackedFrame(
            t=t,
            planes=planes[t : t + 1],
            table={
                "track_id": np.array([1]),
                "z_px": np.array([float(t)]),
                "y_px": np.array([3.0 * t]),
                "x_px": np.array([0.0]),
                "volume_px": np.array([9]),
                "touches_border": np.array([0]),
            },
        )
        for t in range(2)
    ]
    path = write_tracks(TrackSummaryCsv, tmp_path / "x", frames, image, lineage)
    row = rows_of(path)[0]
    assert (row["path_length_px"], row["path_length_um"]) == ("5", "2.5")


def test_doubtful_links_come_first(tmp_path: Path) -> None:
    planes = movie()
    lineage = lineage_of(planes, confidence=0.99)
    # Track 4 begins in frame 8; track 6 is seen again in frame 6; frame 1 of track 1.
    for frame, track, value in ((8, 4, 0.2), (6, 6, 0.4), (1, 1, 0.3)):
        lineage.confidence[(lineage.frame == frame) & (lineage.track == track)] = value
    image = movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    rows = rows_of(write_tracks(DoubtfulLinksCsv, tmp_path / "x", frames, image, lineage))
    assert list(rows[0]) == list(DOUBTFUL_COLUMNS)
    found = [(row["confidence"], row["from_track_id"], row["to_track_id"]) for row in rows]
    assert found == [("0.2", "3", "4"), ("0.3", "1", "1"), ("0.4", "6", "6")]
    assert [row["reason"] for row in rows] == [
        "division",
        "same cell",
        "same cell, after 2 frames without it",
    ]
    assert (rows[0]["from_y_px"], rows[0]["to_y_px"], rows[0]["to_x_px"]) == ("11.5", "9.5", "19.5")


def test_tracked_labels(tmp_path: Path) -> None:
    planes = movie()
    labels = tifffile.imread(written(TrackedLabels, tmp_path))
    np.testing.assert_array_equal(labels, np.stack([plane.labels() for plane in planes]))


def test_labels_become_tracks(tmp_path: Path) -> None:
    shuffled = np.array([[1, 2, 0], [3, 3, 5_000_000]], np.uint32)
    plane = MemoryPlane(shuffled, t=1)
    lineage = lineage_from_tracks(np.array([1, 1, 1]), np.array([1, 2, 3]), np.array([30, 10, 20]))
    tracked = TrackedPlane(plane, lineage)
    np.testing.assert_array_equal(tracked.labels(), [[30, 10, 0], [20, 20, 0]])
    np.testing.assert_array_equal(tracked.small_labels(10), [[30, 10, 0], [20, 20, 0]])
    far = lineage_from_tracks(np.array([1, 1]), np.array([1, 5_000_000]), np.array([7, 8]))
    np.testing.assert_array_equal(TrackedPlane(plane, far).labels(), [[7, 0, 0], [0, 0, 8]])


def test_ctc_fills_a_short_gap_with_what_is_around(tmp_path: Path) -> None:
    validate = pytest.importorskip("ctc_metrics.scripts.validate")
    folder = unpacked(written(CtcZip, tmp_path), tmp_path / "cells_RES")
    assert validate.validate_sequence(str(folder), threads=1) == {"Valid": 1}
    lines = (folder / "res_track.txt").read_text().splitlines()
    assert lines[5] == "6 0 9 0"
    assert len(lines) == 7
    for t in range(FRAMES):
        mask, expected = tifffile.imread(folder / f"mask{t:03}.tif"), movie()[t].labels()
        is_gap = t in (4, 5)
        assert ((mask == 6) & (expected != 6)).any() == is_gap
        np.testing.assert_array_equal(mask[mask != 6], expected[mask != 6])


def test_ctc_is_valid_and_the_same_movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctc, "FILL_FRAMES", 0)
    validate = pytest.importorskip("ctc_metrics.scripts.validate")
    folder = unpacked(written(CtcZip, tmp_path), tmp_path / "cells_RES")
    assert validate.validate_sequence(str(folder), threads=1) == {"Valid": 1}
    names = sorted(path.name for path in folder.iterdir())
    assert names == [*(f"mask{t:03}.tif" for t in range(FRAMES)), "res_track.txt"]
    rows = [tuple(map(int, line.split())) for line in (folder / "res_track.txt").open()]
    # Track 6 has a gap: what comes after is a track of its own, and its only child.
    assert rows == [
        (1, 0, 4, 0), (2, 5, 9, 1), (3, 5, 7, 1), (4, 8, 9, 3), (5, 8, 9, 3),
        (6, 0, 3, 0), (7, 2, 6, 0), (8, 6, 9, 6),
    ]  # fmt: skip
    mask = tifffile.imread(folder / "mask007.tif")
    assert mask.dtype == np.uint16
    expected = movie()[7].labels()
    np.testing.assert_array_equal(mask, np.where(expected == 6, 8, expected))


def test_ctc_volumes_are_stacks(tmp_path: Path) -> None:
    planes = [MemoryPlane(np.full((5, 6), z + 1, np.uint32), z=z) for z in range(3)]
    lineage = lineage_from_tracks(np.zeros(3), np.arange(1, 4), np.arange(1, 4))
    frame = TrackedFrame(t=0, planes=planes, table={})
    path = write_tracks(CtcZip, tmp_path / "x", [frame], movie_image(planes), lineage)
    mask = tifffile.imread(unpacked(path, tmp_path / "RES") / "mask000.tif")
    assert mask.shape == (3, 5, 6)
    assert mask[:, 0, 0].tolist() == [1, 2, 3]


def test_ctc_refuses_more_tracks_than_16_bit_hold(tmp_path: Path) -> None:
    numbers = np.arange(1, 65_537)
    lineage = lineage_from_tracks(np.zeros_like(numbers), numbers, numbers)
    with pytest.raises(InvalidRequest, match="at most 65,535 tracks") as caught:
        CtcZip(tmp_path / "x", movie_image(movie()), lineage)
    assert caught.value.reason == "TOO_MANY_TRACKS"
    assert not (tmp_path / "x").exists()


def test_ctc_counts_with_four_digits_from_a_thousand_frames(tmp_path: Path) -> None:
    image = movie_image(movie())
    image = dataclasses.replace(image, sizes={**image.sizes, "t": 1001})
    lineage = lineage_of(movie())
    path = write_tracks(
        CtcZip, tmp_path / "x", tracked_frames(movie(), image, lineage), image, lineage
    )
    assert zipfile.ZipFile(path).namelist()[0] == "mask0000.tif"


@pytest.mark.parametrize("chunk", [7, 65_536])
def test_geff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    spec = pytest.importorskip("geff_spec")
    monkeypatch.setattr(geff, "CHUNK_ROWS", chunk)
    path = written(Geff, tmp_path, frame_interval_s=600.0, pixel_size_um=(0.5, 0.25))
    root = zarr.open_group(ZipStore(path, mode="r"), mode="r")
    about = spec.GeffMetadata.model_validate(root.attrs["geff"])
    assert [(axis.name, axis.unit, axis.scale) for axis in about.axes] == [
        ("t", "frame", 600.0), ("y", "pixel", 0.5), ("x", "pixel", 0.25),
    ]  # fmt: skip
    assert about.track_node_props == {"lineage": "root_id", "tracklet": "tracklet_id"}
    nodes = root["nodes/props"]
    assert set(nodes) == set(about.node_props_metadata)
    for name, property_of in about.node_props_metadata.items():
        assert nodes[f"{name}/values"].dtype == property_of.dtype
        assert nodes[f"{name}/values"].shape == root["nodes/ids"].shape
    planes = movie()
    lineage = lineage_of(planes)
    np.testing.assert_array_equal(np.sort(root["nodes/ids"][:]), np.arange(len(lineage.frame)))
    ids = root["nodes/ids"][:]
    np.testing.assert_array_equal(nodes["t/values"][:], lineage.frame[ids])
    np.testing.assert_array_equal(nodes["track_id/values"][:], lineage.track[ids])
    edges = root["edges/ids"][:].astype(int)
    assert len(edges) == len(ids) - 3  # but for tracks 1, 6 and 7 each instance has one before
    assert np.all(lineage.frame[edges[:, 0]] < lineage.frame[edges[:, 1]])
    to, since = lineage.track[edges[:, 1]], lineage.track[edges[:, 0]]
    assert {(int(b), int(a)) for a, b in zip(since, to, strict=True) if a != b} == set(
        PARENTS.items()
    )
    assert root["edges/props/confidence/values"][0] == np.float32(0.9)
    assert not np.any(root["edges/props/confidence/missing"][:])
    assert list(tmp_path.iterdir()) == [path]


def test_the_geff_package_takes_it(tmp_path: Path) -> None:
    structure = pytest.importorskip("geff.validate.structure")
    folder = unpacked(written(Geff, tmp_path, confidence=None), tmp_path / "cells.geff")
    structure.validate_structure(folder)


def test_only_daughters_go_on_with_the_tracklet_of_their_mothers(tmp_path: Path) -> None:
    planes = movie()
    lineage = lineage_of(planes, {2: 1, 3: 2, 4: 3, 5: 3})
    image = movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    path = write_tracks(Geff, tmp_path / "x", frames, image, lineage)
    nodes = zarr.open_group(ZipStore(path, mode="r"), mode="r")["nodes/props"]
    found = zip(nodes["track_id/values"][:], nodes["tracklet_id/values"][:], strict=True)
    assert set(found) == {(1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (6, 6), (7, 7)}


def test_lineage_plots(tmp_path: Path) -> None:
    svg = ElementTree.fromstring(written(LineageSvg, tmp_path).read_text())
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "7 tracks, 2 divisions" in texts
    assert {str(number) for number in range(1, 8)} <= set(texts)
    lines = list(svg.iter("{http://www.w3.org/2000/svg}line"))
    # The gap of track 6, and the one that explains it.
    assert sum("stroke-dasharray" in line.attrib for line in lines) == 2
    assert len(list(svg.iter("{http://www.w3.org/2000/svg}circle"))) == 4
    with Image.open(written(LineagePng, tmp_path)) as picture:
        assert picture.size[0] == 1200
        assert picture.convert("L").getextrema() != (255, 255)


def test_the_last_frame_with_tails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails_picture, "TAIL_FRAMES", 4)
    with Image.open(written(TailsPicture, tmp_path)) as opened:
        picture = np.asarray(opened).astype(int)
    factor = round(800 / 48)
    assert picture.shape == (44 * factor, 48 * factor, 3)
    is_drawn = np.ptp(picture, axis=2) > 60
    # Track 2 is a daughter of 1: from where she was in frame 4 at y 7.5 to where it is now.
    y, x = 4.5, 16.0
    around = is_drawn[int(y * factor) : int((y + 1) * factor), int((x + 1) * factor) :]
    assert around.any()
    # What went out of sight before the tails begin has left none; nothing is on empty ground.
    assert not is_drawn[20 * factor : 25 * factor].any()
    assert not is_drawn[37 * factor :, 20 * factor :].any()


def test_a_plot_of_very_many_tracks_is_bounded_and_says_so(tmp_path: Path) -> None:
    numbers = np.arange(1, 20_001)
    lineage = lineage_from_tracks(np.zeros_like(numbers), numbers, numbers)
    image = movie_image(movie())
    path = write_tracks(LineageSvg, tmp_path / "x", [], image, lineage)
    assert "19,600 tracks have no room here" in path.read_text()
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("name", TRACK_FORMATS)
def test_a_movie_without_cells(tmp_path: Path, name: str) -> None:
    planes = [MemoryPlane(np.zeros((9, 9), np.uint32), t=t) for t in range(2)]
    lineage, image = lineage_of(planes), movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    path = write_tracks(TRACK_FORMATS[name].writer, tmp_path / "x", frames, image, lineage)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("name", TRACK_FORMATS)
def test_what_is_thrown_away_leaves_nothing_open(tmp_path: Path, name: str) -> None:
    planes = movie()
    lineage, image = lineage_of(planes), movie_image(planes)
    writer = TRACK_FORMATS[name].writer(tmp_path / "x", image, lineage)
    writer.add_frame(tracked_frames(planes, image, lineage)[0])
    writer.discard()
    assert [path.name for path in tmp_path.iterdir()] in ([], ["x"])


def test_formats_are_chosen_by_name() -> None:
    assert set(chosen_track_formats(["all"])) == set(TRACK_FORMATS)
    assert list(chosen_track_formats(["geff", "ctc"])) == ["ctc", "geff"]
    assert "lineage-svg" not in chosen_track_formats([])
    with pytest.raises(InvalidRequest, match="no result format 'xls'"):
        chosen_track_formats(["xls"])
    endings = Counter(item.ending for item in TRACK_FORMATS.values())
    assert max(endings.values()) == 1


def test_memory_does_not_grow_with_what_was_measured(tmp_path: Path) -> None:
    """300 frames of a hundred cells: 30,000 instances with 30 columns are 7 MB."""
    planes = [MemoryPlane(np.arange(100, dtype=np.uint32).reshape(10, 10), t=0)]
    frames, cells = 300, 99
    image = movie_image(planes)
    image = dataclasses.replace(image, sizes={**image.sizes, "t": frames})
    numbers = np.tile(np.arange(1, cells + 1), frames)
    lineage = lineage_from_tracks(np.repeat(np.arange(frames), cells), numbers, numbers)
    table = {name: np.zeros(cells) for name in image.columns}
    table |= {"track_id": np.arange(1, cells + 1)}
    for name in ("tracks", "track-summary", "doubtful"):
        writer = TRACK_FORMATS[name].writer(tmp_path / name, image, lineage)
        tracemalloc.start()
        for t in range(frames):
            writer.add_frame(TrackedFrame(t=t, planes=planes, table=table))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        writer.close()
        assert peak < 1e6, name


@pytest.mark.skipif(not SHARED.exists(), reason="needs the tracking data")
@pytest.mark.parametrize("truth", sorted(SHARED.glob("*/0?_GT")), ids=str)
def test_real_lineages_pass_through_every_format(tmp_path: Path, truth: Path) -> None:
    evaluate = pytest.importorskip("ctc_metrics").evaluate_sequence
    rows = np.loadtxt(truth / "TRA/man_track.txt", np.int64, ndmin=2)
    files = sorted((truth / "TRA").glob("*.tif"))
    planes = [MemoryPlane(tifffile.imread(file), t=t) for t, file in enumerate(files)]
    lineage = lineage_of(planes, dict(zip(rows[:, 0].tolist(), rows[:, 3].tolist(), strict=True)))
    image = movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    for name, item in TRACK_FORMATS.items():
        write_tracks(item.writer, tmp_path / name, frames, image, lineage)
    folder = unpacked(tmp_path / "ctc", tmp_path / "01_RES")
    found = evaluate(str(folder), str(truth), ["Valid", "DET", "TRA", "LNK", "BC"], threads=1)
    assert [found[key] for key in ("Valid", "DET", "TRA", "LNK", "BC(0)")] == [1] * 5

"""Tables of tracks and label images that people have corrected."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from track_makers import (
    PARENTS,
    lineage_of,
    movie,
    movie_image,
    tracked_frames,
    write_tracks,
)

from kiosk.errors import InvalidRequest
from kiosk.exports.tracks.tables import TracksCsv
from kiosk.imaging import corrected_rows, corrections
from kiosk.imaging.corrected_rows import mothers_of, read_ctc_mothers, read_rows
from kiosk.imaging.corrections import lineage_from_label_images, lineage_from_rows
from kiosk.imaging.lineage import Lineage

Row = dict[str, str]
NAME = "cells_tracks.csv"


def frame_labels() -> list[np.ndarray]:
    found = [np.unique(plane.labels()) for plane in movie()]
    return [labels[labels > 0].astype(np.int64) for labels in found]


def labels_at(frame: int, places: np.ndarray) -> np.ndarray:
    labels = movie()[frame].labels()
    y, x = places[:, 1], places[:, 2]
    inside = (y >= 0) & (x >= 0) & (y < labels.shape[0]) & (x < labels.shape[1])
    found = np.zeros(len(places), np.int64)
    found[inside] = labels[y[inside], x[inside]]
    return found


@pytest.fixture
def table(tmp_path: Path) -> bytes:
    planes = movie()
    lineage, image = lineage_of(planes, confidence=0.9), movie_image(planes)
    frames = tracked_frames(planes, image, lineage)
    return write_tracks(TracksCsv, tmp_path / "x", frames, image, lineage).read_bytes()


def edited(table: bytes, edit: Callable[[list[Row]], list[Row]]) -> bytes:
    rows = edit(list(csv.DictReader(io.StringIO(table.decode()))))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read(data: bytes) -> Lineage:
    return lineage_from_rows(read_rows(data, NAME), frame_labels(), labels_at, NAME)


def family(lineage: Lineage) -> dict[int, int]:
    return dict(zip(lineage.track_id.tolist(), lineage.parent_id.tolist(), strict=True))


def change(column: str, value: str, where: Callable[[Row], bool]) -> Callable[..., list[Row]]:
    return lambda rows: [{**row, column: value} if where(row) else row for row in rows]


def test_what_was_not_edited_is_the_same_lineage(table: bytes) -> None:
    found, expected = read(table), lineage_of(movie(), confidence=0.9)
    for name in ("frame", "label", "track", "track_id", "parent_id", "root_id", "generation"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    first = found.frame == found.first_frame[found.rows_of(found.track)]
    orphan = first & (found.parent_id[found.rows_of(found.track)] == 0)
    assert np.all(np.isnan(found.confidence[orphan]))
    assert np.all(found.confidence[~orphan] == np.float32(0.9))


def as_saved_by(program: str, table: bytes) -> bytes:
    text = table.decode()
    if program == "a German Excel":
        return b"\xef\xbb\xbf" + text.replace(",", ";").replace(".", ",").encode()
    if program == "Excel as Unicode text":
        return text.replace(",", "\t").encode("utf-16")
    if program == "Excel with a hint":
        return b"sep=;\r\n" + text.replace(",", ";").encode()
    if program == "old letters":
        return text.replace("mean_intensity", "Intensit\u00e4t").encode("cp1252")
    rows = list(csv.reader(io.StringIO(text)))
    turned = [",".join(reversed(row)) for row in rows]
    return "\r\n".join([turned[0].upper(), "", *turned[1:], ",,,"]).encode()


@pytest.mark.parametrize("at_a_time", [1, 3])
def test_long_tables_are_read_in_pieces(
    table: bytes, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    expected = read_rows(table, NAME)
    monkeypatch.setattr(corrected_rows, "AT_A_TIME_ROWS", at_a_time)
    found = read_rows(table, NAME)
    np.testing.assert_array_equal(found.line, np.arange(2, 2 + len(found.track)))
    np.testing.assert_array_equal(found.track, expected.track)


@pytest.mark.parametrize(
    "program",
    ["a German Excel", "Excel as Unicode text", "Excel with a hint", "old letters", "any order"],
)
def test_programs_save_tables_in_their_own_way(table: bytes, program: str) -> None:
    found, expected = read(as_saved_by(program, table)), read(table)
    np.testing.assert_array_equal(found.track, expected.track)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert family(found) == family(expected)


def test_a_cut_track_is_two(table: bytes) -> None:
    data = edited(
        table, change("track_id", "50", lambda r: r["label"] == "6" and int(r["frame"]) > 5)
    )
    found = read(data)
    assert family(found) == {1: 0, 2: 1, 3: 1, 4: 3, 5: 3, 6: 0, 7: 0, 50: 0}
    assert found.first_frame[-1] == 6
    # What was within a piece is as sure as before; its beginning is no link.
    new = found.confidence[found.track == 50]
    assert np.isnan(new[0])
    assert np.all(new[1:] == np.float32(0.9))


def test_a_mother_that_was_joined_to_another_track_is_followed(table: bytes) -> None:
    """Track 7 was the first part of 3: what was 3 is 7 now, and 4 and 5 are its daughters."""
    rows = edited(
        table,
        lambda rows: [
            {**row, "track_id": "7"} if row["label"] == "3" else row
            for row in rows
            if not (row["label"] == "7" and int(row["frame"]) > 4)
        ],
    )
    found = read(rows)
    assert family(found) == {1: 0, 2: 1, 4: 7, 5: 7, 6: 0, 7: 0}
    joined = found.confidence[(found.track == 7) & (found.frame == 5)]
    assert np.isnan(joined[0])
    assert found.generation[found.track_id == 4] == 1


def test_deleted_rows_are_cells_without_a_track(table: bytes) -> None:
    found = read(edited(table, lambda rows: [row for row in rows if row["track_id"] != "7"]))
    assert 7 not in found.track_id
    assert len(found.frame) == sum(map(len, frame_labels())) - 5


def test_new_mothers(table: bytes) -> None:
    found = read(edited(table, change("parent_id", "", lambda r: r["track_id"] in "23")))
    assert family(found)[2] == family(found)[3] == 0
    assert found.root_id[found.track_id == 4] == 3


def test_rows_may_name_a_place_in_place_of_a_label() -> None:
    data = b"T,Track,Y,X,Parent\n0,1,8,10,\n1,1,8,11,\n0,2,28.2,9.6,0\n"
    found = read(data)
    assert list(zip(found.frame, found.label, found.track, strict=True)) == [
        (0, 1, 1),
        (0, 6, 2),
        (1, 1, 1),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has no column frame and no column track_id"),
        (b"frame,track_id\n0,1\n", "no column label (or y_px and x_px)"),
        (b"frame,track_id,label\n0,1,1\n1,,1\n", "Line 3 of 'cells_tracks.csv' has no track_id"),
        (b"frame,track_id,label\n0,one,1\n", "Line 2 of 'cells_tracks.csv' has 'one' where"),
        (b"frame,track_id,label\n0,1.5,1\n", "has the track_id 1.5; it must be a whole"),
        (b"frame,track_id,label\n-1,1,1\n", "has the frame -1; it must be a whole"),
        (b"frame,track_id,label\n0,0,1\n", "tracks are numbered from 1"),
        (b"frame,track_id,label\n0,1,99\n", "the label image has no such cell there"),
        (b"frame,track_id,label\n77,1,1\n", "but the movie has 10 frames"),
        (b"frame,track_id,y_px,x_px\n77,1,1,1\n", "Line 2 of 'cells_tracks.csv' is of frame 77"),
        (b"frame,track_id,label\n0,1," + b"9" * 200_000, "cannot be read as a table"),
        (b"frame,track_id,label\n1e400,1,1\n", "has the frame inf; it must be a whole"),
        (b"frame,track_id,y_px,x_px\n0,1,0,1e300\n", "is at y 0, x 1e+300 of frame 0"),
        (b"frame,track_id,y_px,x_px\n0,1,0,0\n", "Line 2 of 'cells_tracks.csv' is at y 0, x 0"),
        (b"frame,track_id,label\n0,1,1\n0,1,6\n", "Track 1 has two cells in frame 0"),
        (b"frame,track_id,label\n0,1,1\n0,2,1\n", "Label 1 of frame 0 is in two rows"),
        (b"frame,track_id,label,parent_id\n0,1,1,9\n", "The mother of track 1 is track 9"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(data)
    assert words in caught.value.message
    assert caught.value.reason in ("BAD_TRACKS", "INVALID_LINEAGE")


def test_only_some_of_many_mistakes_are_listed(
    table: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "MOST_SENTENCES", 3)
    with pytest.raises(InvalidRequest, match=r"And \d+ more\.$"):
        read(edited(table, change("track_id", "1", lambda r: True)))


def test_every_mistake_is_named_with_frame_and_label(table: bytes) -> None:
    """Two daughters more than there may be, and a mother that is still there."""
    wrong = edited(table, change("parent_id", "1", lambda r: r["track_id"] == "6"))
    with pytest.raises(InvalidRequest) as caught:
        read(wrong)
    sentences = caught.value.message.split(". ")[1:]
    assert sentences
    assert all(re.search(r"[Ff]rame \d+", sentence) for sentence in sentences)
    assert all(re.search(r"label \d+", sentence) for sentence in sentences)


def test_mothers_are_those_of_first_rows() -> None:
    rows = read_rows(b"frame,track_id,label,parent_id\n4,2,2,9\n3,2,2,1\n0,1,1,0\n", NAME)
    assert mothers_of(rows) == {1: 0, 2: 1}


def test_label_images_with_numbers_through_time() -> None:
    labels = frame_labels()
    mothers = read_ctc_mothers("1 0 4 0\n2 5 9 1\n3 5 7 1\n\n4 8 9 3\n5 8 9 3\n", "res_track.txt")
    found = lineage_from_label_images(labels, mothers, "cells_labels.tif")
    assert family(found) == {**dict.fromkeys(range(1, 8), 0), **PARENTS}
    # The mother was painted over: her daughters have none.
    without = [frame[frame != 1] for frame in labels]
    assert family(lineage_from_label_images(without, mothers, "x"))[2] == 0
    # The mother was painted into a later frame.
    labels[6] = np.append(labels[6], 1)
    with pytest.raises(InvalidRequest, match="its mother 1 is still there in frame 6"):
        lineage_from_label_images(labels, mothers, "x")
    assert len(lineage_from_label_images([], None, "x").frame) == 0


def test_a_res_track_that_is_none() -> None:
    with pytest.raises(InvalidRequest, match=r"Line 2 of 'res_track\.txt' must be four whole"):
        read_ctc_mothers("1 0 4 0\n2 5 9\n", "res_track.txt")

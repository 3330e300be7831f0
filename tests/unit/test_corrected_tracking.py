"""Tracks that people have corrected, given back to the kiosk: tables, label images, and what is
wrong with them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from segmented import kiosk_with
from tracked import Tracked, failed, file_of, pictures, tracked, truth

TRUTH = truth()
MOVIE = file_of(pictures(TRUTH))
Row = dict[str, str]


@pytest.fixture
async def first() -> Tracked:
    """What the kiosk has found by itself."""
    return await tracked(MOVIE, labels=file_of(TRUTH))


def edited(found: Tracked, change: Callable[[Row], Row | None], delimiter: str = ",") -> bytes:
    """The table of tracks with rows changed, or left out where the change gives None."""
    text = io.StringIO()
    rows = [row for row in (change(dict(row)) for row in found.rows) if row is not None]
    writer = csv.DictWriter(text, list(found.rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def labels_of(found: Tracked) -> bytes:
    return file_of(found.labels)


def track_at(found: Tracked, t: int, label: int) -> str:
    """The track of a cell of TRUTH, by its label there."""
    y, x = (int(np.median(axis)) for axis in np.nonzero(TRUTH[t] == label))
    return str(found.labels[t, y, x])


async def corrected(found: Tracked, table: bytes) -> Tracked:
    return await tracked(MOVIE, labels=labels_of(found), tracks=table)


async def refused(found: Tracked, table: bytes) -> str:
    return (await failed(MOVIE, labels=labels_of(found), tracks=table)).error


# ---------------------------------------------------------------- tables


async def test_a_table_that_nobody_has_touched_changes_nothing(first: Tracked) -> None:
    found = await corrected(first, first.table)
    np.testing.assert_array_equal(found.labels, first.labels)
    assert found.ctc == first.ctc
    assert found.run["linking"]["by"] == "corrected table"
    kept = ("track_id", "frame", "parent_id", "link_confidence")
    for row, before in zip(found.rows, first.rows, strict=True):
        assert [row[name] for name in kept] == [before[name] for name in kept]
    assert not any("without a network" in note for note in found.run["notes"])


async def test_a_track_gets_another_number(first: Tracked) -> None:
    old = track_at(first, 0, 2)

    def change(row: Row) -> Row:
        return {**row, "track_id": "77"} if row["track_id"] == old else row

    found = await corrected(first, edited(first, change))
    np.testing.assert_array_equal(found.labels == 77, first.labels == int(old))
    assert 77 in found.ctc
    assert int(old) not in found.ctc


async def test_a_division_is_removed_and_another_added(first: Tracked) -> None:
    daughters = {track_at(first, 3, 4), track_at(first, 3, 5)}
    mother, other = track_at(first, 0, 1), track_at(first, 0, 2)

    def change(row: Row) -> Row:
        if row["track_id"] in daughters:
            return {**row, "parent_id": other}
        if row["track_id"] == other and int(row["frame"]) >= 3:
            return {**row, "track_id": "50", "parent_id": "0"}
        return row

    found = await corrected(first, edited(first, change))
    assert {found.ctc[int(one)][2] for one in daughters} == {int(other)}
    assert found.ctc[50] == (3, 4, 0)
    by_track = {row["track_id"]: row for row in found.summary}
    assert by_track[mother]["end_reason"] == "lost"
    assert by_track[other]["divides"] == "1"


async def test_an_only_daughter_is_no_division(first: Tracked) -> None:
    """A track that goes on after a gap has another number in the Cell Tracking Challenge."""
    alone = track_at(first, 3, 4)

    def change(row: Row) -> Row:
        return {**row, "parent_id": "0"} if row["track_id"] == alone else row

    found = await corrected(first, edited(first, change))
    assert found.run["divisions"] == 0
    assert [row["start_reason"] for row in found.summary].count("continuation") == 1


async def test_rows_that_were_deleted_are_no_cells(first: Tracked) -> None:
    gone = track_at(first, 0, 3)

    def change(row: Row) -> Row | None:
        return None if row["track_id"] == gone and row["frame"] != "4" else row

    found = await corrected(first, edited(first, change))
    assert (found.labels == int(gone)).any(axis=(1, 2)).tolist() == [False] * 4 + [True]
    assert len(found.rows) == len(first.rows) - 4
    np.testing.assert_array_equal(found.labels[found.labels > 0], first.labels[found.labels > 0])


async def test_no_cells_are_left(first: Tracked) -> None:
    found = await corrected(first, edited(first, lambda row: None))
    assert found.run["tracks"] == 0
    assert not found.labels.any()


async def test_a_table_as_excel_writes_it(first: Tracked) -> None:
    def change(row: Row) -> Row:
        return {name: value.replace(".", ",") for name, value in row.items()}

    table = edited(first, change, ";")
    for data in (b"\xef\xbb\xbf" + table, b"sep=;\r\n" + table, table.decode().encode("utf-16")):
        assert (await corrected(first, data)).ctc == first.ctc


async def test_rows_may_say_where_instead_of_which(first: Tracked) -> None:
    found = await corrected(first, edited(first, lambda row: {**row, "label": ""}))
    assert found.ctc == first.ctc


async def test_a_deleted_cell_with_a_huge_label() -> None:
    """Its label is in the image and in no row; a table of all labels would take 16 GB."""
    labels = TRUTH.astype(np.uint32)
    labels[labels == 3] = 2**32 - 1
    table = b"frame,track_id,label\n" + b"".join(b"%d,9,2\n" % t for t in range(5))
    found = await tracked(MOVIE, labels=file_of(labels), tracks=table)
    np.testing.assert_array_equal(found.labels, np.where(TRUTH == 2, 9, 0))


def two_in_a_frame(found: Tracked) -> Callable[[Row], Row]:
    one, two = track_at(found, 0, 2), track_at(found, 0, 3)
    return lambda row: {**row, "track_id": one} if row["track_id"] == two else row


def later_mother(found: Tracked) -> Callable[[Row], Row]:
    one, two = track_at(found, 3, 4), track_at(found, 0, 2)
    return lambda row: {**row, "parent_id": two} if row["track_id"] == one else row


def own_mother(found: Tracked) -> Callable[[Row], Row]:
    one = track_at(found, 0, 2)
    return lambda row: {**row, "parent_id": one} if row["track_id"] == one else row


def unknown_mother(found: Tracked) -> Callable[[Row], Row]:
    one = track_at(found, 0, 2)
    return lambda row: {**row, "parent_id": "99"} if row["track_id"] == one else row


def unknown_label(found: Tracked) -> Callable[[Row], Row]:
    return lambda row: {**row, "label": "99"} if row["frame"] == "1" else row


def late_frame(found: Tracked) -> Callable[[Row], Row]:
    return lambda row: {**row, "frame": "44"} if row["frame"] == "4" else row


def no_track(found: Tracked) -> Callable[[Row], Row]:
    return lambda row: {**row, "track_id": ""} if row["frame"] == "4" else row


def half_a_frame(found: Tracked) -> Callable[[Row], Row]:
    return lambda row: {**row, "frame": "1.5"} if row["frame"] == "1" else row


def track_0(found: Tracked) -> Callable[[Row], Row]:
    one = track_at(found, 0, 2)
    return lambda row: {**row, "track_id": "0"} if row["track_id"] == one else row


def outside(found: Tracked) -> Callable[[Row], Row]:
    return lambda row: {**row, "label": "", "y_px": "500"} if row["frame"] == "2" else row


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (two_in_a_frame, "has two cells in frame 0"),
        (later_mother, "a mother ends before her daughters begin"),
        (own_mother, "is its own ancestor"),
        (unknown_mother, "track 99, which has no cells"),
        (unknown_label, "has label 99 in frame 1, but the label image has no such cell"),
        (late_frame, "cell in frame 44, but the movie has 5 frames"),
        (no_track, "has no track_id; fill it in or delete"),
        (half_a_frame, "has the frame 1.5; it must be a whole number"),
        (track_0, "tracks are numbered from 1"),
        (outside, "where the label image has no cell"),
    ],
)
async def test_what_is_wrong_is_said(
    first: Tracked, wrong: Callable[[Tracked], Callable[[Row], Row]], sentence: str
) -> None:
    error = await refused(first, edited(first, wrong(first)))
    assert sentence in error
    assert "'tracks.csv'" in error


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"", "has no column frame"),
        (b"\n", "has no column frame"),
        (b"a,b,c\n1,2,3\n", "no column frame and no column track_id"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9, "has no column frame"),
        (b"frame,track_id,label\n0,one,1\n", "has 'one' where a number must be"),
        (b"1 0 4\n", "has no column frame"),
        (b"a" * 200_000, "cannot be read as a table"),
        (b"\0" * 200_000, "cannot be read as a table"),
        (b"frame,track_id,label\n0,1,1\n0,2,1\n", "is in two rows, of tracks 1 and 2"),
    ],
)
async def test_tables_that_are_none(first: Tracked, table: bytes, sentence: str) -> None:
    assert sentence in await refused(first, table)


# ---------------------------------------------------------------- label images


async def test_labels_that_keep_their_numbers() -> None:
    found = await tracked(MOVIE, labels=file_of(TRUTH * 10), labels_are_tracks=True)
    np.testing.assert_array_equal(found.labels, TRUTH * 10)
    assert found.run["linking"]["by"] == "numbers of the labels"
    assert found.run["divisions"] == 0
    assert found.ctc[10] == (0, 2, 0)


@pytest.mark.parametrize("ctc", [True, False])
async def test_mothers_come_from_a_table(first: Tracked, ctc: bool) -> None:
    """The masks are painted by hand, the mothers are those of before."""
    painted = first.labels.copy()
    painted[:, 2:9, 2:9] = 60
    lines = "".join(f"{track} {b} {e} {p}\n" for track, (b, e, p) in first.ctc.items())
    table = lines.encode() if ctc else first.table
    found = await tracked(MOVIE, labels=file_of(painted), labels_are_tracks=True, tracks=table)
    np.testing.assert_array_equal(found.labels, painted)
    assert found.ctc == {**first.ctc, 60: (0, 4, 0)}
    alone = await tracked(MOVIE, labels=file_of(painted), tracks=lines.encode())
    assert alone.ctc == found.ctc  # a res_track.txt is about labels that keep their numbers


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
async def test_a_res_track_from_any_editor(encoding: str) -> None:
    lines = "\n1 0 2 0\r\n4 3 4 1\r\n5 3 4 1\r\n\r\n"
    table = lines.encode(encoding)
    found = await tracked(MOVIE, labels=file_of(TRUTH), labels_are_tracks=True, tracks=table)
    assert found.ctc[4] == found.ctc[5] == (3, 4, 1)


async def test_painted_labels_that_are_no_lineage(first: Tracked) -> None:
    painted = first.labels.copy()
    mother = next(p for _, _, p in first.ctc.values() if p)
    painted[4, 2:9, 2:9] = mother
    job = await failed(MOVIE, labels=file_of(painted), labels_are_tracks=True, tracks=first.table)
    assert "'masks.tif' is no lineage yet" in job.error
    assert f"its mother {mother} is still there in frame 4" in job.error


@pytest.mark.parametrize("table", [b"", b"\n", b"frame;track\n"])
async def test_mothers_from_a_table_that_is_none(table: bytes) -> None:
    job = await failed(MOVIE, labels=file_of(TRUTH), labels_are_tracks=True, tracks=table)
    assert "'tracks.csv' has no column" in job.error


async def test_a_res_track_that_is_none(first: Tracked) -> None:
    table = b"1 0 4 0\n2 0 f\xf6ur 0\n"
    job = await failed(MOVIE, labels=file_of(TRUTH), labels_are_tracks=True, tracks=table)
    assert "Line 2 of 'tracks.csv' must be four whole numbers" in job.error


async def test_a_table_that_is_far_too_long_is_refused_before_anything_is_done(
    first: Tracked,
) -> None:
    kiosk = kiosk_with(table_bytes=1000)
    table = first.table.ljust(1001)
    job = await failed(MOVIE, kiosk, labels=labels_of(first), tracks=table)
    assert job.error_reason == "TOO_LARGE"
    assert "KIOSK_LIMITS__TABLE_BYTES" in job.error
    assert job.parts_total == 0

"""Random forests of tracks: links and back, checks that find what was planted, CTC pieces."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from forests import FRAMES, Forest, forests
from hypothesis import assume, given
from hypothesis import strategies as st

from kiosk.imaging.ctc_tracks import ctc_tracks
from kiosk.imaging.doubtful_links import doubtful_links, previous_instances
from kiosk.imaging.lineage import Lineage, lineage_from_links, lineage_from_tracks
from kiosk.imaging.lineage_checks import check_lineage
from kiosk.imaging.lineage_layout import lay_out
from kiosk.imaging.links import Links


def tracks_of(lineage: Lineage) -> dict[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The instances of each track -> those of its mother: what does not depend on numbers."""
    of_id: dict[int, list[tuple[int, int]]] = {0: []}
    for frame, label, track in zip(lineage.frame, lineage.label, lineage.track, strict=True):
        of_id.setdefault(int(track), []).append((int(frame), int(label)))
    parents = dict(zip(lineage.track_id.tolist(), lineage.parent_id.tolist(), strict=True))
    return {tuple(of_id[one]): tuple(of_id[parents[one]]) for one in parents}


def lineage_of(forest: Forest) -> Lineage:
    return lineage_from_tracks(*forest.instances(), forest.parents())


@given(forests())
def test_links_become_the_forest_they_are_from(forest: Forest) -> None:
    found = lineage_from_links(forest.frame_labels(), forest.links())
    assert tracks_of(found) == tracks_of(lineage_of(forest))
    assert check_lineage(found, forest.frame_labels()) == []
    np.testing.assert_array_equal(found.track_id, np.arange(1, len(forest.tracks) + 1))
    assert np.all(np.diff(found.first_frame) >= 0)


@given(forests())
def test_roots_generations_and_ends(forest: Forest) -> None:
    found = lineage_of(forest)
    for number, (frames, mother) in enumerate(forest.tracks):
        assert (found.first_frame[number], found.last_frame[number]) == (frames[0], frames[-1])
        root, generation = number, 0
        while forest.tracks[root][1] >= 0:
            root, generation = forest.tracks[root][1], generation + 1
        assert (found.root_id[number], found.generation[number]) == (root + 1, generation)
        assert found.parent_id[number] == mother + 1
    assert sum(map(len, found.daughters().values())) == np.sum(found.parent_id > 0)


@given(forests())
def test_confidences_go_with_the_later_end_of_links(forest: Forest) -> None:
    links = forest.links()
    found = lineage_from_links(forest.frame_labels(), links)
    keys = {(f, t): c for f, t, c in zip(found.frame, found.label, found.confidence, strict=True)}
    for frame, label, confidence in zip(
        links.target_frame, links.target_label, links.confidence, strict=True
    ):
        assert keys.pop((frame, label)) == confidence
    assert all(np.isnan(list(keys.values())))


@given(forests())
def test_the_links_of_a_lineage_are_those_it_was_made_from(forest: Forest) -> None:
    links = forest.links()
    lineage = lineage_from_links(forest.frame_labels(), links)
    previous = previous_instances(lineage)
    target = np.flatnonzero(previous >= 0)
    source = previous[target]
    found = {
        tuple(map(int, row))
        for row in zip(
            lineage.frame[source], lineage.label[source],
            lineage.frame[target], lineage.label[target], strict=True,
        )
    }  # fmt: skip
    expected = zip(
        links.source_frame, links.source_label, links.target_frame, links.target_label, strict=True
    )
    assert found == {tuple(map(int, row)) for row in expected}


@given(forests(), st.floats(0, 1))
def test_doubtful_links_are_those_below(forest: Forest, below: float) -> None:
    links = forest.links()
    lineage = lineage_from_links(forest.frame_labels(), links)
    found = doubtful_links(lineage, below)
    assert sorted(links.confidence[links.confidence < below]) == found.confidence.tolist()
    assert np.all(found.missing_frames >= 0)
    for source, target, division in zip(found.source, found.target, found.is_division, strict=True):
        assert division == (lineage.track[source] != lineage.track[target])
    assert len(found.reasons()) == len(found)
    first = doubtful_links(lineage, below, most=2)
    assert first.confidence.tolist() == found.confidence.tolist()[:2]


@given(forests())
def test_ctc_tracks_have_no_gaps_and_keep_the_family(forest: Forest) -> None:
    lineage = lineage_of(forest)
    ctc = ctc_tracks(lineage)
    rows = {row[0]: row for row in ctc.rows.tolist()}
    assert len(rows) == len(ctc.rows)
    for number, first, last, parent in ctc.rows.tolist():
        frames = np.sort(lineage.frame[ctc.number == number])
        np.testing.assert_array_equal(frames, np.arange(first, last + 1))
        assert parent == 0 or rows[parent][2] < first
    gaps = sum(int(np.sum(np.diff(frames) > 1)) for frames, _ in forest.tracks)
    assert len(rows) == len(forest.tracks) + gaps
    # Mothers of two are the same as before.
    parents = ctc.rows[:, 3]
    divisions = np.sum(np.unique(parents[parents > 0], return_counts=True)[1] > 1)
    assert divisions == np.sum(lineage.daughter_counts() == 2)


@given(forests(), st.integers(1, 6))
def test_layouts_put_no_two_tracks_on_one_line(forest: Forest, most_lines: int) -> None:
    lineage = lineage_of(forest)
    layout = lay_out(lineage, most_lines)
    assert layout.lines <= most_lines
    assert len(layout.row) + layout.tracks_left_out == len(lineage.track_id)
    assert len(set(layout.row.tolist())) == len(layout.row)
    mothers = set(layout.parent.tolist()) - {-1}
    ends = [h for place, h in enumerate(layout.height) if place not in mothers]
    assert sorted(ends) == list(range(layout.lines))
    for mother in mothers:
        mine = layout.height[layout.parent == mother]
        assert layout.height[mother] == pytest.approx(mine.mean())


@given(forests(), st.data())
def test_planted_violations_are_found(forest: Forest, data: st.DataObject) -> None:
    assume(forest.tracks)
    lineage = lineage_of(forest)
    frame, label, track = forest.instances()
    at = data.draw(st.integers(0, len(frame) - 1))
    f, one, number = int(frame[at]), int(label[at]), int(track[at])
    labels = forest.frame_labels()

    without = [found[found != one] if t == f else found for t, found in enumerate(labels)]
    assert [(v.frame, v.label, v.track) for v in check_lineage(lineage, without)] == [
        (f, one, number)
    ]
    more = [np.append(found, 1000) if t == f else found for t, found in enumerate(labels)]
    assert [(v.frame, v.label, v.track) for v in check_lineage(lineage, more)] == [(f, 1000, 0)]

    twice = lineage_from_tracks(
        np.append(frame, f), np.append(label, 1000), np.append(track, number), forest.parents()
    )
    assert [(v.frame, v.track) for v in check_lineage(twice)] == [(f, number)]

    lost = lineage_from_tracks(frame, label, track, {**forest.parents(), number: 999})
    assert any("track 999, which has no cells" in v.sentence for v in check_lineage(lost))
    own = lineage_from_tracks(frame, label, track, {**forest.parents(), number: number})
    assert any(v.track == number for v in check_lineage(own) if "own ancestor" in v.sentence)


@given(forests(), st.data())
def test_mothers_that_stay_too_long_and_have_too_many(forest: Forest, data: st.DataObject) -> None:
    divided = sorted({mother + 1 for _, mother in forest.tracks if mother >= 0})
    assume(divided)
    mother = data.draw(st.sampled_from(divided))
    frame, label, track = forest.instances()
    child = next(n for n, parent in forest.parents().items() if parent == mother)
    first = forest.tracks[child - 1][0][0]
    stays = lineage_from_tracks(
        np.append(frame, first), np.append(label, 1000), np.append(track, mother), forest.parents()
    )
    assert any(v.track == child and "still there" in v.sentence for v in check_lineage(stays))

    third = len(forest.tracks) + 1
    more = lineage_from_tracks(
        np.append(frame, FRAMES - 1),
        np.append(label, 1000),
        np.append(track, third),
        {**forest.parents(), third: mother},
    )
    assert [v.track for v in check_lineage(more)] == [mother]

    only = dict(forest.parents())
    only[child] = 0
    found = check_lineage(lineage_from_tracks(frame, label, track, only))
    assert [(v.track, v.is_allowed) for v in found] == [(mother, True)]


def test_not_every_one_of_very_many_is_told() -> None:
    numbers = np.arange(1, 5001)
    lineage = lineage_from_tracks(np.zeros_like(numbers), numbers, np.ones_like(numbers))
    assert len(check_lineage(lineage)) == 1000


def test_circles_of_mothers_end() -> None:
    columns = (np.array([0, 1, 2]), np.array([1, 1, 1]), np.array([1, 2, 3]))
    lineage = lineage_from_tracks(*columns, {1: 3, 2: 1, 3: 2})
    found = [v for v in check_lineage(lineage) if "own ancestor" in v.sentence]
    assert [v.track for v in found] == [1, 2, 3]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(0, 1, 1, 9)], "not there"),
        ([(0, 1, 0, 2)], "back in time"),
        ([(0, 1, 1, 1), (0, 1, 1, 2), (0, 1, 1, 3)], "more than two links"),
        ([(0, 1, 1, 1), (0, 2, 1, 1)], "two links from before"),
    ],
)
def test_links_that_cannot_be(rows: list[tuple[int, ...]], words: str) -> None:
    columns = np.array(rows).T
    names = [field.name for field in dataclasses.fields(Links)]
    links = Links(**dict(zip(names, [*columns, np.ones(len(rows), np.float32)], strict=True)))
    with pytest.raises(ValueError, match=words):
        lineage_from_links([np.array([1, 2]), np.array([1, 2, 3])], links)


def test_a_label_twice_in_a_frame() -> None:
    with pytest.raises(ValueError, match="frame 1 has a label twice"):
        lineage_from_links([np.array([1]), np.array([4, 4])], Links.none())


def test_numbers_beyond_16_bit_are_counted_anew() -> None:
    columns = (np.array([0, 2]), np.array([1, 1]), np.array([70_000, 70_000]))
    ctc = ctc_tracks(lineage_from_tracks(*columns))
    assert ctc.fits
    assert ctc.rows.tolist() == [[1, 0, 0, 0], [2, 2, 2, 1]]

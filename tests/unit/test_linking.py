"""Linking without a network, on small movies of discs."""

from __future__ import annotations

import numpy as np
import pytest
from movie_makers import discs, image_of, link_set, linked, linked_detections

from kiosk.errors import InvalidRequest
from kiosk.imaging.detections import Detections, detect
from kiosk.imaging.drift import frame_shift_px
from kiosk.imaging.linking import WINDOW_FRAMES, Linker, LinkOptions
from kiosk.imaging.links import Links

EMPTY = np.zeros((128, 128), np.uint32)
GRID = {i + 1: (16 + 24 * (i // 5), 16 + 24 * (i % 5)) for i in range(25)}


def moved(places: dict[int, tuple[float, ...]], y: float, x: float) -> dict[int, tuple[float, ...]]:
    return {label: (a + y, b + x, *rest) for label, (a, b, *rest) in places.items()}


def renamed(frames: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Labels in another order in every frame, and what each label was."""
    random = np.random.default_rng(3)
    found, were = [], []
    for frame in frames:
        labels = np.unique(frame[frame > 0])
        order = random.permutation(len(labels)) + 1
        table = np.zeros(int(frame.max(initial=0)) + 1, np.uint32)
        table[labels] = order
        back = np.zeros(len(labels) + 1, np.int64)
        back[order] = labels
        found.append(table[frame])
        were.append(back)
    return found, were


def identities(links: Links, were: list[np.ndarray]) -> list[tuple[int, int]]:
    return [(int(were[a][i]), int(were[b][j])) for a, i, b, j in link_set(links)]


def test_cells_that_move_keep_their_identity() -> None:
    random = np.random.default_rng(0)
    places = {k: np.array(v, float) for k, v in GRID.items()}
    frames = []
    for _ in range(2 * WINDOW_FRAMES + 3):
        frames.append(discs({k: tuple(v) for k, v in places.items()}))
        places = {k: v + random.normal(0, 1.0, 2) for k, v in places.items()}
    frames, were = renamed(frames)
    links = linked(frames)
    assert len(links) == 25 * (len(frames) - 1)
    assert all(a == b for a, b in identities(links, were))
    assert links.confidence.min() > 0.5
    assert links.confidence.max() <= 1


def test_division_has_two_links() -> None:
    mother = [discs({1: (60, 60, 8.0), 2: (20, 20)}) for _ in range(4)]
    daughters = [discs({3: (60, 53 - i, 5.7), 4: (60, 67 + i, 5.7), 2: (20, 20)}) for i in range(4)]
    links = link_set(linked([*mother, *daughters]))
    assert {(3, 1, 4, 3), (3, 1, 4, 4)} <= links
    without = linked([*mother, *daughters], LinkOptions(divisions=False))
    assert sum(a == 3 and i == 1 for a, i, _, _ in link_set(without)) == 1


def test_missed_instance_is_bridged() -> None:
    frames = [discs({1: (40, 40 + t), 2: (90, 90)}) for t in range(6)]
    frames[3][frames[3] == 1] = 0
    assert (2, 1, 4, 1) in link_set(linked(frames))
    assert (2, 1, 4, 1) not in link_set(linked(frames, LinkOptions(longest_gap=1)))


@pytest.mark.parametrize("empty_at", [0, 3, 7])
def test_empty_frames(empty_at: int) -> None:
    frames = [discs({1: (40, 40), 2: (90, 90)}) for _ in range(8)]
    frames[empty_at] = EMPTY
    links = link_set(linked(frames))
    frame_pairs = {(a, b) for a, _, b, _ in links}
    assert all(empty_at not in pair for pair in frame_pairs)
    assert all(i == j for _, i, _, j in links)
    assert len(links) == 2 * (7 - 1)


@pytest.mark.parametrize("count", [0, 1, WINDOW_FRAMES, 2 * WINDOW_FRAMES])
def test_nothing_to_link(count: int) -> None:
    assert len(linked([EMPTY] * count)) == 0


def test_single_cell_through_all_windows() -> None:
    frames = [discs({7: (40 + 0.5 * t, 40)}) for t in range(3 * WINDOW_FRAMES)]
    assert link_set(linked(frames)) == {(t, 7, t + 1, 7) for t in range(len(frames) - 1)}


def test_cell_that_leaves_is_not_the_one_that_enters() -> None:
    frames = [discs({1: (60, 122 + 2 * t)}) for t in range(4)]
    frames += [discs({2: (60, 4 + 2 * t)}) for t in range(4)]
    assert not any(i != j for _, i, _, j in link_set(linked(frames)))


def test_reach_is_a_limit() -> None:
    frames = [discs({1: (60, 20 + 10 * t)}) for t in range(4)]
    assert len(linked(frames)) == 3
    assert len(linked(frames, LinkOptions(reach_px=8))) == 0


def test_links_are_given_while_frames_come() -> None:
    linker = Linker()
    frame = discs(GRID)
    detections = detect(frame, patches=False)
    given = [len(linker.add(detections)) for _ in range(4 * WINDOW_FRAMES)]
    assert sum(given) > 0
    assert len(linker._frames) < WINDOW_FRAMES
    assert sum(given) + len(linker.finish()) == 25 * (4 * WINDOW_FRAMES - 1)


def test_drift_of_the_whole_frame_is_found_and_taken_off() -> None:
    # A regular grid that moves by half its pitch cannot be told by positions alone.
    random = np.random.default_rng(1)
    places = {k: (a + random.normal(0, 3), b + random.normal(0, 3)) for k, (a, b) in GRID.items()}
    still, shifted = discs(places), discs(moved(places, 11, -7))
    detections = [detect(f, image_of(f), patches=False) for f in (still, shifted)]
    assert frame_shift_px(*detections) == pytest.approx([11, -7], abs=1.0)
    assert frame_shift_px(detections[0], detections[0]) == pytest.approx([0, 0])
    steps = [(0, 0), (11, -7), (0, 3), (9, 9), (-4, 0)]
    frames, were = renamed([discs(moved(places, *step)) for step in steps])
    assert all(a == b for a, b in identities(linked(frames), were))


def test_shift_is_not_believed_where_cells_move_by_themselves() -> None:
    random = np.random.default_rng(2)
    first = {k: (a + random.normal(0, 3), b + random.normal(0, 3)) for k, (a, b) in GRID.items()}
    second = {k: (a + random.normal(0, 2), b + random.normal(0, 2)) for k, (a, b) in first.items()}
    detections = [detect(discs(p), patches=False) for p in (first, second)]
    assert np.abs(frame_shift_px(*detections)).max() < 2


def test_volumes_are_linked() -> None:
    first = np.stack([discs({1: (40, 40), 2: (90, 90)})] * 4)
    second = np.stack([discs({2: (42, 41), 1: (91, 90)})] * 4)
    movie = [detect(frame, patches=False, z_step=2.0) for frame in (first, second)]
    assert link_set(linked_detections(movie)) == {(0, 1, 1, 2), (0, 2, 1, 1)}


def test_detections_go_through_a_file(tmp_path: object) -> None:
    frame = discs(GRID)
    detections = detect(frame, image_of(frame))
    np.savez(f"{tmp_path}/frame.npz", **detections.columns())
    with np.load(f"{tmp_path}/frame.npz") as stored:
        read = Detections.from_columns(dict(stored))
    for name, values in detections.columns().items():
        assert np.array_equal(values, read.columns()[name]), name


def test_detections_measure_the_frame() -> None:
    frame = discs({5: (40, 50, 8.0), 9: (0, 100, 8.0)})
    found = detect(frame, image_of(frame))
    assert found.labels.tolist() == [5, 9]
    assert found.positions_px[0] == pytest.approx([0, 40, 50], abs=0.1)
    assert found.diameters_px[0] == pytest.approx(16, rel=0.03)
    assert found.border_px.tolist() == [33, 0]
    assert found.brightness == pytest.approx([1, 1], abs=0.1)
    patch = found.patches[0]
    assert patch.shape == (2, 32, 32)
    assert patch[1, 16, 16] == 255
    assert patch[0, 16, 16] > 120
    assert patch[0, 0, 0] < 30


def test_detections_without_an_image_or_instances() -> None:
    found = detect(EMPTY)
    assert len(found) == 0
    assert found.patches.shape == (0, 2, 32, 32)
    assert np.all(detect(discs(GRID)).brightness == 0)


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels have shape"):
        detect(EMPTY, np.zeros((4, 4)))


def test_windows_of_many_instances_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiosk.imaging.linking.MOST_INSTANCES", 100)
    linker = Linker()
    detections = detect(discs(GRID), patches=False)
    count = 3 * WINDOW_FRAMES
    given = [len(linker.add(detections)) for _ in range(count)]
    assert np.flatnonzero(given)[0] < 10
    assert sum(given) + len(linker.finish()) == 25 * (count - 1)


@pytest.mark.parametrize(
    ("field", "value"), [("longest_gap", 0), ("longest_gap", 9), ("reach_px", 0.0)]
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        LinkOptions(**{field: value})  # type: ignore[arg-type]
    assert refused.value.field == field

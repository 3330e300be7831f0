"""Volumes out of planes: columns, stacks of cells, faults of single planes, and made-up tissue."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_makers import damaged, ellipsoids, numbered_by_plane

from kiosk.imaging import overlap_counts
from kiosk.imaging.matching import count_matches, intersection_over_union
from kiosk.imaging.overlap_counts import OverlapCounts, count_overlaps, label_areas
from kiosk.imaging.volume_numbers import VolumeParameters, Volumes
from kiosk.imaging.volumes import VolumeLinker


def linked(
    planes: np.ndarray,
    parameters: VolumeParameters | None = None,
    z_step_px: float | None = None,
    *,
    gaps: bool = True,
) -> tuple[np.ndarray, Volumes]:
    """((z, y, x) labels of the volumes, what the linker says)."""
    known = {} if z_step_px is None else {"pixel_size_um": (1.0, 1.0), "z_step_um": z_step_px}
    linker = VolumeLinker(parameters, **known)  # type: ignore[arg-type]
    for z, plane in enumerate(planes):
        linker.add(
            label_areas(plane, int(plane.max()) + 1),
            count_overlaps(planes[z - 1], plane) if z else None,
            count_overlaps(planes[z - 2], plane) if z > 1 and gaps else None,
        )
    found = linker.result()
    return np.stack([t[p] for t, p in zip(found.tables, planes, strict=True)]), found


def canonical(volume: np.ndarray) -> np.ndarray:
    """Numbered by first pixel, so that two numberings can be compared."""
    found, first, inverse = np.unique(volume, return_index=True, return_inverse=True)
    rank = np.zeros(found.size, np.int64)
    instances = np.flatnonzero(found != 0)
    rank[instances[np.argsort(first[instances])]] = np.arange(1, instances.size + 1)
    return rank[inverse].reshape(volume.shape)


def f1(truth: np.ndarray, found: np.ndarray) -> float:
    flat = (volume.reshape(len(volume), -1) for volume in (truth, found))
    return count_matches(intersection_over_union(*flat), 0.5).f1


def column(areas: list[int], width: int = 30) -> np.ndarray:
    """(z, 1, x) labels: one bar per plane, all centred alike."""
    planes = np.zeros((len(areas), 1, width), np.uint32)
    for z, area in enumerate(areas):
        planes[z, 0, (width - area) // 2 : (width - area) // 2 + area] = 1
    return planes


labels = st.integers(0, 10**6)


@settings(max_examples=20, deadline=None)
@given(labels, st.integers(2, 6))
def test_equal_planes_give_straight_columns(seed: int, depth: int) -> None:
    plane = numbered_by_plane(ellipsoids((1, 50, 60), 12, seed), seed)[0]
    found, volumes = linked(np.stack([plane] * depth))
    assert volumes.count == plane.max()
    np.testing.assert_array_equal(found, np.stack([plane] * depth))
    assert set(volumes.first_plane[1:].tolist()) <= {0}
    assert set(volumes.last_plane[1:].tolist()) <= {depth - 1}


@settings(max_examples=20, deadline=None)
@given(labels)
def test_the_numbers_of_labels_do_not_matter(seed: int) -> None:
    truth = ellipsoids((12, 60, 60), 20, seed, z_step_px=2.0)
    one, other = (linked(numbered_by_plane(truth, seed + n), z_step_px=2.0)[0] for n in (1, 2))
    np.testing.assert_array_equal(canonical(one), canonical(other))


@settings(max_examples=20, deadline=None)
@given(labels)
def test_what_does_not_overlap_is_never_joined(seed: int) -> None:
    """Columns beside each other, in some planes each: a volume has one column only."""
    random = np.random.default_rng(seed)
    columns = np.repeat(np.arange(1, 7), 4)[None, None, :]
    there = random.random((10, 1, 24)) < 0.8
    truth = np.where(there, columns, 0).astype(np.uint32)
    found, volumes = linked(numbered_by_plane(truth, seed), VolumeParameters(min_planes=1))
    for volume in range(1, volumes.count + 1):
        assert len(np.unique(truth[found == volume])) == 1


@settings(max_examples=20, deadline=None)
@given(labels)
def test_tables_and_planes_say_the_same(seed: int) -> None:
    truth = damaged(ellipsoids((10, 50, 50), 20, seed), seed, missing=0.1, split=0.1)
    found, volumes = linked(truth, z_step_px=1.0)
    assert [len(table) for table in volumes.tables] == [plane.max() + 1 for plane in truth]
    assert np.unique(found[found > 0]).tolist() == list(range(1, volumes.count + 1))
    first = []
    for volume in range(1, volumes.count + 1):
        planes = np.flatnonzero((found == volume).any(axis=(1, 2)))
        assert planes[0] == volumes.first_plane[volume]
        assert planes[-1] == volumes.last_plane[volume]
        first.append((planes[0], int(truth[planes[0]][found[planes[0]] == volume].min())))
    assert first == sorted(first)  # numbered by first plane, then by label in it


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_overlaps_of_windows_add_up(cut: int) -> None:
    truth = ellipsoids((2, 60, 60), 12, 5)
    whole = count_overlaps(truth[0], truth[1])
    total, areas = OverlapCounts.none(), np.zeros(int(truth.max()) + 1, np.int64)
    for window in np.array_split(np.arange(60), cut):
        rows = slice(window[0], window[-1] + 1)
        total += count_overlaps(truth[0, rows], truth[1, rows])
        areas += label_areas(truth[0, rows], len(areas))
    for name in ("first", "second", "count"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    np.testing.assert_array_equal(areas, label_areas(truth[0], len(areas)))


@settings(max_examples=50, deadline=None)
@given(labels, st.integers(1, 9), st.integers(1, 9), st.integers(1, 100))
def test_overlaps_against_a_plain_count(seed: int, height: int, width: int, band_px: int) -> None:
    random = np.random.default_rng(seed)
    one, other = random.integers(0, 4, (2, height, width)).astype(np.uint16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap_counts, "BAND_PX", band_px)
        found = count_overlaps(one, other)
    pairs = zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)
    expected: dict[tuple[int, int], int] = {}
    for pair in pairs:
        if pair[0]:
            expected[pair] = expected.get(pair, 0) + 1
    keys = zip(found.first.tolist(), found.second.tolist(), strict=True)
    assert dict(zip(keys, found.count.tolist(), strict=True)) == expected


def test_overlaps_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        count_overlaps(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))


def test_cells_on_top_of_each_other_are_parted_at_the_neck() -> None:
    found, volumes = linked(column([6, 12, 14, 12, 5, 7, 13, 14, 10]))
    assert volumes.count == 2
    assert found.max(axis=(1, 2)).tolist() == [1] * 5 + [2] * 4


def test_three_cells_on_top_of_each_other() -> None:
    found, _ = linked(column([10, 14, 6, 14, 5, 14, 10]))
    assert found.max() == 3


def test_one_thin_section_of_a_cell_in_many_planes_is_no_neck() -> None:
    areas = [8, 12, 16, 20, 22, 13, 24, 22, 20, 16, 12, 8]
    # Bars of one row look flatter than discs: planes that lie close enough together.
    _, volumes = linked(column(areas), z_step_px=0.3)
    assert volumes.count == 1
    assert linked(column(areas), z_step_px=1.0)[1].count == 2


def test_a_missing_plane_is_bridged_with_the_plane_before() -> None:
    planes = column([10, 12, 0, 12, 10])
    found, volumes = linked(planes)
    assert volumes.count == 1
    np.testing.assert_array_equal(found > 0, planes > 0)
    assert linked(planes, gaps=False)[1].count == 2
    assert linked(column([10, 12, 0, 0, 12, 10]))[1].count == 2


def test_a_cell_cut_in_two_by_one_plane_gets_both_halves() -> None:
    planes = column([12, 12, 12, 12, 12])
    planes[2, 0, 15:] *= 2
    found, volumes = linked(planes)
    assert (volumes.count, volumes.dropped) == (1, 0)
    np.testing.assert_array_equal(found > 0, planes > 0)


def test_two_cells_joined_by_one_plane_stay_two() -> None:
    planes = np.zeros((5, 1, 20), np.uint32)
    planes[:, 0, 1:10], planes[:, 0, 10:16] = 1, 2
    planes[2, 0, 10:16] = 1
    found, volumes = linked(planes)
    assert volumes.count == 2
    assert [len(np.unique(plane[plane > 0])) for plane in found] == [2, 2, 1, 2, 2]
    assert found[1, 0, 12] == found[3, 0, 12] != found[3, 0, 3]


def test_specks_are_dropped_where_their_diameter_implies_more_planes() -> None:
    planes = np.zeros((9, 20, 20), np.uint32)
    planes[4, 2:12, 2:12] = 1  # 10 px wide, in one plane
    for z_step_px, kept in ((1.0, 0), (4.0, 0), (30.0, 1), (None, 0)):
        _, volumes = linked(planes, z_step_px=z_step_px)
        assert (volumes.count, volumes.dropped) == (kept, 1 - kept)
    assert linked(planes, VolumeParameters(min_planes=1), 1.0)[1].count == 1
    assert linked(planes, VolumeParameters(min_planes=1, min_volume_px=101))[1].count == 0


def test_what_the_stack_cuts_may_be_shorter() -> None:
    planes = np.zeros((9, 20, 20), np.uint32)
    planes[2:4, 2:12, 2:12] = 1  # two of about eleven planes
    assert linked(planes, z_step_px=1.0)[1].count == 0
    planes[[0, 1]], planes[[2, 3]] = planes[[2, 3]], 0
    assert linked(planes, z_step_px=1.2)[1].count == 1


def test_a_single_plane_keeps_its_instances() -> None:
    plane = numbered_by_plane(ellipsoids((1, 40, 40), 6, 3))
    found, volumes = linked(plane)
    assert volumes.count == plane.max()
    assert linked(plane, z_step_px=1.0)[1].count == plane.max()
    np.testing.assert_array_equal(found, plane)


def test_no_planes_and_empty_planes() -> None:
    assert VolumeLinker().result().count == 0
    found, volumes = linked(np.zeros((3, 4, 4), np.uint32))
    assert (volumes.count, volumes.dropped, found.max()) == (0, 0, 0)
    assert len(volumes.tables) == 3


@pytest.mark.parametrize(
    ("z_step_px", "stacked", "faults", "least"),
    [
        (1.0, 0.0, {}, 0.99),
        (2.0, 0.5, {}, 0.98),
        (4.0, 0.0, {}, 0.97),
        (1.0, 0.5, {"missing": 0.03, "split": 0.03, "merged": 0.02, "shaken_px": 1}, 0.9),
        (4.0, 0.0, {"missing": 0.03, "split": 0.03, "merged": 0.02, "shaken_px": 1}, 0.85),
    ],
)
def test_tissue(z_step_px: float, stacked: float, faults: dict[str, float], least: float) -> None:
    depth = int(48 / z_step_px)
    truth = ellipsoids((depth, 110, 110), 60, 4, z_step_px=z_step_px, stacked=stacked)
    planes = damaged(truth, 4, **faults) if faults else numbered_by_plane(truth)  # type: ignore[arg-type]
    found, _ = linked(planes, z_step_px=z_step_px)
    assert f1(truth, found) >= least

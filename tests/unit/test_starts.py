"""How long replicas take to start, from one look to the next."""

from __future__ import annotations

import pytest

from kiosk.ports import RoleReplicas
from kiosk.scaling import Starts
from kiosk.scaling.starts import MOST_S


def watched(*looks: tuple[float, int, int, int], starts: Starts | None = None) -> Starts:
    """`looks`: time, replicas that are desired and ready, and those that are asked for then."""
    starts = starts or Starts()
    for time_s, desired, ready, wanted in looks:
        triton = RoleReplicas(desired, ready)
        starts = starts.looked(time_s, triton).asked_for(time_s, triton, wanted)
    return starts


def test_a_start_is_over_when_all_that_were_asked_for_are_ready() -> None:
    begun = watched((0, 0, 0, 2), (10, 2, 0, 2), (200, 2, 1, 2))
    assert begun.average_s is None
    assert watched((210, 2, 2, 2), starts=begun).average_s == 210


def test_each_start_has_its_own_time() -> None:
    both = watched((0, 0, 0, 1), (50, 1, 0, 3), (100, 3, 1, 3), (150, 3, 3, 3))
    assert both.average_s == 100
    assert both.asked == ()


def test_the_last_starts_count_most() -> None:
    starts = Starts(average_s=100)
    starts = watched((0, 0, 0, 1), (200, 1, 1, 1), starts=starts)
    assert starts.average_s == pytest.approx(130)
    for begin_s in range(1000, 11_000, 1000):
        starts = watched((begin_s, 0, 0, 1), (begin_s + 200, 1, 1, 1), starts=starts)
    assert starts.average_s == pytest.approx(200, rel=0.02)


def test_a_node_that_did_not_come_for_hours_counts_an_hour() -> None:
    assert watched((0, 0, 0, 1), (90_000, 1, 1, 1)).average_s == MOST_S


@pytest.mark.parametrize(
    "looks",
    [
        ((0, 0, 0, 4), (100, 4, 1, 3), (110, 3, 3, 3), (120, 4, 4, 4)),  # cancelled
        ((0, 0, 0, 4), (10, 0, 0, 0), (500, 4, 4, 4)),  # never written
        ((0, 2, 2, 4), (100, 4, 3, 4), (110, 4, 2, 4), (300, 4, 4, 4)),  # a node was lost
        ((0, 4, 2, 5), (300, 5, 5, 5)),  # others were starting, nobody knows since when
        ((0, 4, 4, 4), (10, 4, 3, 4), (300, 4, 4, 4)),  # a node is replaced
    ],
)
def test_what_is_no_clean_start_is_not_measured(
    looks: tuple[tuple[float, int, int, int], ...],
) -> None:
    assert watched(*looks).average_s is None


def test_a_start_during_which_nothing_was_seen_is_forgotten() -> None:
    begun = watched((0, 0, 0, 2), starts=Starts(average_s=77)).unseen()
    assert watched((900, 2, 2, 2), starts=begun).average_s == 77


def test_what_counts_is_the_longer_of_what_is_set_and_what_was_measured() -> None:
    assert Starts().startup_s(180) == 180
    assert Starts(average_s=30).startup_s(180) == 180
    assert Starts(average_s=600).startup_s(180) == 600

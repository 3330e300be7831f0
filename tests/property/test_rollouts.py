"""Rollouts: every job keeps its version, canaries get their share, steps can be taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.errors import InvalidRequest, Outage, WrongState
from kiosk.rollouts import Rollout, promoted_to, rolled_back, version_for, with_canary

VERSIONS = ("1", "2", "3")
PINNED = Rollout(model="nuclei", promoted="1")
keys = st.text(max_size=40)
ratios = st.floats(0, 1, exclude_min=True)
numbers = st.sampled_from(VERSIONS)


@given(ratios, st.integers(0, 10**6))
def test_a_canary_gets_its_share(ratio: float, first: int) -> None:
    rollout = with_canary(PINNED, "2", ratio)
    chosen = [version_for(f"job-{first + i}", VERSIONS, rollout) for i in range(2000)]
    assert set(chosen) <= {"1", "2"}
    # Five standard deviations of two thousand tosses.
    spread = 5 * (ratio * (1 - ratio) / 2000) ** 0.5
    assert abs(chosen.count("2") / 2000 - ratio) <= spread + 1 / 2000


@given(keys, ratios, ratios)
def test_a_larger_share_leaves_the_canary_its_jobs(key: str, one: float, other: float) -> None:
    small, large = (with_canary(PINNED, "2", r) for r in sorted((one, other)))
    if version_for(key, VERSIONS, small) == "2":
        assert version_for(key, VERSIONS, large) == "2"


@given(keys, ratios)
def test_what_is_ready_beside_them_makes_no_difference(key: str, ratio: float) -> None:
    rollout = with_canary(PINNED, "2", ratio)
    assert version_for(key, ("1", "2"), rollout) == version_for(key, VERSIONS, rollout)


@given(keys)
def test_a_whole_share_is_all(key: str) -> None:
    assert version_for(key, VERSIONS, with_canary(PINNED, "3", 1.0)) == "3"


@given(keys)
def test_without_a_rollout_the_newest_version_does_it(key: str) -> None:
    assert version_for(key, VERSIONS, None) == "3"


@given(keys, ratios)
def test_a_canary_that_is_not_ready_gets_nothing(key: str, ratio: float) -> None:
    assert version_for(key, ("1", "3"), with_canary(PINNED, "2", ratio)) == "1"


def test_no_other_version_stands_in_for_the_promoted_one() -> None:
    with pytest.raises(Outage, match="Version 1 of the model 'nuclei', which is the promoted one"):
        version_for("job", ("2", "3"), PINNED)


@given(numbers, numbers, ratios)
def test_the_last_step_can_be_taken_back(promoted: str, other: str, ratio: float) -> None:
    before = replace(PINNED, promoted=promoted)
    if promoted == other:
        with pytest.raises(WrongState):
            with_canary(before, other, ratio)
        with pytest.raises(WrongState):
            promoted_to(before, "nuclei", other)
        return
    canary = with_canary(before, other, ratio)
    assert rolled_back(canary, "nuclei") == before
    after = promoted_to(canary, "nuclei", other)
    assert (after.promoted, after.previous, after.canary) == (other, promoted, "")
    assert rolled_back(after, "nuclei").promoted == promoted
    assert rolled_back(rolled_back(after, "nuclei"), "nuclei") == after


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.01, float("nan")])
def test_shares_that_are_none(ratio: float) -> None:
    with pytest.raises(InvalidRequest):
        with_canary(PINNED, "2", ratio)


@pytest.mark.parametrize("rollout", [None, PINNED])
def test_nothing_to_go_back_to(rollout: Rollout | None) -> None:
    with pytest.raises(WrongState, match="neither"):
        rolled_back(rollout, "nuclei")

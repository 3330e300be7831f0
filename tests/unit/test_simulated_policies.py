"""Every policy's formula, by example."""

from __future__ import annotations

import pytest

from kiosk.errors import InvalidRequest
from kiosk.ports import Backlog, ModelLoad, RoleReplicas
from kiosk.scaling import ScalingPolicy
from kiosk.simulation.horizontal import Horizontal, by_ratio, by_share
from kiosk.simulation.policies import (
    DeepCell,
    Keda,
    default_names,
    own_policy,
    policy_named,
)
from kiosk.simulation.prices import Prices
from kiosk.simulation.scenario import Scenario
from kiosk.simulation.view import View, Wanted

SCENARIO = Scenario(
    prices=Prices(
        megapixels_per_gpu_s=6.3,
        consumers_per_gpu=5,
        dollars_per_gpu_node_h=1,
        dollars_per_consumer_h=0.1,
    ),
    max_gpus=8,
)


def view(
    time_s: float,
    parts: int,
    triton: tuple[int, int] = (0, 0),
    consumers: tuple[int, int] = (1, 1),
    busy: float = 0.0,
) -> View:
    """Replicas as (desired, ready)."""
    load = ModelLoad(model="nuclei", version="1", open_px=parts * 1_000_000)
    backlog = Backlog(parts=parts, jobs=parts, models=(load,))
    return View(time_s, backlog, RoleReplicas(*triton), RoleReplicas(*consumers), busy)


def test_a_ratio_counts_ready_replicas_and_leaves_small_differences() -> None:
    assert by_ratio(4, 4, 1.09) == 4
    assert by_ratio(4, 4, 1.2) == 5
    # Two are still starting.
    assert by_ratio(4, 2, 1.2) == 3
    assert by_ratio(4, 4, 0.5) == 2
    assert by_ratio(0, 0, 3.0) == 3


def test_a_share_is_for_each_replica() -> None:
    assert by_share(2, 1000, 100) == 10
    assert by_share(10, 1090, 100) == 10
    assert by_share(10, 1110, 100) == 12
    assert by_share(0, 50, 100) == 1


def test_horizontal_goes_up_in_steps_and_down_after_five_minutes() -> None:
    scaler = Horizontal(1, 30)
    current = [1]
    for number in range(4):
        current.append(scaler.replicas(number * 15.0, current[-1], 99))
    assert current == [1, 5, 10, 20, 30]
    assert scaler.replicas(60, 30, 0) == 30
    assert scaler.replicas(344, 30, 0) == 30
    assert scaler.replicas(346, 30, 0) == 1


def test_deepcell_has_one_replica_for_any_key_and_none_at_once_without() -> None:
    policy = DeepCell(SCENARIO)
    assert policy.start == Wanted(0, 1)
    assert policy.decide(view(5, 1)).triton == 1
    assert policy.decide(view(10, 10_000, triton=(3, 3))).triton == 3
    assert policy.decide(view(20, 0, triton=(3, 3))).triton == 0


def test_deepcell_adds_replicas_while_gpus_are_busier_than_70_percent() -> None:
    policy = DeepCell(SCENARIO)
    assert policy.decide(view(15, 9, triton=(1, 1), busy=1.0)).triton == 2
    # One of two is ready: 1 x 1.43, rounded up.
    assert policy.decide(view(30, 9, triton=(2, 1), busy=1.0)).triton == 2
    assert policy.decide(view(45, 9, triton=(5, 5), busy=1.0)).triton == 8
    assert policy.decide(view(60, 9, triton=(5, 5), busy=0.75)).triton == 5
    # Between its rounds of 15 s nothing is added.
    assert policy.decide(view(65, 9, triton=(5, 5), busy=1.0)).triton == 5


def test_deepcell_has_a_consumer_per_key_while_a_replica_serves() -> None:
    policy = DeepCell(SCENARIO)
    assert policy.decide(view(15, 60, triton=(1, 0))).consumers == 1
    # Fifty of theirs are five of ours.
    assert policy.decide(view(30, 60, triton=(1, 1))).consumers == 5
    assert policy.decide(view(45, 60, triton=(1, 1), consumers=(5, 5))).consumers == 6
    assert policy.decide(view(60, 10_000, triton=(1, 1), consumers=(38, 38))).consumers == 40


def test_keda_begins_at_a_poll_and_scales_by_length() -> None:
    policy = Keda(SCENARIO, 100)
    assert policy.decide(view(15, 900, consumers=(0, 0))) == Wanted(0, 0)
    assert policy.decide(view(30, 900, consumers=(0, 0))) == Wanted(1, 1)
    # 900 parts: nine replicas, of which eight may be, five in the first step.
    assert policy.decide(view(45, 900, triton=(1, 0))) == Wanted(5, 5)
    assert policy.decide(view(60, 900, triton=(5, 0), consumers=(5, 5))) == Wanted(8, 10)


def test_keda_goes_to_zero_after_its_cool_down() -> None:
    policy = Keda(SCENARIO, 100)
    policy.decide(view(30, 10, consumers=(0, 0)))
    assert policy.decide(view(330, 0, triton=(1, 1))) == Wanted(1, 1)
    assert policy.decide(view(345, 0, triton=(1, 1))) == Wanted(0, 0)


def test_ours_is_the_autoscaler_with_the_limits_of_the_scenario() -> None:
    own = own_policy(SCENARIO, ScalingPolicy(max_triton=99, min_triton=9, drain_s=42))
    assert (own.max_triton, own.consumers_per_triton, own.slots_per_consumer) == (8, 5, 2)
    assert (own.min_triton, own.drain_s) == (8, 42)
    policy = policy_named("kiosk", SCENARIO)
    assert policy.decide(view(0, 1_000_000, consumers=(0, 0))).triton == 8
    # It remembers that there was work a moment ago.
    assert policy.decide(view(15, 0, triton=(8, 8), consumers=(40, 40))).triton == 8


def test_names_of_policies() -> None:
    assert default_names(SCENARIO) == ["kiosk", "deepcell", "keda", "fixed:8", "fixed:4"]
    assert policy_named("fixed:3", SCENARIO).start == Wanted(3, 15)
    assert policy_named("fixed", SCENARIO).name == "fixed:8"
    # As many parts as a GPU does in five minutes.
    assert policy_named("keda", SCENARIO).name == "keda:1890"
    assert policy_named("keda:7", SCENARIO).name == "keda:7"


@pytest.mark.parametrize("text", ["", "hpa", "kiosk:2", "fixed:0", "fixed:", "keda:many"])
def test_policies_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="no policy"):
        policy_named(text, SCENARIO)

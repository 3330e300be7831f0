"""Whatever comes: work is conserved, limits hold, the backlog drains, figures come again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiosk.simulation.arrivals import Arrival, Trace
from kiosk.simulation.engine import run
from kiosk.simulation.figures import figures_of
from kiosk.simulation.policies import policy_named
from kiosk.simulation.prices import Prices
from kiosk.simulation.scenario import Scenario

PRICES = Prices(
    megapixels_per_gpu_s=6.3,
    consumers_per_gpu=4,
    dollars_per_gpu_node_h=1,
    dollars_per_consumer_h=0.1,
)
POLICIES = ("kiosk", "deepcell", "keda:50", "fixed:1", "fixed")

arrivals = st.lists(
    st.builds(
        Arrival,
        time_s=st.floats(0, 7200),
        images=st.integers(1, 2000),
        megapixels=st.sampled_from([0.1, 1.0, 1.4, 25.0]),
        is_interactive=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
scenarios = st.builds(
    Scenario,
    prices=st.just(PRICES),
    max_gpus=st.integers(1, 8),
    start_s=st.sampled_from([(0.0, 0.0), (90.0, 600.0), (300.0, 300.0)]),
    preemptions_per_node_h=st.sampled_from([0.0, 0.05, 1.0]),
    node_idle_s=st.sampled_from([0.0, 600.0]),
)


@settings(max_examples=40)
@given(arrivals, scenarios, st.sampled_from(POLICIES), st.integers(0, 3))
def test_every_image_is_done_once_within_the_limits(
    came: list[Arrival], scenario: Scenario, name: str, seed: int
) -> None:
    came.sort(key=lambda arrival: arrival.time_s)
    trace = Trace("random", came, 7200)
    done = run(trace, policy_named(name, scenario), scenario, seed=seed)
    figures = figures_of(done)
    assert figures.undone == 0
    assert done.work.done == pytest.approx(trace.megapixels)
    for line in (done.work.interactive, done.work.batch):
        assert len(line.waits_s()) == sum(arrival.images for arrival in line.arrivals)
        assert (line.waits_s() >= 0).all()
        for before, after in pairwise(line.segments):
            assert before[1] <= after[0] + 1e-6
    for moment in done.history:
        wanted, ready, nodes, consumers = moment.replicas
        assert 0 <= ready <= wanted <= scenario.max_gpus
        assert ready <= nodes <= scenario.max_gpus + figures.preemptions
        assert 0 <= consumers <= scenario.max_consumers
    # No GPU works longer than it is paid.
    worked_s = (done.work.done + done.work.repeated) / PRICES.megapixels_per_gpu_s
    assert done.gpu_node_s >= worked_s - 1e-3
    again = run(trace, policy_named(name, scenario), scenario, seed=seed)
    assert figures_of(again) == figures


@settings(max_examples=15)
@given(st.floats(0.1, 7.9), st.sampled_from([15.0, 60.0, 300.0]))
def test_an_even_load_is_no_reason_to_start_and_stop(load: float, every_s: float) -> None:
    """`load`: in GPUs."""
    images = max(1, round(load * PRICES.megapixels_per_gpu_s * every_s))
    came = [Arrival(number * every_s, images) for number in range(int(10_800 / every_s))]
    scenario = Scenario(prices=PRICES, preemptions_per_node_h=0)
    done = run(Trace("even", came, 10_800), policy_named("kiosk", scenario), scenario)
    late = [moment.replicas[0] for moment in done.history if 3600 < moment.time_s < 10_500]
    assert sum(before != after for before, after in pairwise(late)) <= 4
    # It keeps up.
    assert figures_of(done).longest_open_s <= 10_800 + 900

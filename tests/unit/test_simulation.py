"""The simulator on cases that can be worked out by hand."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from kiosk.errors import InvalidRequest
from kiosk.simulation.arrivals import DAY_S, TRACES, Arrival, Trace, read_trace
from kiosk.simulation.engine import Run, run
from kiosk.simulation.figures import figures_of
from kiosk.simulation.fleet import Fleet
from kiosk.simulation.open_work import OpenWork
from kiosk.simulation.pace import Pace
from kiosk.simulation.policies import Fixed
from kiosk.simulation.prices import SHIPPED, Prices, read_prices
from kiosk.simulation.scenario import Scenario
from kiosk.simulation.view import Policy, View, Wanted

PRICES = Prices(
    megapixels_per_gpu_s=2,
    consumers_per_gpu=1,
    dollars_per_gpu_node_h=3.6,
    dollars_per_consumer_h=0.36,
)
SCENARIO = Scenario(
    prices=PRICES,
    max_gpus=2,
    start_s=(100, 100),
    pod_start_s=(30, 30),
    preemptions_per_node_h=0,
    tail_s=100,
)
TEN = Trace("ten", [Arrival(0.0, 10)], 0.0)


class Script:
    """A policy that wants what a list says, from each of its times on."""

    name, interval_s, start = "script", 10.0, Wanted(0, 0)

    def __init__(self, *steps: tuple[float, Wanted]) -> None:
        self.steps = steps
        self.views: list[View] = []

    def decide(self, view: View) -> Wanted:
        self.views.append(view)
        return [wanted for time_s, wanted in self.steps if time_s <= view.time_s][-1]


def simulated(trace: Trace, policy: Policy, scenario: Scenario = SCENARIO) -> Run:
    return run(trace, policy, scenario)


def test_ten_images_on_one_node_that_is_there() -> None:
    done = simulated(TEN, Fixed(Wanted(1, 1), "fixed:1"))
    assert done.work.batch.waits_s() == pytest.approx([n / 2 for n in range(1, 11)])
    # Done after 5 s, paid for another 100: 105 s at 0.1 cents for the node, 0.01 for the consumer.
    figures = figures_of(done)
    assert figures.dollars == pytest.approx(105 * (0.001 + 0.0001))
    assert figures.dollars_per_million == pytest.approx(figures.dollars * 1e5)
    assert figures.idle_ratio == pytest.approx(1 - 5 / 105)
    assert (figures.images_per_s, figures.longest_open_s) == pytest.approx((2, 5))
    assert (figures.wait_p50_s, figures.undone) == pytest.approx((2.75, 0))


def test_ten_images_wait_for_a_node_that_starts_and_goes() -> None:
    policy = Script((0, Wanted(1, 1)), (110, Wanted(0, 0)))
    done = simulated(TEN, policy, replace(SCENARIO, node_idle_s=20, drain_s=5, tail_s=1000))
    assert done.work.batch.waits_s() == pytest.approx([100 + n / 2 for n in range(1, 11)])
    # The node leaves 20 s after its Triton, the consumer 5 s after it was told to.
    assert (done.gpu_node_s, done.consumer_s) == pytest.approx((130, 115))
    assert figures_of(done).scale_changes == 2


def test_the_slower_of_triton_and_consumers_sets_the_pace() -> None:
    fast = replace(SCENARIO, prices=PRICES.model_copy(update={"consumers_per_gpu": 4}))
    done = simulated(TEN, Fixed(Wanted(1, 2), "half"), fast)
    assert max(done.work.batch.waits_s()) == pytest.approx(10)


def test_a_policy_sees_what_is_there() -> None:
    policy = Script((0, Wanted(1, 1)))
    simulated(Trace("many", [Arrival(0.0, 300, 2.0)], 0.0), policy)
    first, ready = policy.views[0], policy.views[11]
    assert (first.backlog.parts, first.backlog.models[0].open_px) == (300, 600_000_000)
    assert (first.triton.ready, first.backlog.leased, first.gpu_busy_ratio) == (0, 0, 0)
    # 10 s at 2 megapixels per second since the node was ready at 100 s, on two slots.
    assert (ready.time_s, ready.backlog.parts, ready.gpu_busy_ratio) == (110, 290, 1)
    assert (ready.triton.desired, ready.triton.ready, ready.backlog.leased) == (1, 1, 2)
    assert ready.backlog.models[0].px_per_slot_s == pytest.approx(1_000_000)
    assert ready.backlog.oldest_s == 110


def test_interactive_first_and_one_turn_in_five_for_batch() -> None:
    work = OpenWork()
    work.arrive(Arrival(0, 8))
    work.arrive(Arrival(0, 8, is_interactive=True))
    assert work.advance(0, 100, 1.0) == pytest.approx(16)
    assert work.interactive.waits_s() == pytest.approx([1.25 * n for n in range(1, 9)])
    # Two by turns while there were others, one every five seconds; then one per second.
    assert work.batch.waits_s() == pytest.approx([5, 10, *range(11, 17)])
    assert (work.busy_s, work.finished_s, work.open_images) == pytest.approx((16, 16, 0))


def test_work_stands_still_without_replicas_and_goes_on() -> None:
    work = OpenWork()
    work.arrive(Arrival(5, 2, 3.0))
    assert work.advance(5, 15, 0.0) == 0
    work.advance(15, 18, 1.0)
    assert (work.open_images, work.done) == (1, 3)
    work.advance(18, 30, 0.0)
    work.advance(30, 99, 1.0)
    assert work.batch.waits_s() == pytest.approx([13, 28])


def test_what_is_lost_is_done_again_before_the_rest() -> None:
    work = OpenWork()
    work.arrive(Arrival(0, 4, 2.0))
    work.advance(0, 2, 1.0)
    work.lose(2)
    work.advance(2, 99, 1.0)
    # Two images in hand, each half done: two megapixels more.
    assert (work.repeated, work.done) == (2, 8)
    assert work.batch.waits_s() == pytest.approx([2, 6, 8, 10])


def fleet(**changes: object) -> Fleet:
    return Fleet(replace(SCENARIO, **changes), random.Random(1))


def test_a_node_that_is_still_there_is_used_again() -> None:
    nodes = fleet(node_idle_s=600)
    nodes.set_triton(1, 0)
    nodes.step(100)
    nodes.set_triton(0, 200)
    nodes.set_triton(1, 300)
    nodes.step(330)
    assert (nodes.ready_triton, len(nodes.nodes)) == (1, 1)
    # The time at which it was to go is forgotten.
    nodes.step(800)
    assert nodes.bill(1000)[0] == 1000


def test_nodes_that_are_not_ready_go_first_and_a_minute_is_the_least_bill() -> None:
    nodes = fleet(node_idle_s=0)
    nodes.set_triton(1, 0)
    nodes.step(100)
    nodes.set_triton(2, 100)
    nodes.set_triton(1, 110)
    assert (nodes.step(110), nodes.ready_triton) == (0, 1)
    nodes.step(200)
    # It had begun to start, and is paid until it could have served.
    assert nodes.gpu_node_s == 100
    nodes.set_consumers(1, 200)
    nodes.set_consumers(0, 205)
    assert nodes.consumer_s == 60


def test_a_node_that_is_taken_away_is_started_anew() -> None:
    nodes = fleet(preemptions_per_node_h=36.0)
    nodes.set_triton(1, 0)
    lost, now_s = 0, 0.0
    while not lost:
        now_s = nodes.next_s
        lost = nodes.step(now_s)
    assert (nodes.triton, nodes.ready_triton, len(nodes.nodes)) == (1, 0, 1)
    nodes.step(now_s + 100)
    assert nodes.preemptions >= 1
    assert nodes.bill(now_s)[0] >= now_s


def test_more_than_there_may_be_is_not_started() -> None:
    nodes = fleet()
    nodes.set_triton(99, 0)
    nodes.set_consumers(99, 0)
    assert (nodes.triton, len(nodes.consumers)) == (2, 2)


def test_pace_is_of_the_last_minutes() -> None:
    pace = Pace()
    assert pace.px_per_slot_s == 0
    pace.count(10, 20, 10)
    assert pace.px_per_slot_s == pytest.approx(500_000)
    for _ in range(100):
        pace.count(20, 20, 30)
    assert pace.px_per_slot_s == pytest.approx(1_000_000, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "images", "length_s"),
    [
        ("burst", 1_000_000, 0),
        ("screen", 200_000, DAY_S),
        ("mixture", 1_900_000, 7 * DAY_S),
    ],
)
def test_traces_have_what_they_promise(name: str, images: int, length_s: float) -> None:
    trace = TRACES[name](1)
    interactive = sum(a.images for a in trace.arrivals if a.is_interactive)
    assert (trace.images - interactive, trace.length_s) == (images, length_s)
    times = [arrival.time_s for arrival in trace.arrivals]
    assert times == sorted(times)
    assert all(0 <= time_s <= length_s for time_s in times)
    assert TRACES[name](1).arrivals == trace.arrivals


def test_people_sleep_at_night_and_at_weekends() -> None:
    trace = TRACES["interactive"](1)
    assert all(arrival.is_interactive for arrival in trace.arrivals)
    assert {int(a.time_s // DAY_S) for a in trace.arrivals} == set(range(5))
    assert all(8 <= a.time_s % DAY_S / 3600 < 18 for a in trace.arrivals)
    assert 1200 < len(trace.arrivals) < 1600
    assert 7 < trace.images / len(trace.arrivals) < 9


def test_a_trace_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "week.csv"
    path.write_text("time_s,images,megapixels,priority\n60,2,1.5,batch\n0,1,4,interactive\n")
    trace = read_trace(path)
    assert trace.arrivals == [Arrival(0, 1, 4, True), Arrival(60, 2, 1.5)]
    assert (trace.name, trace.images, trace.megapixels, trace.length_s) == ("week", 3, 7, 60)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time_s,images\n0,1\n",
        "time_s,images,megapixels,priority\n0,1,1,soon\n",
        "time_s,images,megapixels,priority\n0,0,1,batch\n",
        "time_s,images,megapixels,priority\n-1,1,1,batch\n",
        "time_s,images,megapixels,priority\nnan,1,1,batch\n",
        "time_s,images,megapixels,priority\n0,1\n",
    ],
)
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "week.csv"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match="priority"):
        read_trace(path)


def test_the_shipped_prices_give_the_published_bill() -> None:
    prices = read_prices(SHIPPED, "published")
    assert prices.megapixels_per_gpu_s * 8 == pytest.approx(50.5, rel=0.01)
    hours = 1e6 / (8 * prices.megapixels_per_gpu_s) / 3600
    assert hours == pytest.approx(5.5, rel=0.01)
    bill = {"gpu_node_s": hours * 8 * 3600, "consumer_s": hours * 32 * 3600, "megapixels": 1e6}
    assert prices.dollars(**bill) == pytest.approx(85, abs=1)
    assert prices.dollars(**bill, between_zones_ratio=0.5) == pytest.approx(250, abs=1)
    assert read_prices(SHIPPED, "aim") != prices


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[published]\nmegapixels_per_gpu_s = 0", "megapixels_per_gpu_s"),
        ("[other]", "no table 'published', only: other"),
        ("published", "not a TOML file"),
        ("[published]\nspeed = 1", "speed"),
    ],
)
def test_prices_that_are_none_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "prices.toml"
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_prices(path, "published")
    path.write_text(text)
    with pytest.raises(InvalidRequest, match=sentence):
        read_prices(path, "published")


def test_a_policy_that_never_starts_anything_ends_and_says_so() -> None:
    done = simulated(TEN, Fixed(Wanted(0, 0), "none"))
    figures = figures_of(done)
    assert (figures.undone, figures.images_per_s, figures.dollars) == (10, 0, 0)
    assert math.isfinite(done.end_s)

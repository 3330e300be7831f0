"""Events: arrivals, replicas that get ready or are taken away, and a policy's decisions.

Between two events the number of ready replicas is the same, so work goes on at one rate and
nothing has to be stepped through.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kiosk.ports import Backlog, ModelLoad, RoleReplicas
from kiosk.simulation.arrivals import Trace
from kiosk.simulation.fleet import Fleet
from kiosk.simulation.open_work import OpenWork
from kiosk.simulation.pace import Pace
from kiosk.simulation.scenario import Scenario
from kiosk.simulation.view import Policy, View

# With nothing open and nothing decided anew for so long, no policy here decides anything before
# the next image comes.
REST_S = 3600.0
# Work that is still open so long after the last image will never be done.
GIVE_UP_S = 30 * 86_400.0
HISTORY_STEP_S = 30.0


@dataclass(frozen=True)
class Moment:
    """The state at one time.

    Attributes:
        open_megapixels: of images that are not done.
        replicas: Triton replicas that are wanted and that serve, GPU nodes that are paid, consumers
            that are ready.
    """

    time_s: float
    open_megapixels: float
    replicas: tuple[int, int, int, int]

    @property
    def ready_triton(self) -> int:
        return self.replicas[1]

    @property
    def gpu_nodes(self) -> int:
        return self.replicas[2]


@dataclass
class Run:
    """One trace under one policy: everything that a report is made from.

    Attributes:
        end_s: until when was simulated and paid.
        gpu_node_s, consumer_s: paid time.
        history: the state through time, for pictures.
    """

    trace: Trace
    policy: str
    scenario: Scenario
    work: OpenWork
    fleet: Fleet
    end_s: float = 0.0
    gpu_node_s: float = 0.0
    consumer_s: float = 0.0
    history: list[Moment] = field(default_factory=list)


@dataclass
class Engine:
    """One run, from its first event to its last."""

    trace: Trace
    policy: Policy
    scenario: Scenario
    seed: int = 0
    progress: Callable[[float], None] = lambda share: None

    def __post_init__(self) -> None:
        self.now_s = 0.0
        self.work = OpenWork()
        self.pace = Pace()
        self.fleet = Fleet(self.scenario, random.Random(self.seed))
        self.history: list[Moment] = []
        self._next_arrival = 0
        self._ticks = 0
        self._looked_s = 0.0
        self._busy = 0.0
        self._capacity = 0.0
        self._changed_s = 0.0
        self._wanted = self.policy.start

    def run(self) -> Run:
        """Until all is done and nothing is paid any more, or `tail_s` after the last image."""
        self.fleet.begin_ready(*self.policy.start)
        self.fleet.step(0.0)
        while not self._is_over():
            self._advance(self._next_event_s())
            if lost := self.fleet.step(self.now_s):
                self._lose(lost)
            self._take_arrivals()
            if self._tick_s() <= self.now_s:
                self._decide()
            self._remember()
        self.work.close(self.now_s)
        self.history.append(self._moment())
        gpu_node_s, consumer_s = self.fleet.bill(self.now_s)
        return Run(
            self.trace,
            self.policy.name,
            self.scenario,
            self.work,
            self.fleet,
            end_s=self.now_s,
            gpu_node_s=gpu_node_s,
            consumer_s=consumer_s,
            history=self.history,
        )

    def _is_over(self) -> bool:
        if self._next_arrival < len(self.trace.arrivals):
            return False
        if self.work.open_since_s is not None:
            return self.now_s >= self.trace.length_s + GIVE_UP_S
        if self.now_s < self.trace.length_s or not self._ticks_or_never():
            return False
        return self.fleet.is_empty or self.now_s >= self._end_s()

    def _ticks_or_never(self) -> bool:
        return self._ticks > 0 or math.isinf(self.policy.interval_s)

    def _end_s(self) -> float:
        """When the simulation ends at the latest, if no more work comes."""
        return max(self.trace.length_s, self.work.finished_s + self.scenario.tail_s)

    def _tick_s(self) -> float:
        if math.isinf(self.policy.interval_s):
            return math.inf
        return self._ticks * self.policy.interval_s

    def _next_event_s(self) -> float:
        times = [self.fleet.next_s, self._next_outside_s()]
        if self.work.open_since_s is not None and (rate := self.fleet.rate()):
            times.append(self.now_s + (self.work.open + self.work.again) / rate + 1e-6)
        if self._is_at_rest():
            self._skip_ticks(min(times))
        else:
            times.append(self._tick_s())
        return max(self.now_s, min(times))

    def _next_outside_s(self) -> float:
        """The next arrival; after the last one, when to stop."""
        if self._next_arrival < len(self.trace.arrivals):
            return self.trace.arrivals[self._next_arrival].time_s
        if self.work.open_since_s is None:
            return self._end_s()
        return self.trace.length_s + GIVE_UP_S

    def _is_at_rest(self) -> bool:
        """Nothing is open, and for an hour nothing was, and nothing was decided anew."""
        quiet_s = self.now_s - max(self._changed_s, self.work.finished_s)
        return self.work.open_since_s is None and quiet_s > REST_S

    def _skip_ticks(self, until_s: float) -> None:
        if not math.isinf(self.policy.interval_s):
            self._ticks = max(self._ticks, math.ceil(until_s / self.policy.interval_s))

    def _advance(self, until_s: float) -> None:
        passed_s = until_s - self.now_s
        if passed_s <= 0:
            return
        rate, before = self.fleet.rate(), self.work.done
        slots = min(self.fleet.ready_consumers * self.scenario.slots, self.work.open_images)
        worked_s = self.work.advance(self.now_s, until_s, rate)
        done = self.work.done - before
        # A slot is never quicker than with Triton for itself, however few images are in work.
        slot_s = max(slots * worked_s, done / self.scenario.slot_megapixels_s)
        self.pace.count(done, slot_s, passed_s)
        self._busy += worked_s * rate
        self._capacity += passed_s * self.fleet.ready_triton * self._gpu_rate
        self.now_s = until_s

    @property
    def _gpu_rate(self) -> float:
        return self.scenario.prices.megapixels_per_gpu_s

    def _lose(self, nodes: int) -> None:
        """What the slots had at nodes that are gone."""
        in_hand = min(self.fleet.ready_consumers * self.scenario.slots, self.work.open_images)
        self.work.lose(in_hand * nodes / (self.fleet.ready_triton + nodes))

    def _take_arrivals(self) -> None:
        arrivals = self.trace.arrivals
        while self._next_arrival < len(arrivals):
            arrival = arrivals[self._next_arrival]
            if arrival.time_s > self.now_s:
                break
            # The picture draws lines between moments, and images come at once.
            self.history.append(self._moment())
            self.work.arrive(arrival)
            self.history.append(self._moment())
            self._next_arrival += 1

    def _decide(self) -> None:
        wanted = self.policy.decide(self._view())
        if wanted != self._wanted:
            self._wanted, self._changed_s = wanted, self.now_s
        if wanted.triton != self.fleet.triton:
            self.fleet.set_triton(wanted.triton, self.now_s)
        if wanted.consumers != len(self.fleet.consumers):
            self.fleet.set_consumers(wanted.consumers, self.now_s)
        self.fleet.step(self.now_s)
        self._ticks = math.floor(self.now_s / self.policy.interval_s) + 1
        self.progress(self.work.done / self.trace.megapixels if self.trace.arrivals else 1.0)

    def _view(self) -> View:
        fleet = self.fleet
        busy_ratio = min(1.0, self._busy / self._capacity) if self._capacity else 0.0
        self._busy = self._capacity = 0.0
        return View(
            time_s=self.now_s,
            backlog=self._backlog(),
            triton=RoleReplicas(fleet.triton, fleet.ready_triton),
            consumers=RoleReplicas(len(fleet.consumers), fleet.ready_consumers),
            gpu_busy_ratio=busy_ratio,
        )

    def _backlog(self) -> Backlog:
        images = self.work.open_images
        slots = self.fleet.ready_consumers * self.scenario.slots
        load = ModelLoad(
            model="nuclei",
            version="1",
            open_px=round(self.work.open * 1e6),
            px_per_slot_s=self.pace.px_per_slot_s,
        )
        return Backlog(
            parts=images,
            jobs=images,
            leased=min(slots, images) if self.fleet.ready_triton else 0,
            oldest_s=max(0.0, self.now_s - self.work.oldest_time_s) if images else 0.0,
            models=(load,),
        )

    def _remember(self) -> None:
        """A moment for the picture: when replicas have changed, and now and then."""
        moment = self._moment()
        last = self.history[-1] if self.history else None
        if (
            last is None
            or moment.replicas != last.replicas
            or (moment.open_megapixels > 0) != (last.open_megapixels > 0)
            or moment.time_s - last.time_s >= HISTORY_STEP_S
        ):
            self.history.append(moment)

    def _moment(self) -> Moment:
        fleet = self.fleet
        return Moment(
            self.now_s,
            self.work.open,
            (fleet.triton, fleet.ready_triton, len(fleet.nodes), fleet.ready_consumers),
        )


def run(
    trace: Trace,
    policy: Policy,
    scenario: Scenario,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Run:
    """Simulate a trace under a policy. The same seed gives the same run.

    `progress` is told now and then which share of the images is done.
    """
    return Engine(trace, policy, scenario, seed, progress).run()

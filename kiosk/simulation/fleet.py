"""GPU nodes with Triton and consumers: they start, get ready, are taken away, and are paid."""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, field
from typing import Literal

from kiosk.simulation.scenario import Scenario

# Clouds charge a machine for a minute at least.
LEAST_BILL_S = 60.0


@dataclass(eq=False)
class Pod:
    """A consumer."""

    begin_s: float
    ready_s: float


@dataclass(eq=False)
class Node:
    """A GPU node; `has_triton` is False while it is paid for nothing."""

    begin_s: float
    ready_s: float
    has_triton: bool = True
    # Counts how often Triton has left, so that an old appointment to remove the node is told apart.
    leavings: int = 0
    is_gone: bool = False


@dataclass
class Fleet:
    """All nodes and consumers of a run. Times are those of the simulation.

    Attributes:
        gpu_node_s, consumer_s: paid time of those that are gone; `bill` adds the others.
        changes: how often the wanted number of Triton replicas changed.
    """

    scenario: Scenario
    chance: random.Random
    nodes: list[Node] = field(default_factory=list)
    consumers: list[Pod] = field(default_factory=list)
    ready_triton: int = 0
    ready_consumers: int = 0
    triton: int = 0
    gpu_node_s: float = 0.0
    consumer_s: float = 0.0
    changes: int = 0
    preemptions: int = 0
    _events: list[tuple[float, int, str, Node | Pod, int]] = field(default_factory=list)
    _number: int = 0

    @property
    def next_s(self) -> float:
        """When something happens here next."""
        return self._events[0][0] if self._events else math.inf

    @property
    def is_empty(self) -> bool:
        return not self.nodes and not self.consumers

    def rate(self) -> float:
        """Megapixels per second: of Triton or of consumers, whichever is slower."""
        prices = self.scenario.prices
        return min(
            self.ready_triton * prices.megapixels_per_gpu_s,
            self.ready_consumers * prices.megapixels_per_consumer_s,
        )

    def begin_ready(self, triton: int, consumers: int) -> None:
        """Replicas that have always been there, at time 0."""
        for _ in range(triton):
            self._start_node(0.0, 0.0)
        self.triton = triton
        for _ in range(consumers):
            self._start_consumer(0.0, 0.0)

    def set_triton(self, replicas: int, now_s: float) -> None:
        """Start nodes, or take Triton from those that are not ready, then from the newest."""
        replicas = max(0, min(replicas, self.scenario.max_gpus))
        self.changes += replicas != self.triton
        for _ in range(replicas - self.triton):
            self._add_triton(now_s)
        if replicas < self.triton:
            serving = [node for node in self.nodes if node.has_triton]
            serving.sort(key=lambda node: (node.ready_s > now_s, node.begin_s), reverse=True)
            for node in serving[: self.triton - replicas]:
                self._leave(node, now_s)
        self.triton = replicas

    def set_consumers(self, replicas: int, now_s: float) -> None:
        replicas = max(0, min(replicas, self.scenario.max_consumers))
        for _ in range(replicas - len(self.consumers)):
            self._start_consumer(now_s, now_s + self.chance.uniform(*self.scenario.pod_start_s))
        if replicas < len(self.consumers):
            self.consumers.sort(key=lambda pod: (pod.ready_s > now_s, pod.begin_s))
            leaving = self.consumers[replicas:]
            del self.consumers[replicas:]
            for pod in leaving:
                self.consumer_s += _billed_s(pod.begin_s, now_s + self.scenario.drain_s)
        self.ready_consumers = sum(pod.ready_s <= now_s for pod in self.consumers)

    def step(self, now_s: float) -> int:
        """Let happen what happens at this time; returns how many serving nodes are taken away."""
        lost = 0
        while self._events and self._events[0][0] <= now_s:
            _, _, kind, thing, leavings = heapq.heappop(self._events)
            if isinstance(thing, Node) and not thing.is_gone:
                lost += self._happen(kind, thing, leavings, now_s)
        self.ready_triton = sum(n.has_triton and n.ready_s <= now_s for n in self.nodes)
        self.ready_consumers = sum(pod.ready_s <= now_s for pod in self.consumers)
        return lost

    def bill(self, now_s: float) -> tuple[float, float]:
        """Paid seconds of GPU nodes and of consumers, if all ended now."""
        nodes = sum(_billed_s(node.begin_s, now_s) for node in self.nodes)
        pods = sum(_billed_s(pod.begin_s, now_s) for pod in self.consumers)
        return self.gpu_node_s + nodes, self.consumer_s + pods

    def _happen(self, kind: str, node: Node, leavings: int, now_s: float) -> int:
        if kind == "lost":
            serving = node.has_triton and node.ready_s <= now_s
            self._remove(node, now_s)
            self.preemptions += 1
            # Kubernetes starts another one for the replica by itself.
            if node.has_triton:
                self._add_triton(now_s)
            return int(serving)
        if kind == "idle" and not node.has_triton and node.leavings == leavings:
            self._remove(node, now_s)
        return 0

    def _add_triton(self, now_s: float) -> None:
        """On a node that is still there, or on a new one."""
        left = [node for node in self.nodes if not node.has_triton]
        free = min(left, key=lambda node: node.ready_s, default=None)
        if free is None:
            self._start_node(now_s, now_s + self.chance.uniform(*self.scenario.start_s))
            return
        free.has_triton = True
        free.ready_s = max(free.ready_s, now_s + self.chance.uniform(*self.scenario.pod_start_s))
        self._plan(free.ready_s, "ready", free)

    def _leave(self, node: Node, now_s: float) -> None:
        node.has_triton = False
        node.leavings += 1
        empty_s = max(now_s, node.ready_s) + self.scenario.node_idle_s
        self._plan(empty_s, "idle", node, node.leavings)

    def _start_node(self, now_s: float, ready_s: float) -> None:
        node = Node(now_s, ready_s)
        self.nodes.append(node)
        self._plan(ready_s, "ready", node)
        if rate := self.scenario.preemptions_per_node_h:
            self._plan(now_s + self.chance.expovariate(rate / 3600), "lost", node)

    def _start_consumer(self, now_s: float, ready_s: float) -> None:
        pod = Pod(now_s, ready_s)
        self.consumers.append(pod)
        self._plan(ready_s, "ready", pod)

    def _remove(self, node: Node, now_s: float) -> None:
        node.is_gone = True
        self.nodes.remove(node)
        self.gpu_node_s += _billed_s(node.begin_s, now_s)

    def _plan(
        self,
        time_s: float,
        kind: Literal["ready", "idle", "lost"],
        thing: Node | Pod,
        leavings: int = 0,
    ) -> None:
        self._number += 1
        heapq.heappush(self._events, (time_s, self._number, kind, thing, leavings))


def _billed_s(begin_s: float, end_s: float) -> float:
    return max(LEAST_BILL_S, end_s - begin_s)

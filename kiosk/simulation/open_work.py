"""Work that is open, as a fluid: exact while the number of ready replicas does not change."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kiosk.queue_policy import BATCH_TURN
from kiosk.simulation.arrivals import Arrival

# Megapixels; sums of a million floats are not exact, and a millionth of an image is none.
TINY = 1e-6


@dataclass
class Line:
    """Images of one priority, first come first served.

    Attributes:
        arrived, done: megapixels since the beginning.
        waiting: (megapixels arrived up to and with it, arrival) of what is not done.
        arrivals: all of them.
        segments: (begin_s, end_s, done at begin, done at end): when work went on.
    """

    arrived: float = 0.0
    done: float = 0.0
    images_waiting: int = 0
    waiting: deque[tuple[float, Arrival]] = field(default_factory=deque)
    arrivals: list[Arrival] = field(default_factory=list)
    segments: list[tuple[float, float, float, float]] = field(default_factory=list)

    @property
    def open(self) -> float:
        return self.arrived - self.done

    @property
    def open_images(self) -> int:
        """Images that are not done, the one that is begun as well."""
        if not self.waiting:
            return 0
        end, head = self.waiting[0]
        left = math.ceil((end - self.done) / head.megapixels - TINY)
        return self.images_waiting - head.images + min(left, head.images)

    def arrive(self, arrival: Arrival) -> None:
        self.arrived += arrival.images * arrival.megapixels
        self.images_waiting += arrival.images
        self.waiting.append((self.arrived, arrival))
        self.arrivals.append(arrival)

    def work(self, begin_s: float, end_s: float, rate: float) -> None:
        """Get work done at a rate, not more than is open."""
        before = self.done
        self.done = min(self.arrived, before + rate * (end_s - begin_s))
        if self.open < TINY:
            self.done = self.arrived
        if self.done > before:
            self.segments.append((begin_s, end_s, before, self.done))
        while self.waiting and self.waiting[0][0] <= self.done + TINY:
            self.images_waiting -= self.waiting.popleft()[1].images

    def waits_s(self) -> npt.NDArray[np.float64]:
        """From arrival to done, for each image that is done, in the order of arrival."""
        counts = np.array([arrival.images for arrival in self.arrivals], dtype=np.int64)
        if not counts.size or not self.segments:
            return np.zeros(0)
        sizes = np.array([arrival.megapixels for arrival in self.arrivals])
        times = np.repeat([arrival.time_s for arrival in self.arrivals], counts)
        # Within an arrival by multiplication: a running sum of a million would drift.
        ends = np.cumsum(counts * sizes)
        number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + 1
        reached = np.repeat(ends - counts * sizes, counts) + number * np.repeat(sizes, counts)
        reached = reached[reached <= self.done + TINY]
        begin_s, end_s, before, after = np.array(self.segments).T
        index = np.searchsorted(after, reached - TINY).clip(max=len(after) - 1)
        share = (reached - before[index]) / (after[index] - before[index])
        done_s = begin_s[index] + share.clip(0, 1) * (end_s - begin_s)[index]
        return np.maximum(done_s - times[: len(reached)], 0.0)


@dataclass
class OpenWork:
    """Both priorities, and what has to be done again because a node was taken away.

    Attributes:
        again: megapixels to do again before anything else; `repeated` is how many that were.
        busy_s, longest_s: time with open work, and the longest stretch of it.
        open_since_s: None while nothing is open.
        finished_s: when the last image was done.
    """

    interactive: Line = field(default_factory=Line)
    batch: Line = field(default_factory=Line)
    again: float = 0.0
    repeated: float = 0.0
    busy_s: float = 0.0
    longest_s: float = 0.0
    open_since_s: float | None = None
    finished_s: float = 0.0

    @property
    def open(self) -> float:
        """Megapixels."""
        return self.interactive.open + self.batch.open

    @property
    def open_images(self) -> int:
        return self.interactive.open_images + self.batch.open_images

    @property
    def done(self) -> float:
        """Megapixels; what was done twice counts once."""
        return self.interactive.done + self.batch.done

    @property
    def oldest_time_s(self) -> float:
        """When the oldest image came; infinite if none is open."""
        heads = [line.waiting[0][1].time_s for line in self._lines() if line.waiting]
        return min(heads, default=math.inf)

    def arrive(self, arrival: Arrival) -> None:
        (self.interactive if arrival.is_interactive else self.batch).arrive(arrival)
        if self.open_since_s is None:
            self.open_since_s = arrival.time_s

    def lose(self, images: float) -> None:
        """So many images in hand are lost, each half done on average."""
        head = next((line.waiting[0][1] for line in self._lines() if line.waiting), None)
        if head is not None:
            lost = min(images, self.open_images) * head.megapixels / 2
            self.again += lost
            self.repeated += lost

    def advance(self, begin_s: float, end_s: float, rate: float) -> float:
        """Work on from one time to another at a rate in megapixels per second.

        Returns: the time in which something was done.
        """
        now_s = begin_s
        while rate > 0 and self.open_since_s is not None and end_s - now_s > 1e-9:
            now_s = self._step(now_s, end_s, rate)
        return now_s - begin_s

    def close(self, now_s: float) -> None:
        """Count the time with open work up to now."""
        if self.open_since_s is not None:
            self._count(now_s)
            self.open_since_s = now_s

    def _step(self, now_s: float, end_s: float, rate: float) -> float:
        """Up to where a line is empty, or to the end."""
        if self.again > 0:
            until_s = min(end_s, now_s + self.again / rate)
            self.again = max(0.0, self.again - rate * (until_s - now_s))
            self.again = self.again if self.again > TINY else 0.0
            return until_s
        shares = self._shares()
        busy = [
            (line, rate * share) for line, share in zip(self._lines(), shares, strict=True) if share
        ]
        until_s = min(end_s, *(now_s + line.open / pace for line, pace in busy))
        for line, pace in busy:
            line.work(now_s, until_s, pace)
        if not self.open:
            self._count(until_s)
            self.open_since_s = None
            self.finished_s = until_s
        return until_s

    def _count(self, now_s: float) -> None:
        stretch_s = now_s - (self.open_since_s or 0.0)
        self.busy_s += stretch_s
        self.longest_s = max(self.longest_s, stretch_s)

    def _shares(self) -> tuple[float, float]:
        """Of the rate: interactive first, but one turn in five goes to batch."""
        if self.interactive.open and self.batch.open:
            return 1 - 1 / BATCH_TURN, 1 / BATCH_TURN
        return (1.0, 0.0) if self.interactive.open else (0.0, 1.0)

    def _lines(self) -> tuple[Line, Line]:
        return self.interactive, self.batch

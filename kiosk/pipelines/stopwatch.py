"""How long the steps of a part take: for the record of the run, the metrics and the trace."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from kiosk.observed_parts import step


class Stopwatch:
    """Seconds per step of a part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Around one step; one that is done in several goes is added up."""
        started = time.perf_counter()
        with step(name):
            yield
        took_s = time.perf_counter() - started
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took_s, 4)

"""Arrival traces: when images come, how many and how large."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kiosk.errors import InvalidRequest

DAY_S = 86_400.0
# A microscope that screens 384-well plates, six fields of view per well; it sends rows of wells.
ROW_IMAGES, PLATE_ROWS = 24 * 6, 16
PLATE_S, CHANGE_S = 780.0, 132.0
# After so many plates somebody fills the stacker again.
STACK_PLATES, STACK_S = 20, 1800.0
SCREEN_IMAGES_PER_DAY = 200_000
# Jobs per hour of people at work, for each hour from 8 to 18 o'clock; lunch is quiet.
JOBS_PER_H = (10, 25, 40, 40, 20, 25, 40, 40, 30, 15)
OPENING_HOUR = 8
WORKDAYS = 5
MEAN_JOB_IMAGES = 8.0
DAILY_BURST_IMAGES, DAILY_BURST_HOUR = 100_000, 18
COLUMNS = ("time_s", "images", "megapixels", "priority")
PRIORITIES = ("interactive", "batch")


@dataclass(frozen=True)
class Arrival:
    """Images that come at one time. `megapixels`: of each image."""

    time_s: float
    images: int
    megapixels: float = 1.0
    is_interactive: bool = False


@dataclass(frozen=True)
class Trace:
    """Arrivals in the order of time; `length_s` is how long the trace goes on, with or without."""

    name: str
    arrivals: Sequence[Arrival]
    length_s: float

    @property
    def images(self) -> int:
        return sum(arrival.images for arrival in self.arrivals)

    @cached_property
    def megapixels(self) -> float:
        return sum(arrival.images * arrival.megapixels for arrival in self.arrivals)


def burst(seed: int = 0, images: int = 1_000_000) -> Trace:
    """All at once, as in the published benchmark."""
    return Trace("burst", [Arrival(0.0, images)], 0.0)


def screen(seed: int = 0, days: int = 1) -> Trace:
    """A screening microscope day and night: rows of wells, pauses for plates and for stacks."""
    return Trace("screen", _screened(days), days * DAY_S)


def interactive(seed: int = 0, days: int = 7) -> Trace:
    """People at work from Monday on: small jobs at random times, nights and weekends without."""
    return Trace("interactive", _asked(days, random.Random(seed)), days * DAY_S)


def mixture(seed: int = 0, days: int = 7) -> Trace:
    """The microscope, the people, and 100,000 images on every working day at 18 o'clock."""
    bursts = [
        Arrival(day * DAY_S + DAILY_BURST_HOUR * 3600.0, DAILY_BURST_IMAGES)
        for day in range(days)
        if day % 7 < WORKDAYS
    ]
    everything = [*_screened(days), *_asked(days, random.Random(seed)), *bursts]
    return Trace("mixture", sorted(everything, key=lambda a: a.time_s), days * DAY_S)


TRACES: dict[str, Callable[[int], Trace]] = {
    "burst": burst,
    "screen": screen,
    "interactive": interactive,
    "mixture": mixture,
}


def read_trace(path: Path) -> Trace:
    """A trace from a CSV file with the columns time_s, images, megapixels, priority.

    Raises:
        InvalidRequest: the file cannot be read, or a line is not of this form.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"'{path}' cannot be read: {error}.") from error
    if not rows:
        raise InvalidRequest(f"'{path}' has no arrivals. Its columns are {', '.join(COLUMNS)}.")
    arrivals = [_arrival(path, number, row) for number, row in enumerate(rows, start=2)]
    arrivals.sort(key=lambda arrival: arrival.time_s)
    return Trace(path.stem, arrivals, arrivals[-1].time_s)


def _arrival(path: Path, line: int, row: dict[str, str]) -> Arrival:
    try:
        time_s, images, megapixels, priority = (row[name].strip() for name in COLUMNS)
        found = Arrival(float(time_s), int(images), float(megapixels), priority == PRIORITIES[0])
    except (KeyError, ValueError, AttributeError):
        found = None
    if (
        found is None
        or priority not in PRIORITIES
        or not (
            0 <= found.time_s < math.inf and found.images > 0 and 0 < found.megapixels < math.inf
        )
    ):
        raise InvalidRequest(
            f"'{path}', line {line}: expected {', '.join(COLUMNS)} as in 3600,25,1.4,interactive;"
            " priority is interactive or batch."
        )
    return found


def _screened(days: int) -> list[Arrival]:
    """Rows of plates, until the day's number of images is reached; then the microscope rests."""
    found: list[Arrival] = []
    for day in range(days):
        left, time_s, plate = SCREEN_IMAGES_PER_DAY, day * DAY_S, 0
        while left > 0:
            for row in range(PLATE_ROWS):
                images = min(ROW_IMAGES, left)
                if images:
                    found.append(Arrival(time_s + (row + 1) * PLATE_S / PLATE_ROWS, images))
                left -= images
            plate += 1
            time_s += PLATE_S + (CHANGE_S if plate % STACK_PLATES else STACK_S)
    return found


def _asked(days: int, chance: random.Random) -> list[Arrival]:
    """A Poisson process within each hour; sizes of jobs are geometric."""
    found: list[Arrival] = []
    for day in range(days):
        if day % 7 >= WORKDAYS:
            continue
        for number, jobs_per_h in enumerate(JOBS_PER_H):
            begin_s = day * DAY_S + (OPENING_HOUR + number) * 3600.0
            time_s = chance.expovariate(jobs_per_h / 3600.0)
            while time_s < 3600.0:
                images = 1 + int(math.log(1 - chance.random()) / math.log(1 - 1 / MEAN_JOB_IMAGES))
                found.append(Arrival(begin_s + time_s, images, is_interactive=True))
                time_s += chance.expovariate(jobs_per_h / 3600.0)
    return found

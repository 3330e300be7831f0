"""What is done to the processes of a kiosk, and when: a schedule made of one seed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.chaos.victim import Victim

# How many of 100 faults hit which process.
TARGETS = {
    "consumer-1": 16,
    "consumer-2": 16,
    "consumer-3": 16,
    "triton": 12,
    "backend": 6,  # the process in which Triton runs the network
    "reader": 10,  # one that reads images for a consumer or the server
    "server": 14,
    "redis": 16,
    "kiosk": 4,  # the supervisor: all at once
}
KILLED_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How fast one fault follows the other: shortest and longest times.

    Attributes:
        pause_s: from one fault to the next.
        stopped_s: from SIGSTOP to SIGCONT.
        supervisor: whether it is killed too.
    """

    pause_s: tuple[float, float] = (1.0, 5.0)
    stopped_s: tuple[float, float] = (0.5, 12.0)
    supervisor: bool = True


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One blow. `stopped_s` is 0 for SIGKILL, else the time between SIGSTOP and SIGCONT."""

    target: str
    pause_s: float
    stopped_s: float

    @property
    def name(self) -> str:
        return f"{'stopped' if self.stopped_s else 'killed'} {self.target.split('-')[0]}"


@dataclass(kw_only=True)
class Blow:
    """A fault that was done. Times are of time.monotonic()."""

    fault: Fault
    ended_s: float
    missed: bool = False  # there was no such process at that moment


def schedule(seed: int, rhythm: Rhythm) -> Iterator[Fault]:
    """Faults without end; the same seed gives the same ones."""
    dice = random.Random(seed)
    names = [name for name in TARGETS if name != "kiosk" or rhythm.supervisor]
    weights = [TARGETS[name] for name in names]
    while True:
        target = dice.choices(names, weights)[0]
        pause_s, stopped_s = dice.uniform(*rhythm.pause_s), dice.uniform(*rhythm.stopped_s)
        killed = dice.random() < KILLED_SHARE or target in ("kiosk", "backend")
        yield Fault(target=target, pause_s=pause_s, stopped_s=0.0 if killed else stopped_s)


async def strike(victim: Victim, faults: Iterator[Fault], until: asyncio.Event) -> list[Blow]:
    """Do one fault after another until told to stop; those that are stopped go on at the end."""
    blows: list[Blow] = []
    stopped: set[asyncio.Task[None]] = set()
    while not until.is_set():
        fault = next(faults)
        with suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), fault.pause_s)
            break
        blow = Blow(fault=fault, ended_s=time.monotonic())
        blows.append(blow)
        if fault.target == "kiosk":
            await asyncio.to_thread(victim.kill_and_start)
            blow.ended_s = time.monotonic()
            continue
        pid = victim.pids().get(fault.target)
        if pid is None or not sent(pid, signal.SIGSTOP if fault.stopped_s else signal.SIGKILL):
            blow.missed = True
        elif fault.stopped_s:
            task = asyncio.create_task(_go_on(pid, blow))
            stopped.add(task)
            task.add_done_callback(stopped.discard)
    await asyncio.gather(*stopped)
    return blows


async def _go_on(pid: int, blow: Blow) -> None:
    await asyncio.sleep(blow.fault.stopped_s)
    sent(pid, signal.SIGCONT)
    blow.ended_s = time.monotonic()


def sent(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True

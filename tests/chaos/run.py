"""One chaos run: a calm run of every input, the storm, and what must hold when it is over."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from kiosk.client import AsyncKiosk
from kiosk.machine import RunningKiosk
from tests.chaos.dead import DeadPart, dead_parts
from tests.chaos.faults import Blow, Rhythm, schedule, strike
from tests.chaos.inputs import Input, Kind, choose, distinct, make_inputs
from tests.chaos.leftovers import delete_everything, files_left, keys_left
from tests.chaos.pulse import Pulse
from tests.chaos.storm import Callers, Outcome
from tests.chaos.victim import Victim

ATTEMPTS = 3
SWEPT_S = 20.0
"""So long it may take until what dead consumers have left is swept."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is done in a run, and how long the kiosk waits for what.

    Attributes:
        storm_s: faults are done for so long, and only while there is work.
        settle_s: after the last fault everything must be over within this time.
        lease_s, part_timeout_s, tile_timeout_s: short, so that what takes minutes in earnest is
            over in seconds here.
    """

    jobs: int
    stack_frames: int
    storm_s: float
    settle_s: float
    lease_s: float
    part_timeout_s: float
    tile_timeout_s: float
    rhythm: Rhythm

    @property
    def settings(self) -> dict[str, str]:
        return {
            "KIOSK_QUEUE__LEASE_S": str(self.lease_s),
            "KIOSK_QUEUE__ATTEMPTS": str(ATTEMPTS),
            "KIOSK_CONSUMER__PART_TIMEOUT_S": str(self.part_timeout_s),
            "KIOSK_TRITON__TIMEOUT_S": str(self.tile_timeout_s),
            "KIOSK_LISTEN__SWEEP_S": "2",
        }


FULL = Size(
    jobs=300,
    stack_frames=200,
    storm_s=300.0,
    settle_s=200.0,
    lease_s=5.0,
    part_timeout_s=20.0,
    tile_timeout_s=8.0,
    rhythm=Rhythm(),
)
# For every change: about a minute. The supervisor stays alive, since starting anew takes long.
SHORT = Size(
    jobs=30,
    stack_frames=30,
    storm_s=15.0,
    settle_s=90.0,
    lease_s=2.5,
    part_timeout_s=6.0,
    tile_timeout_s=3.0,
    rhythm=Rhythm(pause_s=(0.3, 1.5), stopped_s=(0.5, 4.0), supervisor=False),
)


@dataclass(kw_only=True)
class Result:
    """What was seen in a run."""

    outcomes: list[Outcome] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    bridged: dict[str, int] = field(default_factory=dict)
    recoveries_s: list[tuple[float, Blow]] = field(default_factory=list)
    dead: list[DeadPart] = field(default_factory=list)
    storm_s: float = 0.0
    total_s: float = 0.0
    violations: list[str] = field(default_factory=list)


class Run:
    """One run with a seed, in a folder of its own."""

    def __init__(self, folder: Path, console: Console, seed: int, size: Size) -> None:
        self._victim = Victim(folder, size.settings)
        self._console = console
        self._seed = seed
        self._size = size
        self._inputs = choose(make_inputs(seed, size.stack_frames), size.jobs, seed)
        self.result = Result()

    def do(self) -> Result:
        began_s = time.monotonic()
        kiosk = self._victim.start()
        try:
            asyncio.run(self._do(kiosk))
        except Exception:  # what was seen until then is worth its table
            self.result.violations.append(traceback.format_exc())
        finally:
            code = self._victim.stop()
        result = self.result
        if code:
            result.violations.append(f"The kiosk ended with exit code {code}.")
        result.violations += [f"Process left: {line}" for line in self._victim.left().values()]
        result.violations += [f"Shared memory left: {n}" for n in self._victim.shared_memory()]
        result.total_s = time.monotonic() - began_s
        return result

    async def _do(self, kiosk: RunningKiosk) -> None:
        self._console.print("The calm run: every input once.")
        calm = Callers(kiosk.grpc_address, time.monotonic() + 120.0)
        await calm.bring_through(distinct(self._inputs), self._seed + 1_000_000)
        expected = {_key(outcome.input): outcome for outcome in calm.outcomes}
        self.result.violations += [
            f"Calm run: {o.input.file_name}: {o.state}: {o.message}"
            for o in calm.outcomes
            if o.state != "succeeded"
        ]
        self._console.print(f"The storm: {len(self._inputs)} jobs.")
        await self._storm(kiosk)
        self._check_outcomes(expected)
        # Found anew: a supervisor that was killed has chosen other ports.
        await self._check_dead_letters(self._victim.running())
        await self._check_leftovers(self._victim.running())

    async def _storm(self, kiosk: RunningKiosk) -> None:
        began_s, size = time.monotonic(), self._size
        callers = Callers(kiosk.grpc_address, began_s + size.storm_s + size.settle_s)
        enough = asyncio.Event()
        pulse = Pulse(self._victim)
        looking = asyncio.create_task(pulse.watch())
        work = asyncio.create_task(callers.bring_through(self._inputs, self._seed))
        faults = asyncio.create_task(
            strike(self._victim, schedule(self._seed, size.rhythm), enough)
        )
        await asyncio.wait({work, faults}, timeout=size.storm_s, return_when="FIRST_COMPLETED")
        enough.set()
        result = self.result
        result.blows = await faults
        self._console.print(f"{len(result.blows)} faults were done; now it may settle.")
        await asyncio.wait({work}, timeout=size.settle_s)
        if not work.done():
            result.violations.append(f"Not over {size.settle_s:g} s after the last fault.")
            work.cancel()
        looking.cancel()
        await asyncio.gather(work, looking, return_exceptions=True)
        result.outcomes, result.bridged = callers.outcomes, callers.bridged
        result.storm_s = time.monotonic() - began_s
        result.recoveries_s = _recoveries(result.blows, pulse)

    def _check_outcomes(self, expected: dict[tuple[str, str], Outcome]) -> None:
        for outcome in self.result.outcomes:
            name = f"{outcome.input.file_name} {outcome.input.member} (job {outcome.job_id})"
            wrong = verdict(outcome, expected.get(_key(outcome.input)))
            if wrong:
                self.result.violations.append(f"{name}: {wrong}")
        missing = len(self._inputs) - len(self.result.outcomes)
        if missing:
            self.result.violations.append(f"{missing} jobs were never submitted.")

    async def _check_dead_letters(self, kiosk: RunningKiosk) -> None:
        self.result.dead = await dead_parts(kiosk.redis_url)
        found = Counter(part.job_id for part in self.result.dead)
        for outcome in self.result.outcomes:
            wanted = 1 if outcome.input.kind in (Kind.POISON, Kind.HANG) else 0
            if found[outcome.job_id] != wanted:
                self.result.violations.append(
                    f"{outcome.input.file_name} (job {outcome.job_id}) has"
                    f" {found[outcome.job_id]} dead letters, not {wanted}."
                )
        poisons = {o.job_id for o in self.result.outcomes if not o.input.succeeds}
        for part in self.result.dead:
            if part.job_id in poisons and part.attempts != ATTEMPTS:
                self.result.violations.append(
                    f"Job {part.job_id} was given up after {part.attempts} attempts."
                )

    async def _check_leftovers(self, kiosk: RunningKiosk) -> None:
        """Delete everything; then nothing may be there, once it was swept."""
        violations = self.result.violations
        async with AsyncKiosk(kiosk.grpc_address) as client:
            jobs = {job.name.removeprefix("jobs/") for job in await client.jobs(10_000)}
        known = {outcome.job_id for outcome in self.result.outcomes if outcome.job_id}
        violations += [f"Job {job} is not there any more." for job in known - jobs]
        violations += await delete_everything(kiosk.grpc_address, self._victim.home)
        deadline = time.monotonic() + SWEPT_S
        while True:
            left = [f"Key left: {key}" for key in keys_left(kiosk.redis_url)]
            left += [f"File left: {path}" for path in files_left(self._victim)]
            if not left or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.5)
        violations += left


def verdict(outcome: Outcome, calm: Outcome | None) -> str:
    """What is wrong with how a job ended; "" when nothing is."""
    item = outcome.input
    if item.succeeds:
        if outcome.state != "succeeded":
            return f"{outcome.state} ({outcome.reason}): {outcome.message}"
        if calm is None or outcome.files != calm.files:
            before = calm.files if calm else {}
            names = [n for n in {*outcome.files, *before} if outcome.files.get(n) != before.get(n)]
            return f"other results than in the calm run: {', '.join(sorted(names))}"
        return ""
    wanted = {
        Kind.BROKEN: ("CORRUPT_IMAGE", ""),
        Kind.POISON: ("ATTEMPTS_EXHAUSTED", "without a word"),
        # An attempt that hangs is long, and may be ended by a fault before its time is up.
        Kind.HANG: ("ATTEMPTS_EXHAUSTED", ""),
    }[item.kind]
    if outcome.state != "failed" or outcome.reason != wanted[0] or wanted[1] not in outcome.message:
        return f"{outcome.state} ({outcome.reason}): {outcome.message}"
    return ""


def _key(item: Input) -> tuple[str, str]:
    return item.file_name, item.member


def _recoveries(blows: list[Blow], pulse: Pulse) -> list[tuple[float, Blow]]:
    """For every fault that hit: how long after its end work was handed out again."""
    found = [(pulse.recovery_s(blow.ended_s), blow) for blow in blows if not blow.missed]
    return [(seconds, blow) for seconds, blow in found if seconds is not None]

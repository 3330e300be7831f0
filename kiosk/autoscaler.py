"""Sets the replicas of Triton and of the consumers: look, decide, write, every few seconds.

What is decided is in `kiosk.scaling`; who of several autoscalers does it, in `kiosk.leadership`.
Whatever does not answer is left as it is, and asked again in the next round.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from kiosk.errors import KioskError, WrongState
from kiosk.leadership import Leadership
from kiosk.ports import Backlog, Cluster, JobQueue, Role, RoleReplicas
from kiosk.scaling import Decision, Memory, ScalingPolicy, Snapshot, decide
from kiosk.telemetry import (
    DECISIONS,
    LEADER,
    REPLICAS,
    STARTUP_SECONDS,
    WANTED_UNITS,
    WORK_SECONDS,
)

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Round:
    """One look and what follows from it."""

    snapshot: Snapshot
    decision: Decision

    def sentence(self) -> str:
        """For people: what is, what shall be, why."""
        told = [
            _change("Triton", self.snapshot.triton, self.decision.triton),
            _change("consumers", self.snapshot.consumers, self.decision.consumers),
        ]
        return f"{'; '.join(told)}. {self._backlog()} {self.decision.reason}"

    def _backlog(self) -> str:
        backlog = self.snapshot.backlog
        if backlog is None:
            return "Backlog unknown."
        counts = f"{backlog.jobs} jobs, {backlog.parts} parts, {backlog.leased} at work"
        if self.is_held:
            return f"{counts}."
        work = f"{self.decision.work_s:.0f} s of work for one unit, {self.decision.units} wanted"
        return f"{counts}: {work}."

    @property
    def is_change(self) -> bool:
        return any(
            now is not None and wanted is not None and now.desired != wanted
            for now, wanted in (
                (self.snapshot.triton, self.decision.triton),
                (self.snapshot.consumers, self.decision.consumers),
            )
        )

    @property
    def is_held(self) -> bool:
        seen = (self.snapshot.backlog, self.snapshot.triton, self.snapshot.consumers)
        return any(one is None for one in seen)


def _change(name: str, now: RoleReplicas | None, wanted: int | None) -> str:
    if now is None:
        return f"{name} unknown"
    ready = f" ({now.ready} ready)" if now.ready != now.desired else ""
    arrow = f" -> {wanted}" if wanted is not None and wanted != now.desired else ""
    return f"{name} {now.desired}{ready}{arrow}"


class Autoscaler:
    """The loop around `decide`.

    Args:
        leadership: None = nobody else does this.
        answer_s: longest wait for an answer of the queue.
        monotonic: seconds that never go back.
        dry_run: decide and tell, but change nothing.
        tell: is called with the sentence of each decision that changes something, and whenever
            the reason is another one.
    """

    def __init__(
        self,
        *,
        queue: JobQueue,
        cluster: Cluster,
        policy: ScalingPolicy,
        leadership: Leadership | None,
        poll_s: float,
        answer_s: float,
        monotonic: Callable[[], float],
        dry_run: bool = False,
        tell: Callable[[str], None] = log.info,
    ) -> None:
        self._queue, self._cluster, self._policy = queue, cluster, policy
        self._leadership = leadership
        self._poll_s, self._answer_s = poll_s, answer_s
        self._monotonic = monotonic
        self._dry_run = dry_run
        self._tell = tell
        self._memory: Memory | None = None
        self._reason = ""
        self._complaints: dict[str, str] = {}
        self._led = False
        self._is_slow = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; then step down, so that another can go on at once."""
        leading = asyncio.create_task(self._lead())
        try:
            while not stopping.is_set():
                await self.round()
                if leading.done():
                    leading.result()  # it ends only by an error, which must not stay unseen
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._poll_s)
        finally:
            leading.cancel()
            await asyncio.gather(leading, return_exceptions=True)
            if self._leadership is not None:
                await self._leadership.release()

    async def run_once(self) -> None:
        """One round. Raises WrongState when another autoscaler leads."""
        try:
            await self._win()
            await self.round()
        finally:
            if self._leadership is not None:
                await self._leadership.release()

    async def _win(self) -> None:
        if self._leadership is None:
            return
        for _ in range(self._leadership.steps_to_win):
            if await self._leadership.step():
                return
            await asyncio.sleep(self._leadership.step_s)
        raise WrongState(f"Another autoscaler leads: {self._leadership.leader}.")

    async def _lead(self) -> None:
        while self._leadership is not None:
            await self._leadership.step()
            await asyncio.sleep(self._leadership.step_s)

    async def round(self) -> Round | None:
        """One look, decision and its writes; None where another autoscaler leads."""
        if not self._leads():
            self._memory = None  # what is remembered will be old when it is this one's turn
            return None
        snapshot = await self._look()
        done = Round(snapshot, decide(snapshot, self._policy))
        self._memory = done.decision.memory
        self._measure(done)
        if done.is_change or done.decision.reason != self._reason:
            self._reason = done.decision.reason
            self._tell(done.sentence())
        outcome = "held" if done.is_held else "kept"
        if done.is_change and not self._dry_run:
            outcome = await self._write(done)
        DECISIONS.labels(outcome).inc()
        return done

    def _leads(self) -> bool:
        leads = self._leadership is None or self._leadership.is_leader
        LEADER.set(leads)
        if leads != self._led and self._leadership is not None:
            log.info("This autoscaler %s.", "leads" if leads else "leads no longer")
        self._led = leads
        return leads

    async def _look(self) -> Snapshot:
        backlog, triton, consumers = await asyncio.gather(
            self._ask("queue", self._backlog()),
            self._ask(Role.TRITON, self._cluster.replicas(Role.TRITON)),
            self._ask(Role.CONSUMERS, self._cluster.replicas(Role.CONSUMERS)),
        )
        now_s = self._monotonic()
        return Snapshot(
            time_s=now_s,
            backlog=backlog,
            triton=triton,
            consumers=consumers,
            memory=self._memory or Memory.fresh(now_s),
        )

    async def _backlog(self) -> Backlog:
        async with asyncio.timeout(self._answer_s):
            return await self._queue.backlog()

    async def _ask(self, whom: str, answer: Awaitable[T]) -> T | None:
        """The answer, or None; the same complaint is logged once until there is an answer."""
        try:
            answered = await answer
        except (KioskError, TimeoutError) as error:
            sentence = str(error) or "no answer in time"
            if self._complaints.get(whom) != sentence:
                log.warning("%s: %s", whom, sentence)
            self._complaints[whom] = sentence
            return None
        self._complaints.pop(whom, None)
        return answered

    async def _write(self, done: Round) -> str:
        """Triton first on the way up, consumers first on the way down."""
        triton = (Role.TRITON, done.snapshot.triton, done.decision.triton)
        consumers = (Role.CONSUMERS, done.snapshot.consumers, done.decision.consumers)
        falls = consumers[1] and consumers[2] is not None and consumers[2] < consumers[1].desired
        outcome = "changed"
        for role, seen, wanted in (consumers, triton) if falls else (triton, consumers):
            if seen is None or wanted is None or wanted == seen.desired:
                continue
            if not self._leads():
                return "failed"
            scaled = await self._ask(f"scaling {role}", self._cluster.scale(role, wanted, seen))
            if not scaled:
                # What follows would be out of order. The next round looks again.
                return "failed" if scaled is None else "conflict"
        return outcome

    def _measure(self, done: Round) -> None:
        for role, seen in (
            (Role.TRITON, done.snapshot.triton),
            (Role.CONSUMERS, done.snapshot.consumers),
        ):
            if seen is not None:
                REPLICAS.labels(role, "desired").set(seen.desired)
                REPLICAS.labels(role, "ready").set(seen.ready)
        self._watch_starts(done.decision.memory.starts.average_s or self._policy.startup_s)
        if not done.is_held:
            WANTED_UNITS.set(done.decision.units)
            WORK_SECONDS.set(done.decision.work_s)

    def _watch_starts(self, startup_s: float) -> None:
        """Tell once when starts begin to take much longer than was thought."""
        STARTUP_SECONDS.set(startup_s)
        was_slow, self._is_slow = self._is_slow, startup_s > 2 * self._policy.startup_s
        if self._is_slow and not was_slow:
            log.warning(
                "Triton takes %.0f s to start, more than twice KIOSK_AUTOSCALER__STARTUP_S (%.0f)."
                " Decisions go by what was measured, but whoever leads next knows only the setting."
                ' What makes starts quick: docs/cluster.md, "Quick starts".',
                startup_s,
                self._policy.startup_s,
            )

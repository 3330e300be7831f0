"""The queue as a state machine: any order of steps at any times, on Redis and in memory at once.

Both must answer every step alike, to the last field. What a queue must never do is checked beside
it by a ledger of its own, which knows only what a caller can see: who holds what, how often each
part was begun, who was waiting when somebody else was served.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import redis as redis_sync
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine
from virtual_time import at_virtual_time

from kiosk.adapters.redis_queue import RedisQueue
from kiosk.errors import KioskError, LeaseLost
from kiosk.jobs import JOIN_INDEX, PLAN_INDEX, Job, Lease, Part, PartKind, Priority
from kiosk.ports import Backlog
from kiosk.queue_policy import BATCH_TURN, QueuePolicy
from kiosk.testing import MemoryQueue

ATTEMPTS, OUTAGES, WINDOW, OWNER_PARTS = 3, 4, 2, 4
LEASE_S, TICK_S = 8.0, 5.0
POLICY = QueuePolicy(
    attempts=ATTEMPTS,
    outages=OUTAGES,
    window_parts=WINDOW,
    owner_parts=OWNER_PARTS,
    lease_s=LEASE_S,
    retry_delay_s=1.0,
    interactive_jobs=2,
    open_jobs=12,
    owner_open_jobs=6,
    open_parts=60,
)
OWNERS = ["", "ann", "a:b/ c"]
CONSUMERS = ["a", "b", "c", "d", "e"]
STEPS = ["end", "end", "end", "end", "retry", "postpone", "release", "fail", "renew"]
MODELS = [("m", "1"), ("m", "2"), ("n:o", "1"), ("", "")]
WORK_PX = [0, 1, 7, 1_000_003, 200_000_000_000]
COUNTS = st.sampled_from([0, 1, 3, 4, 6])
_serial = itertools.count()


@dataclass
class Ledger:
    """What is known of one job from the outside."""

    job: Job
    total: int = 0
    planned: bool = False
    done: set[int] = field(default_factory=set)
    begun: dict[int, int] = field(default_factory=dict)  # attempts that count
    outages: dict[int, int] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)  # parts of which a lease has run out
    is_open: bool = True
    is_fresh: bool = True  # nobody has begun it

    def begin_anew(self) -> None:
        self.total, self.planned, self.is_open, self.is_fresh = 0, False, True, True
        for known in (self.done, self.begun, self.outages, self.lost):
            known.clear()

    @property
    def open_parts(self) -> int:
        if not self.is_open:
            return 0
        return 1 + self.total - len(self.done) if self.planned else 1

    @property
    def open_px(self) -> int:
        if not self.is_open:
            return 0
        shares = len(self.done) * (self.job.work_px // self.total) if self.total else 0
        return self.job.work_px - shares


@dataclass(frozen=True)
class Waiting:
    """Who could have been served at a hand-out, as far as an outsider is sure of it."""

    owners: frozenset[tuple[Priority, str]]
    jobs: frozenset[str]


class QueueMachine(RuleBasedStateMachine):
    """Steps of consumers, callers and the clock, in any order."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.prefix = f"{{machine{next(_serial)}}}"
        self.client = redis_sync.Redis.from_url(self.url, decode_responses=True)
        self.real = RedisQueue(self.url, POLICY, self.prefix)
        at_virtual_time(self.real)
        self.now_s = 1_700_000_000.0
        self.set_clock()
        self.model = MemoryQueue(clock=lambda: self.now_s, longest_tick_s=TICK_S, **vars(POLICY))
        self.ledgers: dict[str, Ledger] = {}
        self.held: dict[str, tuple[Lease, Lease]] = {}  # by consumer: the lease of each queue
        self.ended: list[tuple[Lease, Lease]] = []
        self.served: list[tuple[Priority, str, str, Waiting]] = []
        self.number = 0

    # ------------------------------------------------------------ both queues at once

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def both(self, step: Callable[[Any], Coroutine[Any, Any, Any]]) -> tuple[Any, Any]:
        """The answers of both, which may be errors."""
        return self.answer(step, self.real), self.answer(step, self.model)

    def answer(self, step: Callable[[Any], Coroutine[Any, Any, Any]], queue: Any) -> Any:
        try:
            return self.run(step(queue))
        except KioskError as error:
            return type(error)

    def same(self, step: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        real, model = self.both(step)
        assert real == model
        return real

    def set_clock(self) -> None:
        self.client.set(f"{self.prefix}:test-clock", round(self.now_s * 1000))

    # ------------------------------------------------------------ the clock

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, TICK_S]))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        self.set_clock()

    @rule(seconds=st.sampled_from([-86_400.0, -3.0, 60.0, 86_400.0]))
    def clock_jumps(self, seconds: float) -> None:
        """However far: no lease may run out by it, because nobody had the time to renew."""
        before = {consumer for consumer, _ in self.held.items()}
        self.now_s += seconds
        self.set_clock()
        assert before == set(self.held)

    # ------------------------------------------------------------ callers

    @rule(
        owner=st.sampled_from(OWNERS),
        priority=st.sampled_from([None, None, *Priority]),
        request=st.sampled_from(["", "", "r1", "r2"]),
        model=st.sampled_from(MODELS),
        work_px=st.sampled_from(WORK_PX),
    )
    def submit(
        self,
        owner: str,
        priority: Priority | None,
        request: str,
        model: tuple[str, str],
        work_px: int,
    ) -> None:
        self.number += 1
        job = Job(
            id=f"job{self.number}",
            pipeline="segmentation",
            upload_id="u",
            file_name="f",
            model=model[0],
            model_version=model[1],
            work_px=work_px,
            trace=f"trace-{self.number}" if self.number % 2 else "",
            owner=owner,
            priority=priority,
            request_id=request,
        )
        accepted = self.same(lambda queue: queue.submit(job))
        if isinstance(accepted, Job) and accepted.id not in self.ledgers:
            assert accepted.id == job.id
            self.ledgers[job.id] = Ledger(accepted)

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data(), chance=st.integers(0, 3))
    def cancel(self, data: st.DataObject, chance: int) -> None:
        if chance:  # too many cancelled jobs would leave nothing to do
            return
        ledger = self.draw_job(data)
        self.same(lambda queue: queue.cancel(ledger.job.id))
        if ledger.is_open:
            self.close(ledger)

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        ledger = self.draw_job(data)
        answer = self.same(lambda queue: queue.delete(ledger.job.id))
        assert (answer is None) is not ledger.is_open
        if answer is None:
            del self.ledgers[ledger.job.id]

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data(), clean=st.booleans())
    def redrive(self, data: st.DataObject, clean: bool) -> None:
        ledger = self.draw_job(data)
        if clean:
            self.same(lambda queue: queue.cleaned(ledger.job.id))
        answer = self.same(lambda queue: queue.redrive(ledger.job.id))
        if isinstance(answer, Job):
            assert not ledger.is_open
            ledger.begin_anew()

    @rule()
    def sweep(self) -> None:
        real, model = self.both(lambda queue: queue.litter())
        assert sorted(real) == sorted(model)
        for job_id in real:
            assert job_id not in self.ledgers or not self.ledgers[job_id].is_open
            self.same(lambda queue, job_id=job_id: queue.cleaned(job_id))

    def draw_job(self, data: st.DataObject) -> Ledger:
        return self.ledgers[data.draw(st.sampled_from(sorted(self.ledgers)))]

    def close(self, ledger: Ledger) -> None:
        ledger.is_open = False
        for consumer, leases in list(self.held.items()):
            if leases[0].part.job_id == ledger.job.id:
                self.ended.append(self.held.pop(consumer))

    # ------------------------------------------------------------ consumers

    @rule(consumer=st.sampled_from(CONSUMERS))
    def lease(self, consumer: str) -> None:
        waiting = self.waiting()
        real, model = self.both(lambda queue: queue.lease(consumer, 0))
        assert (real is None) is (model is None)
        self.notice_losses()
        if real is None:
            # What a retry put off, or a dead consumer holds, is not to be had yet; the rest is.
            assert not waiting.jobs
            return
        seen = [(x.part, x.attempt, x.suspect, x.job) for x in (real, model)]
        assert seen[0] == seen[1]
        if consumer in self.held:  # it is told again what it holds
            assert self.held[consumer][0].token == real.token
            return
        self.begin(consumer, real, model, waiting)

    def begin(self, consumer: str, real: Lease, model: Lease, waiting: Waiting) -> None:
        ledger, index = self.ledgers[real.part.job_id], real.part.index
        assert ledger.is_open
        assert index not in ledger.done
        assert index != JOIN_INDEX or len(ledger.done) == ledger.total
        others = [x.part for x, _ in self.held.values() if x.part.job_id == ledger.job.id]
        assert real.part not in others
        assert len(others) < WINDOW
        busy = [x for x, _ in self.held.values() if x.job.owner == ledger.job.owner]
        assert len(busy) < OWNER_PARTS
        ledger.begun[index] = ledger.begun.get(index, 0) + 1
        assert ledger.begun[index] == real.attempt <= ATTEMPTS
        assert real.suspect is (index in ledger.lost)
        ledger.is_fresh = False
        self.held[consumer] = (real, model)
        assert ledger.job.priority is not None
        self.served.append((ledger.job.priority, ledger.job.owner, ledger.job.id, waiting))
        self.check_turns()

    def notice_losses(self) -> None:
        """Leases that have run out, and jobs that were given up for it, as Redis has them."""
        tokens = set(self.client.zrange(f"{self.prefix}:leases", 0, -1))
        for consumer, leases in list(self.held.items()):
            if leases[0].token not in tokens:
                del self.held[consumer]
                self.ended.append(leases)
                part = leases[0].part
                ledger = self.ledgers[part.job_id]
                ledger.lost.add(part.index)
        for ledger in self.ledgers.values():
            if ledger.is_open and self.run(self.real.get(ledger.job.id)).state.is_final:
                assert any(ledger.begun.get(index, 0) >= ATTEMPTS for index in ledger.lost), (
                    "given up although attempts were left"
                )
                self.close(ledger)

    def waiting(self) -> Waiting:
        """Jobs that nobody has begun, of owners who are not at their bound."""
        busy = [x.job.owner for x, _ in self.held.values()]
        fresh = [
            x.job
            for x in self.ledgers.values()
            if x.is_open and x.is_fresh and busy.count(x.job.owner) < OWNER_PARTS
        ]
        owners = frozenset((j.priority, j.owner) for j in fresh if j.priority)
        return Waiting(owners, frozenset(job.id for job in fresh))

    def check_turns(self) -> None:
        """Owners take turns, jobs of an owner take turns, and so do the two priorities."""
        priority, owner, job_id, waiting = self.served[-1]
        for before in reversed(self.served[:-1]):
            if before[:2] != (priority, owner):
                continue
            since = self.served[self.served.index(before) + 1 : -1]
            passed = {(p, o) for p, o, _, _ in since}
            patient = before[3].owners & waiting.owners
            patient = {who for who in patient if who[0] is priority and who[1] != owner}
            assert patient <= passed, "an owner was passed over twice"
            if before[2] == job_id:
                own = {i for i in before[3].jobs & waiting.jobs if i != job_id}
                own = {
                    i
                    for i in own
                    if (self.ledgers[i].job.priority, self.ledgers[i].job.owner)
                    == (priority, owner)
                }
                assert not own, "a job was passed over twice"
            break
        last = self.served[-BATCH_TURN:]
        urgent = [
            p is Priority.BATCH and any(who[0] is Priority.INTERACTIVE for who in w.owners)
            for p, _, _, w in last
        ]
        assert sum(urgent) <= 1, "batch jobs went before interactive ones"
        patient_batch = [
            p is Priority.INTERACTIVE and any(who[0] is Priority.BATCH for who in w.owners)
            for p, _, _, w in last
        ]
        assert sum(patient_batch) < BATCH_TURN, "batch jobs starve"

    @rule()
    def all_consumers_ask(self) -> None:
        for consumer in CONSUMERS:
            self.lease(consumer)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), step=st.sampled_from(STEPS), count=COUNTS)
    def step(self, data: st.DataObject, step: str, count: int) -> None:
        self.do(data.draw(st.sampled_from(sorted(self.held))), step, count)

    @rule(
        consumer=st.sampled_from(CONSUMERS),
        steps=st.lists(st.sampled_from(["end", "end", "end", "retry", "release"]), min_size=1),
        count=COUNTS,
    )
    def work(self, consumer: str, steps: list[str], count: int) -> None:
        """One consumer takes and ends a few parts in a row, which leads deep into a job."""
        for step in steps:
            self.lease(consumer)
            if consumer in self.held:
                self.do(consumer, step, count)

    def do(self, consumer: str, step: str, count: int) -> None:
        leases = self.held[consumer]
        answers = [
            self.answer(lambda queue, x=lease: self.act(queue, x, step, count), queue)
            for lease, queue in zip(leases, (self.real, self.model), strict=True)
        ]
        assert answers == [None, None]
        if step != "renew":
            self.ended.append(self.held.pop(consumer))
        self.note(self.ledgers[leases[0].part.job_id], leases[0].part.index, step, count)

    def act(self, queue: Any, lease: Lease, step: str, count: int) -> Coroutine[Any, Any, None]:
        job_id, kind = lease.part.job_id, lease.part.kind
        if step == "end" and kind is PartKind.PLAN:
            if count == 1:  # a plan with one part does it at once
                return queue.succeed(lease, 1, ["at once"])
            parts = [Part(job_id=job_id, kind=PartKind.PART, index=i) for i in range(count)]
            return queue.planned(lease, parts, ["a note"])
        if step == "end":
            return queue.succeed(lease) if kind is PartKind.JOIN else queue.complete(lease)
        ends: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "retry": lambda: queue.retry(lease, "why"),
            "postpone": lambda: queue.postpone(lease, "Triton is away."),
            "release": lambda: queue.release(lease),
            "fail": lambda: queue.fail(lease, "BAD", "Bad."),
            "renew": lambda: queue.renew(lease),
        }
        return ends[step]()

    def note(self, ledger: Ledger, index: int, step: str, count: int) -> None:
        if step == "postpone":
            ledger.outages[index] = ledger.outages.get(index, 0) + 1
            if ledger.outages[index] < OUTAGES:
                ledger.begun[index] -= 1
        if step == "fail" or (step in ("retry", "postpone") and ledger.begun[index] >= ATTEMPTS):
            self.close(ledger)
        elif step == "release":
            ledger.begun[index] -= 1
        elif step == "end" and index == PLAN_INDEX:
            ledger.planned, ledger.total = True, count
            ledger.begun.clear()
            ledger.outages.clear()
            ledger.lost.clear()
            if count == 1:
                self.close(ledger)
        elif step == "end" and index == JOIN_INDEX:
            self.close(ledger)
        elif step == "end":
            ledger.done.add(index)
            for known in (ledger.begun, ledger.outages):
                known.pop(index, None)
            ledger.lost.discard(index)

    @precondition(lambda self: self.ended)
    @rule(data=st.data(), step=st.sampled_from(STEPS), count=st.sampled_from([0, 1, 3]))
    def late_step(self, data: st.DataObject, step: str, count: int) -> None:
        """Whoever lost its lease changes nothing any more; no part is acknowledged twice."""
        leases = data.draw(st.sampled_from(self.ended))
        for lease, queue in zip(leases, (self.real, self.model), strict=True):
            answer = self.answer(lambda q, x=lease: self.act(q, x, step, count), queue)
            assert answer is LeaseLost

    # ------------------------------------------------------------ what always holds

    @invariant()
    def backlog_counts_the_open_parts(self) -> None:
        open_jobs = [ledger for ledger in self.ledgers.values() if ledger.is_open]
        backlog = self.same_backlog()
        assert backlog.parts == sum(ledger.open_parts for ledger in open_jobs)
        assert backlog.jobs == len(open_jobs)
        open_px: Counter[tuple[str, str]] = Counter()
        for ledger in open_jobs:
            open_px[ledger.job.model, ledger.job.model_version] += ledger.open_px
        told = Counter({(load.model, load.version): load.open_px for load in backlog.models})
        assert +told == +open_px

    def same_backlog(self) -> Backlog:
        """Of both; the pace may differ in its last digits."""
        real, model = self.both(lambda queue: queue.backlog())
        for one, other in zip(real.models, model.models, strict=True):
            assert one.px_per_slot_s == pytest.approx(other.px_per_slot_s, rel=1e-9)
            assert one == replace(other, px_per_slot_s=one.px_per_slot_s)
        assert real == replace(model, models=real.models)
        return real

    @invariant()
    def both_tell_the_same_of_every_job(self) -> None:
        for ledger in self.ledgers.values():
            job = self.same(lambda queue, x=ledger: queue.get(x.job.id))
            assert ledger.is_open is not job.state.is_final
            self.same(lambda queue, x=ledger: queue.jobs_ahead(x.job.id))
        self.same(lambda queue: queue.dead_letters())
        for owner in (None, *OWNERS):
            self.same(lambda queue, x=owner: queue.list_jobs(3, owner=x))

    # ------------------------------------------------------------ the end

    def teardown(self) -> None:
        self.drain()
        self.nothing_is_left()
        self.run(self.real.close())
        self.client.close()
        self.loop.close()

    def drain(self) -> None:
        """After any history the work that is left can be done: no part is lost."""
        for _ in range(2000):
            if not any(ledger.is_open for ledger in self.ledgers.values()):
                break
            for consumer in CONSUMERS:
                self.lease(consumer)
                if consumer in self.held:
                    self.do(consumer, "end", 2)
            self.time_passes(TICK_S)
        backlog = self.same_backlog()
        assert (backlog.parts, backlog.jobs, backlog.leased, backlog.oldest_s) == (0, 0, 0, 0.0)
        assert all(not ledger.is_open for ledger in self.ledgers.values())

    def nothing_is_left(self) -> None:
        for job_id in list(self.ledgers):
            self.same(lambda queue, x=job_id: queue.delete(x))
        self.same(lambda queue: queue.lease("a", 0))  # sees off what was closed while it waited
        for _ in range(5):
            self.time_passes(2 * LEASE_S)
            self.sweep()
        bare = {"backlog", "bell", "clock", "pace", "turn", "test-clock"}
        left = {key.removeprefix(f"{self.prefix}:") for key in self.client.keys(f"{self.prefix}*")}
        assert left <= bare


def test_queue_keeps_its_promises(redis_url: str) -> None:
    machine = type("Machine", (QueueMachine,), {"url": redis_url})
    # Shrinking a failure would take minutes over a socket.
    few = settings(max_examples=80, stateful_step_count=50, phases=[Phase.generate])
    run_machine(machine, settings=few)

"""The queue as a state machine: any order of steps, checked against what a queue must never do.

The same random steps go to the queue in memory and to Redis. The model keeps only what a
caller can know: which leases are valid, how often each part was begun, how each job ended.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import redis as redis_sync
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from kiosk.adapters.redis_queue import QueuePolicy, RedisQueue
from kiosk.errors import KioskError, LeaseLost
from kiosk.jobs import JOIN_INDEX, PLAN_INDEX, Job, JobState, Lease, Part, PartKind
from kiosk.ports import Backlog
from kiosk.testing import MemoryQueue

ATTEMPTS, WINDOW, LEASE_S = 3, 2, 1000.0
CONSUMERS = ["a", "b", "c"]
STEPS = ["end", "end", "end", "retry", "retry", "release", "fail", "renew"]
_serial = itertools.count()


class Ledger:
    """What is known of one job from the outside."""

    def __init__(self, job_id: str) -> None:
        self.id = job_id
        self.open = {PLAN_INDEX}  # parts that have to be done yet
        self.waiting = {PLAN_INDEX}  # of these: handed out, and with nobody
        self.begun: dict[int, int] = {}  # attempts at each part
        self.total = 0
        self.released = 0
        self.done: set[int] = set()
        self.state = JobState.QUEUED
        self.final: Job | None = None

    @property
    def is_open(self) -> bool:
        return not self.state.is_final

    def close(self, state: JobState) -> None:
        self.state = state
        self.open.clear()
        self.waiting.clear()


class QueueMachine(RuleBasedStateMachine):
    """Steps of three consumers and a caller, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.queue: Any = None
        self.ledgers: dict[str, Ledger] = {}
        self.valid: list[Lease] = []
        self.lost: list[Lease] = []
        self.number = 0

    def teardown(self) -> None:
        self.loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def age(self, lease: Lease) -> None:
        """Let exactly this lease run out."""
        raise NotImplementedError

    # ------------------------------------------------------------ the caller

    @precondition(lambda self: sum(ledger.is_open for ledger in self.ledgers.values()) < 3)
    @rule()
    def submit(self) -> None:
        self.number += 1
        job = Job(
            id=f"job{self.number}",
            pipeline="segmentation",
            upload_id="u",
            file_name="f",
            model="m",
            model_version="1",
        )
        self.run(self.queue.submit(job))
        self.ledgers[job.id] = Ledger(job.id)

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data(), chance=st.integers(0, 3))
    def cancel(self, data: st.DataObject, chance: int) -> None:
        if chance:  # too many cancelled jobs would leave nothing to do
            return
        ledger = self.ledgers[data.draw(st.sampled_from(sorted(self.ledgers)))]
        state = self.run(self.queue.cancel(ledger.id)).state
        if ledger.is_open:
            ledger.close(JobState.CANCELLED)
        assert ledger.state is state

    @precondition(lambda self: self.ledgers)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        ledger = self.ledgers[data.draw(st.sampled_from(sorted(self.ledgers)))]
        if ledger.is_open:
            with pytest.raises(KioskError):
                self.run(self.queue.delete(ledger.id))
            return
        self.run(self.queue.delete(ledger.id))
        del self.ledgers[ledger.id]

    # ------------------------------------------------------------ the consumers

    @rule(consumer=st.sampled_from(CONSUMERS))
    def lease(self, consumer: str) -> None:
        """Nothing is handed out twice, to the wrong stage, or beyond the window."""
        lease = self.take(consumer)
        if lease is None:
            assert not any(ledger.waiting for ledger in self.ledgers.values())
            return
        ledger = self.ledgers[lease.part.job_id]
        assert lease.part.index in ledger.waiting
        self.begin(ledger, lease)

    def take(self, consumer: str) -> Lease | None:
        return self.run(self.queue.lease(consumer, 0))

    def begin(self, ledger: Ledger, lease: Lease) -> None:
        index = lease.part.index
        ledger.begun[index] = ledger.begun.get(index, 0) + 1
        assert ledger.begun[index] == lease.attempt <= ATTEMPTS
        ledger.waiting.discard(index)
        ledger.state = JobState.RUNNING
        out = [held for held in self.valid if held.part.job_id == ledger.id]
        assert len(out) < WINDOW
        self.valid.append(lease)
        # The same consumer got the same part back: its old lease is this one.
        same = (lease.consumer, lease.token)
        self.lost = [old for old in self.lost if (old.consumer, old.token) != same]

    @precondition(lambda self: self.valid)
    @rule(data=st.data(), consumer=st.sampled_from(CONSUMERS))
    def expire(self, data: st.DataObject, consumer: str) -> None:
        """A consumer dies; the next one who asks gets its part, or it is given up."""
        old = data.draw(st.sampled_from(self.valid))
        self.age(old)
        self.valid.remove(old)
        ledger = self.ledgers.get(old.part.job_id)
        if ledger is not None and ledger.is_open:
            ledger.waiting.add(old.part.index)
            if ledger.begun[old.part.index] == ATTEMPTS:
                ledger.close(JobState.FAILED)
        self.lost.append(old)
        self.lease(consumer if consumer != old.consumer else f"{consumer}2")

    @precondition(lambda self: self.valid)
    @rule(data=st.data(), step=st.sampled_from(STEPS), count=st.integers(0, 5))
    def step(self, data: st.DataObject, step: str, count: int) -> None:
        self.do(data.draw(st.sampled_from(self.valid)), step, count)

    @precondition(lambda self: any(ledger.waiting for ledger in self.ledgers.values()))
    @rule(
        consumer=st.sampled_from(CONSUMERS),
        steps=st.lists(st.sampled_from(["end", "end", "retry", "release"]), min_size=1),
        count=st.integers(0, 5),
    )
    def work(self, consumer: str, steps: list[str], count: int) -> None:
        """One consumer takes and ends a few parts in a row, which leads deep into a job."""
        for step in steps:
            held = len(self.valid)
            self.lease(consumer)
            if len(self.valid) > held:
                self.do(self.valid[-1], step, count)

    def do(self, lease: Lease, step: str, count: int) -> None:
        ledger = self.ledgers.get(lease.part.job_id)
        if step != "renew":
            self.valid.remove(lease)
        if ledger is None or not ledger.is_open:
            with pytest.raises(LeaseLost):
                self.run(self.act(lease, step, count))
            if step == "renew":
                self.valid.remove(lease)
            return
        self.run(self.act(lease, step, count))
        self.note(ledger, lease.part.index, step, count)

    def act(self, lease: Lease, step: str, count: int) -> Coroutine[Any, Any, None]:
        job_id, queue = lease.part.job_id, self.queue
        if step == "end" and lease.part.kind is PartKind.PLAN:
            parts = [Part(job_id=job_id, kind=PartKind.PART, index=i) for i in range(count)]
            return queue.planned(lease, parts, [])
        ends: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "end": lambda: (
                queue.succeed(lease) if lease.part.kind is PartKind.JOIN else queue.complete(lease)
            ),
            "retry": lambda: queue.retry(lease, "why"),
            "release": lambda: queue.release(lease),
            "fail": lambda: queue.fail(lease, "BAD", "Bad."),
            "renew": lambda: queue.renew(lease),
        }
        return ends[step]()

    def note(self, ledger: Ledger, index: int, step: str, count: int) -> None:
        if step == "fail" or (step == "retry" and ledger.begun[index] == ATTEMPTS):
            ledger.close(JobState.FAILED)
        elif step in ("retry", "release"):
            ledger.waiting.add(index)
            ledger.begun[index] -= step == "release"
        elif step == "end" and index == PLAN_INDEX:
            ledger.total = count
            ledger.released = min(WINDOW, count)
            ledger.open = {*range(count), JOIN_INDEX}
            ledger.waiting = set(range(ledger.released)) or {JOIN_INDEX}
        elif step == "end" and index == JOIN_INDEX:
            ledger.close(JobState.SUCCEEDED)
        elif step == "end":
            self.note_done(ledger, index)

    def note_done(self, ledger: Ledger, index: int) -> None:
        ledger.open.remove(index)
        ledger.done.add(index)
        if ledger.released < ledger.total:
            ledger.waiting.add(ledger.released)
            ledger.released += 1
        if ledger.open == {JOIN_INDEX}:
            ledger.waiting.add(JOIN_INDEX)

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), step=st.sampled_from(["end", "retry", "release", "fail", "renew"]))
    def late_step(self, data: st.DataObject, step: str) -> None:
        """Whoever lost its lease changes nothing any more."""
        lease = data.draw(st.sampled_from(self.lost))
        with pytest.raises(LeaseLost):
            self.run(self.act(lease, step, 3))

    # ------------------------------------------------------------ what always holds

    @invariant()
    def backlog_counts_the_open_parts(self) -> None:
        if self.queue is None:
            return
        open_jobs = [ledger for ledger in self.ledgers.values() if ledger.is_open]
        # Until it is planned a job has one part, then its parts and the join.
        expected = Backlog(sum(len(ledger.open) for ledger in open_jobs), len(open_jobs))
        assert expected == self.run(self.queue.backlog())

    @invariant()
    def jobs_stand_where_they_should(self) -> None:
        for ledger in self.ledgers.values():
            job = self.run(self.queue.get(ledger.id))
            assert ledger.state is job.state
            assert (len(ledger.done), ledger.total) == (job.parts_done, job.parts_total)
            if job.state.is_final:
                ledger.final = ledger.final or job
                assert ledger.final == job


def drain(machine: QueueMachine) -> None:
    """After any history the work that is left can be done: no part is lost."""
    for lease in list(machine.valid):
        ledger = machine.ledgers.get(lease.part.job_id)
        machine.valid.remove(lease)
        if ledger is not None and ledger.is_open:
            machine.run(machine.queue.release(lease))
            machine.note(ledger, lease.part.index, "release", 0)
        else:
            with pytest.raises(LeaseLost):
                machine.run(machine.queue.renew(lease))
    while (lease := machine.take("last")) is not None:
        machine.begin(machine.ledgers[lease.part.job_id], lease)
        machine.do(lease, "end", 2)
    assert all(not ledger.is_open for ledger in machine.ledgers.values())
    assert Backlog(0, 0) == machine.run(machine.queue.backlog())


class MemoryMachine(QueueMachine):
    """The steps on the fake."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.queue = MemoryQueue(
            clock=lambda: self.now_s,
            attempts=ATTEMPTS,
            window_parts=WINDOW,
            lease_s=LEASE_S,
            retry_delay_s=0.0,
        )

    def age(self, lease: Lease) -> None:
        self.now_s += LEASE_S
        for other in self.valid:
            ledger = self.ledgers.get(other.part.job_id)
            if other is not lease and ledger is not None and ledger.is_open:
                self.run(self.queue.renew(other))

    def teardown(self) -> None:
        drain(self)
        super().teardown()


def redis_machine(url: str) -> type[QueueMachine]:
    class RedisMachine(QueueMachine):
        """The steps on Redis."""

        def __init__(self) -> None:
            super().__init__()
            self.prefix = f"{{machine{next(_serial)}}}"
            policy = QueuePolicy(
                attempts=ATTEMPTS, window_parts=WINDOW, lease_s=LEASE_S, retry_delay_s=0.0
            )
            self.queue = RedisQueue(url, policy, self.prefix)
            self.client = redis_sync.Redis.from_url(url)

        def age(self, lease: Lease) -> None:
            self.client.xclaim(
                f"{self.prefix}:parts",
                "consumers",
                lease.consumer,
                min_idle_time=0,
                message_ids=[lease.token],
                idle=round(LEASE_S * 1000),
                justid=True,
            )

        def teardown(self) -> None:
            drain(self)
            self.no_waste()
            self.run(self.queue.close())
            self.client.close()
            super().teardown()

        def no_waste(self) -> None:
            """When all is done, nothing is left in the stream and among the delayed parts."""
            assert self.client.xlen(f"{self.prefix}:parts") == 0
            assert self.client.zcard(f"{self.prefix}:delayed") == 0

    return RedisMachine


def test_queue_in_memory_keeps_its_promises() -> None:
    run_machine(MemoryMachine, settings=settings(max_examples=60, stateful_step_count=40))


def test_queue_on_redis_keeps_its_promises(redis_url: str) -> None:
    # Shrinking a failure would take minutes over a socket.
    few = settings(max_examples=60, stateful_step_count=40, phases=[Phase.generate])
    run_machine(redis_machine(redis_url), settings=few)

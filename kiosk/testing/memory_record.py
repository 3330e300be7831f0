"""What the queue in memory keeps of a job and of a lease."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kiosk.jobs import DeadLetter, Job, JobState, Lease, Part, Priority


@dataclass
class MemoryRecord:
    """A job and what the queue knows of its parts."""

    job: Job
    parts: dict[int, Part] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    outages: dict[int, int] = field(default_factory=dict)
    suspects: set[int] = field(default_factory=set)
    again: deque[int] = field(default_factory=deque)
    next: int = 0
    open_parts: int = 0
    is_listed: bool = False
    version: int = 0
    dead: DeadLetter | None = None

    @property
    def is_open(self) -> bool:
        return not self.job.state.is_final

    @property
    def priority(self) -> Priority:
        assert self.job.priority is not None
        return self.job.priority

    @property
    def has_more(self) -> bool:
        fresh = self.job.state is JobState.QUEUED
        return fresh or bool(self.again) or self.next < self.job.parts_total


@dataclass
class HeldLease:
    lease: Lease
    until_s: float

"""What the queue in memory keeps of a job and of a lease."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kiosk.jobs import DeadLetter, Job, JobState, Lease, Part


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
    def share_px(self) -> int:
        """Pixels of each part; what the division leaves over goes when the job closes."""
        return self.job.work_px // self.job.parts_total if self.job.parts_total else 0

    @property
    def left_px(self) -> int:
        """Pixels that are not done."""
        return self.job.work_px - self.share_px * self.job.parts_done if self.is_open else 0

    @property
    def has_more(self) -> bool:
        fresh = self.job.state is JobState.QUEUED
        return fresh or bool(self.again) or self.next < self.job.parts_total


@dataclass
class HeldLease:
    lease: Lease
    begin_s: float
    until_s: float

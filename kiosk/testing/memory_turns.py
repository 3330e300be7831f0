"""Whose turn it is, in the queue in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from kiosk.jobs import Job, Priority
from kiosk.queue_policy import BATCH_TURN


class MemoryTurns:
    """The jobs that have something to hand out, by priority and owner.

    Args:
        is_capped: whether an owner has as many parts out as one may have, and so has no turn.
    """

    def __init__(self, is_capped: Callable[[str], bool]) -> None:
        self._is_capped = is_capped
        self._jobs: dict[Priority, dict[str, deque[str]]] = {p: {} for p in Priority}
        self._last: dict[tuple[Priority, str], int] = {}
        self.count = 0

    def add(self, job: Job) -> None:
        """To the end of its owner's jobs."""
        priority = _priority(job)
        jobs = self._jobs[priority].setdefault(job.owner, deque())
        if not jobs:
            self._last[priority, job.owner] = self.count
        jobs.append(job.id)

    def remove(self, job: Job) -> None:
        for jobs in self._jobs[_priority(job)].values():
            while job.id in jobs:
                jobs.remove(job.id)

    def next(self, priority: Priority) -> str:
        """Take off the job whose turn it is."""
        return self._jobs[priority][self._line(priority)[0]].popleft()

    def taken(self, job: Job) -> None:
        """The owner had a turn: to the end of the line."""
        self.count += 1
        self._last[_priority(job), job.owner] = self.count

    def waiting(self) -> Priority | None:
        """The priority of the next turn, if anybody waits for one."""
        order = list(Priority)
        if (self.count + 1) % BATCH_TURN == 0:
            order.reverse()
        return next((priority for priority in order if self._line(priority)), None)

    def heads(self) -> list[str]:
        """The first job of every owner."""
        return [self._jobs[p][owner][0] for p in Priority for owner in self._line(p)]

    def ahead(self, job: Job) -> int:
        """About how many jobs have a turn before this one, see `JobQueue.jobs_ahead`."""
        priority = _priority(job)
        jobs, line = self._jobs[priority], self._line(priority)
        place = list(jobs[job.owner]).index(job.id)
        own_rank = line.index(job.owner) if job.owner in line else len(line)
        ahead = place
        for rank, other in enumerate(line):
            if other != job.owner:
                ahead += min(len(jobs[other]), place + (rank < own_rank))
        (other_class,) = set(Priority) - {priority}
        others = sum(len(self._jobs[other_class][name]) for name in self._line(other_class))
        if priority is Priority.INTERACTIVE:
            return ahead + min(others, ahead // (BATCH_TURN - 1))
        return ahead + min(others, (ahead + 1) * (BATCH_TURN - 1))

    def _line(self, priority: Priority) -> list[str]:
        """The owners who have something to hand out, by their turns."""
        jobs = self._jobs[priority]
        owners = [owner for owner in jobs if jobs[owner] and not self._is_capped(owner)]
        return sorted(owners, key=lambda owner: (self._last[priority, owner], owner))


def _priority(job: Job) -> Priority:
    assert job.priority is not None
    return job.priority

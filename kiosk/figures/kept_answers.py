"""The last answers, kept: results never change, and whole tables are long to read."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class KeptAnswers(Generic[T]):
    """The answers that were asked for last, by job."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[str, T] = OrderedDict()

    def get(self, job_id: str) -> T | None:
        if job_id in self._answers:
            self._answers.move_to_end(job_id)
        return self._answers.get(job_id)

    def put(self, job_id: str, answer: T) -> None:
        self._answers[job_id] = answer
        self._answers.move_to_end(job_id)
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)

"""How fast the work of each model was done lately, in the queue in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kiosk.jobs import Job
from kiosk.ports import ModelLoad
from kiosk.queue_policy import LEAST_PACE_S, PACE_HALF_LIFE_S
from kiosk.testing.memory_record import MemoryRecord

# Name and version; both are "" for jobs that need no model.
ModelVersion = tuple[str, str]


@dataclass
class Measured:
    """Pixels done and seconds that slots took for them, both as they weighed at a time."""

    px: float = 0.0
    slot_s: float = 0.0
    at_s: float = 0.0


class MemoryPace:
    """Decayed sums of pixels and seconds of slots, by model."""

    def __init__(self) -> None:
        self._measured: dict[ModelVersion, Measured] = {}

    def count(self, job: Job, done_px: int, slot_s: float, now_s: float) -> None:
        """A lease of a job has ended well, after so many pixels and so much time."""
        key = _model_of(job)
        before = self._now(key, now_s)
        self._measured[key] = Measured(before.px + done_px, before.slot_s + slot_s, now_s)

    def loads(self, records: Iterable[MemoryRecord], now_s: float) -> tuple[ModelLoad, ...]:
        """What is open of these open jobs; what else is known of a pace, if it still weighs."""
        open_px: Counter[ModelVersion] = Counter()
        for record in records:
            open_px[_model_of(record.job)] += record.left_px
        open_px = +open_px  # without those of which nothing is left
        for key in set(self._measured) - set(open_px):
            if self._now(key, now_s).slot_s < LEAST_PACE_S:
                del self._measured[key]
        return tuple(
            ModelLoad(
                model=key[0],
                version=key[1],
                open_px=open_px[key],
                px_per_slot_s=self._px_per_slot_s(key, now_s),
            )
            for key in sorted(set(open_px) | set(self._measured))
        )

    def _px_per_slot_s(self, key: ModelVersion, now_s: float) -> float:
        """0 = nothing was measured."""
        measured = self._now(key, now_s)
        return measured.px / measured.slot_s if measured.slot_s > 0 else 0.0

    def _now(self, key: ModelVersion, now_s: float) -> Measured:
        measured = self._measured.get(key, Measured())
        weight = 2.0 ** ((measured.at_s - now_s) / PACE_HALF_LIFE_S)
        return Measured(measured.px * weight, measured.slot_s * weight, now_s)


def _model_of(job: Job) -> ModelVersion:
    return job.model, job.model_version

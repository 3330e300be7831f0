"""`ports.RolloutBook` in memory."""

from __future__ import annotations

from kiosk.errors import TransientError
from kiosk.ports import RolloutChange
from kiosk.rollouts import Rollout


class MemoryRolloutBook:
    """`ports.RolloutBook` in memory.

    Attributes:
        is_down: whether it answers as a Redis that is away.
        looks: how often it was read.
    """

    def __init__(self) -> None:
        self._rollouts: dict[str, Rollout] = {}
        self.is_down = False
        self.looks = 0

    async def list(self) -> list[Rollout]:
        self._check()
        self.looks += 1
        return [self._rollouts[model] for model in sorted(self._rollouts)]

    async def update(self, model: str, change: RolloutChange) -> Rollout | None:
        self._check()
        after = change(self._rollouts.get(model))
        if after is None:
            self._rollouts.pop(model, None)
        else:
            self._rollouts[model] = after
        return after

    def _check(self) -> None:
        if self.is_down:
            raise TransientError("Redis does not answer. Try again soon.")

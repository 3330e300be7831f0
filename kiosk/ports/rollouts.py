"""Which version of a model gets jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kiosk.rollouts import Rollout

RolloutChange = Callable[[Rollout | None], Rollout | None]


class RolloutBook(Protocol):
    """The rollouts of all models."""

    async def list(self) -> list[Rollout]:
        """All rollouts, by the name of the model. Raises TransientError."""

    async def update(self, model: str, change: RolloutChange) -> Rollout | None:
        """Change the rollout of a model as it stands at that moment, and return it.

        `change` is called again when somebody else was quicker, so that no step is lost; what it
        raises is raised, and then nothing has changed.
        """

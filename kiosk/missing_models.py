"""Models that a consumer needs and Triton has not loaded: waited for together, but not for long.

A model that is loaded again is back within seconds, and until then thousands of parts must not be
put off one by one. A model that stays away may not hold up the work for the others.
"""

from __future__ import annotations

import time

from kiosk.errors import MODEL_NOT_LOADED, Outage
from kiosk.jobs import Job
from kiosk.ports import InferenceClient

PATIENCE_S = 30.0
"""So long a consumer takes no other work while it waits for a model."""


class MissingModels:
    """What one consumer has missed, and since when."""

    def __init__(self, inference: InferenceClient) -> None:
        self._inference = inference
        self._since_s: dict[tuple[str, str], float] = {}

    def missed(self, job: Job) -> bool:
        """The model of a job is not loaded; whether it is worth waiting for at once."""
        key = job.model, job.model_version
        since_s = self._since_s.setdefault(key, time.monotonic())
        return time.monotonic() - since_s < PATIENCE_S

    def found(self, job: Job) -> None:
        """The model of a job is loaded."""
        self._since_s.pop((job.model, job.model_version), None)

    async def check(self) -> None:
        """Raises Outage while a model is away that is worth waiting for."""
        cards = await self._inference.models()
        loaded = {(card.name, version) for card in cards for version in card.versions}
        self._since_s = {key: s for key, s in self._since_s.items() if key not in loaded}
        now_s = time.monotonic()
        for (name, _), since_s in self._since_s.items():
            if now_s - since_s < PATIENCE_S:
                raise Outage(f"The model '{name}' is not loaded yet.", reason=MODEL_NOT_LOADED)

"""The models that Triton had when it was last there, so that jobs can be accepted while it is not.

An autoscaler stops Triton when there is no work. If jobs were refused until it is back, there would
never be work again that starts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

import numpy as np
from pydantic import TypeAdapter, ValidationError

from kiosk.errors import MODEL_SERVER_AWAY, KioskError, NotFound, Outage
from kiosk.models import ModelCard
from kiosk.ports import InferenceClient, ObjectStore

log = logging.getLogger(__name__)

KEY = "models/cards.json"
# So long it is not asked again: a thousand submissions need not find out one by one.
AWAY_KEPT_S = 2.0
LOOK_S = 15.0
"""A Triton that is there for no longer than this may be missed."""

_CARDS = TypeAdapter(list[ModelCard])


class RememberedModels:
    """`ports.InferenceClient` whose models are known also while the one below is away.

    Args:
        store: where the cards outlive a restart, for all servers and consumers.
    """

    def __init__(self, inference: InferenceClient, store: ObjectStore) -> None:
        self._inference = inference
        self._store = store
        self._known: list[ModelCard] = []
        self._away: Outage | None = None
        self._away_until_s = 0.0

    async def look_out(self) -> None:
        """Ask for ever: a Triton that goes before anybody wanted a job is remembered, too."""
        while True:
            with contextlib.suppress(KioskError):
                await self.models()
            await asyncio.sleep(LOOK_S)

    async def models(self) -> list[ModelCard]:
        """Raises Outage while Triton is away only if it was never seen."""
        if self._away is not None and time.monotonic() < self._away_until_s:
            return await self._recalled(self._away)
        try:
            cards = await self._inference.models()
        except Outage as error:
            if error.reason != MODEL_SERVER_AWAY:
                raise
            self._away, self._away_until_s = error, time.monotonic() + AWAY_KEPT_S
            return await self._recalled(error)
        self._away = None
        await self._remember(cards)
        return cards

    async def absent(self) -> set[str]:
        try:
            return await self._inference.absent()
        except Outage as error:
            if error.reason != MODEL_SERVER_AWAY:
                raise
            return set()

    async def check(self) -> None:
        await self._inference.check()

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return await self._inference.infer(model, version, inputs)

    async def _remember(self, cards: list[ModelCard]) -> None:
        """A Triton that is still loading has no models yet; that is not worth remembering."""
        if not cards or cards == self._known:
            return
        self._known = list(cards)
        try:
            await self._store.put(KEY, _CARDS.dump_json(self._known))
        except KioskError as error:
            log.warning("The models are not kept for when Triton is away: %s", error)

    async def _recalled(self, error: Outage) -> list[ModelCard]:
        if not self._known:
            try:
                self._known = _CARDS.validate_json(await self._store.get(KEY))
            except (NotFound, ValidationError):
                raise error from None
        return self._known

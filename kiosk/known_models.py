"""Which models there are while no Triton is: a cluster at rest has none, and still takes jobs."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
from pydantic import TypeAdapter, ValidationError

from kiosk.errors import MODEL_SERVER_AWAY, KioskError, NotFound, Outage
from kiosk.models import ModelCard
from kiosk.ports import InferenceClient, ObjectStore

log = logging.getLogger(__name__)

KEY = "models/known.json"
"""The cards in the object store, where a server finds them that was started in the meantime."""

_CARDS = TypeAdapter(list[ModelCard])


class KnownModels:
    """`ports.InferenceClient` of servers: while Triton is away, its models are those it last had.

    Without that a cluster that has scaled Triton to zero could take no job, and so would never have
    a reason to start one again. Jobs wait until Triton is there.
    """

    def __init__(self, inference: InferenceClient, store: ObjectStore) -> None:
        self._inference = inference
        self._store = store
        self._known: list[ModelCard] = []

    async def models(self) -> list[ModelCard]:
        """As they are, or were. Raises TransientError while nobody knows."""
        try:
            cards = await self._inference.models()
        except Outage as error:
            if error.reason != MODEL_SERVER_AWAY:
                raise
            return await self._remembered(error)
        await self._remember(cards)
        return cards

    async def absent(self) -> set[str]:
        try:
            return await self._inference.absent()
        except Outage as error:
            if error.reason != MODEL_SERVER_AWAY:
                raise
            await self._remembered(error)
            return set()

    async def check(self) -> None:
        await self._inference.check()

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return await self._inference.infer(model, version, inputs)

    async def _remember(self, cards: list[ModelCard]) -> None:
        if not cards or cards == self._known:
            return
        try:
            await self._store.put(KEY, _CARDS.dump_json(cards))
        except KioskError as error:
            log.warning("which models there are could not be kept: %s", error)
            return  # the next call tries again
        self._known = cards

    async def _remembered(self, outage: Outage) -> list[ModelCard]:
        if not self._known:
            try:
                self._known = _CARDS.validate_json(await self._store.get(KEY))
            except (NotFound, ValidationError):  # no model yet, or cards of another version
                raise outage from None
        return self._known

"""The models of all replicas of a Triton Inference Server.

Replicas are looked up and asked what they have loaded every few seconds. A tile goes to the one
that has its model version and fewest tiles in hand, and to another when that one fails. gRPC's own
balancing would neither find a replica that is new nor know what it has loaded.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kiosk.adapters.triton_addresses import replicas_at
from kiosk.adapters.triton_replica import READY, TritonReplica
from kiosk.errors import MODEL_NOT_LOADED, KioskError, Outage, PermanentError
from kiosk.models import ModelCard, card_from_config

log = logging.getLogger(__name__)

# Cards are asked for again after this long, so that a new model appears without a restart.
CARDS_KEPT_S = 5.0
# And after this long while a model is being loaded.
CHANGING_KEPT_S = 1.0
_CHANGING = {"LOADING", "UNLOADING"}

# So many replicas are tried with one tile; with more of them in trouble it is better to wait.
MOST_TRIES = 3

Version = tuple[str, str]
"""Names of a model and of one of its versions."""


@dataclass(frozen=True)
class _Look:
    """What one replica had when last looked: its index, configurations of what is ready."""

    index: Sequence[Mapping[str, str]]
    configs: Mapping[str, Mapping[str, Any]]


class TritonInference:
    """`ports.InferenceClient` over all replicas at an address, see `triton_addresses`."""

    def __init__(self, address: str, timeout_s: float, secret: str = "") -> None:
        self._address = address
        self._secret = secret
        self._timeout_s = timeout_s
        self._replicas: dict[str, TritonReplica] = {}
        self._leaving: list[TritonReplica] = []
        # Addresses of the replicas that had a version ready when last looked.
        self._ready: dict[Version, set[str]] = {}
        self._turn = 0
        self._cards: list[ModelCard] = []
        self._absent: set[str] = set()
        self._cards_until_s = 0.0

    async def close(self) -> None:
        for replica in (*self._replicas.values(), *self._leaving):
            await replica.close()

    async def replicas(self) -> list[TritonReplica]:
        """All replicas as they are looked up now, in the order of their addresses."""
        addresses = await replicas_at(self._address)
        for address in self._replicas.keys() - set(addresses):
            self._leaving.append(self._replicas.pop(address))
        for address in addresses:
            if address not in self._replicas:
                replica = TritonReplica(address, self._timeout_s, self._secret)
                self._replicas[address] = replica
        for replica in [r for r in self._leaving if not r.in_flight]:
            self._leaving.remove(replica)
            await replica.close()
        return [self._replicas[address] for address in addresses]

    async def models(self) -> list[ModelCard]:
        if time.monotonic() < self._cards_until_s:
            return self._cards
        configs: dict[str, Mapping[str, Any]] = {}
        ready: dict[Version, set[str]] = {}
        named: set[str] = set()
        absent: set[str] = set()
        for address, look in (await self._looks()).items():
            configs = {**look.configs, **configs}
            for entry in look.index:
                named.add(entry["name"])
                if entry.get("state") == READY:
                    ready.setdefault((entry["name"], entry["version"]), set()).add(address)
                elif entry.get("state") in _CHANGING:
                    absent.add(entry["name"])
        cards = (_card(configs[name], ready) for name in sorted(configs))
        self._cards = [card for card in cards if card is not None]
        self._absent, self._ready = absent | (named - configs.keys()), ready
        kept_s = CHANGING_KEPT_S if self._absent else CARDS_KEPT_S
        self._cards_until_s = time.monotonic() + kept_s
        return self._cards

    async def _looks(self) -> dict[str, _Look]:
        """What the replicas have, by their address; some may not answer. Raises when none does."""
        replicas = await self.replicas()
        able = [replica for replica in replicas if not replica.is_resting] or replicas
        answers = await asyncio.gather(*map(_look_at, able), return_exceptions=True)
        looks = {}
        for replica, answer in zip(able, answers, strict=True):
            if not isinstance(answer, BaseException):
                looks[replica.address] = answer
            elif isinstance(answer, KioskError):
                replica.rest()
            else:
                raise answer
        if not looks:
            raise next(answer for answer in answers if isinstance(answer, KioskError))
        return looks

    async def absent(self) -> set[str]:
        await self.models()
        return self._absent

    async def check(self) -> None:
        replicas = await self.replicas()
        answers = await asyncio.gather(*(r.check() for r in replicas), return_exceptions=True)
        errors = [answer for answer in answers if answer is not None]
        if len(errors) == len(answers):
            raise errors[0]

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        if not self._replicas:
            await self.replicas()
        tried: list[str] = []
        while True:
            replica = self._next(model, version, tried)
            tried.append(replica.address)
            try:
                return await replica.infer(model, version, inputs)
            except Outage as error:
                self._failed(replica, (model, version), error)
                if len(tried) >= min(MOST_TRIES, len(self._replicas)):
                    raise
                log.info("%s: %s Another replica is asked.", replica.address, error)

    def _next(self, model: str, version: str, tried: list[str]) -> TritonReplica:
        """The replica with the fewest tiles that was not tried, of those that have the version."""
        known = self._ready.get((model, version), set())

        def order(replica: TritonReplica) -> tuple[bool, bool, int]:
            return replica.address not in known, replica.is_resting, replica.in_flight

        fresh = [r for r in self._replicas.values() if r.address not in tried]
        self._turn += 1  # of equals, each in its turn
        return min((fresh[(self._turn + i) % len(fresh)] for i in range(len(fresh))), key=order)

    def _failed(self, replica: TritonReplica, version: Version, error: Outage) -> None:
        """Tiles go elsewhere first until the next look."""
        if error.reason == MODEL_NOT_LOADED:
            self._ready.get(version, set()).discard(replica.address)
        else:
            replica.rest()


async def _look_at(replica: TritonReplica) -> _Look:
    index = await replica.index()
    names = {entry["name"] for entry in index if entry.get("state") == READY}
    return _Look(index, {name: await replica.config(name) for name in sorted(names)})


def _card(config: Mapping[str, Any], ready: Mapping[Version, set[str]]) -> ModelCard | None:
    """The card of a model; None for one that is not for the kiosk, or says nonsense."""
    if "kiosk.pipeline" not in config.get("parameters", {}):
        return None  # somebody else's model on the same Triton
    try:
        return card_from_config(config, [v for name, v in ready if name == config["name"]])
    except PermanentError as error:
        # One bad card must not take the other models away.
        log.error("%s", error)
        return None

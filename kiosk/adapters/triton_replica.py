"""One Triton Inference Server, over gRPC (KServe v2)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from kiosk import tracing
from kiosk.errors import (
    MODEL_NOT_LOADED,
    MODEL_SERVER_AWAY,
    KioskError,
    NotFound,
    Outage,
    PermanentError,
    TransientError,
    WrongState,
)
from kiosk.models import ModelCard, card_from_config
from kiosk.telemetry import TRITON_REQUESTS, TRITON_SECONDS
from kiosk.triton_secret import TritonSecret

T = TypeVar("T")

# Questions about models are answered from memory; who takes longer is not well.
ANSWER_S = 10.0
# A large network takes its time to load, and on a GPU to be optimised.
LOAD_TIMEOUT_S = 900.0
UNLOAD_LOOK_S = 0.1
# So long a replica that did not answer is not asked where another can be.
REST_S = 15.0

READY = "READY"

CHANNEL = [
    # Triton is never behind the proxy that an institute sets for the world.
    ("grpc.enable_http_proxy", 0),
    # A Triton that comes back is noticed soon; gRPC would wait up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A machine that has vanished is noticed, too. Triton forgives two of these in an answer's time.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]

# Codes after which another attempt with the same tile would end the same way.
_PERMANENT = {"StatusCode.INVALID_ARGUMENT", "StatusCode.UNIMPLEMENTED"}
# Codes that say that Triton is not there, is stopping or cannot keep up.
_AWAY = {
    "StatusCode.UNAVAILABLE",
    "StatusCode.DEADLINE_EXCEEDED",
    "StatusCode.RESOURCE_EXHAUSTED",
    "StatusCode.CANCELLED",
}
# Words of engines and of Triton behind the codes INTERNAL and UNKNOWN, for what another moment
# may cure: no memory at present, or a backend process that has died and is started again.
_NO_MEMORY = ("out of memory", "bad_alloc", "bad allocation", "failed to allocate")
_RESTARTING = ("stub process", "is not healthy")
# Triton says so of a model that is not loaded, with codes that differ between its versions.
_NOT_LOADED = ("unknown model", "no available versions", "is not ready", "is not found")


class TritonReplica:
    """`ports.ModelReplica` over one channel; many requests may be in flight.

    Attributes:
        address: host and port.
        in_flight: how many tiles are there at present.
    """

    def __init__(self, address: str, timeout_s: float, secret: str = "") -> None:
        self.address = address
        self.in_flight = 0
        self._secret = secret
        self._timeout_s = timeout_s
        self._client: Any = None
        self._resting_until_s = 0.0

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def is_resting(self) -> bool:
        """Whether it has lately not answered."""
        return time.monotonic() < self._resting_until_s

    def rest(self) -> None:
        """It has not answered."""
        self._resting_until_s = time.monotonic() + REST_S

    async def index(self) -> list[Mapping[str, str]]:
        """`name`, `version`, `state` and `reason` of every version of every model."""
        answer = await _asked(
            self._connected().get_model_repository_index(as_json=True, client_timeout=ANSWER_S)
        )
        return list(answer.get("models", []))

    async def config(self, model: str) -> dict[str, Any]:
        """The configuration of a model, as Triton has filled it in."""
        answer = await _asked(
            self._connected().get_model_config(model, as_json=True, client_timeout=ANSWER_S)
        )
        return dict(answer["config"])

    async def check(self) -> None:
        """Raises Outage while no model can be asked."""
        if not await _asked(self._connected().is_server_ready(client_timeout=ANSWER_S)):
            raise Outage("The model server (Triton) is not ready.", reason=MODEL_SERVER_AWAY)

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        tensors = []
        for name, array in inputs.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        self.in_flight += 1
        try:
            with _observed(model, version):
                traceparent = tracing.traceparent()
                answer = await self._connected().infer(
                    model,
                    tensors,
                    model_version=version,
                    client_timeout=self._timeout_s,
                    # Triton's own spans, where it traces, are then part of the job's trace.
                    headers={"traceparent": traceparent} if traceparent else None,
                )
        finally:
            self.in_flight -= 1
        names = [output.name for output in answer.get_response().outputs]
        return {name: answer.as_numpy(name) for name in names}

    # ------------------------------------------------------------------ steering

    async def states(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for entry in await self.index():
            versions = found.setdefault(entry["name"], {})
            if version := entry.get("version", ""):
                state = entry.get("state", "")
                why = entry.get("reason", "").split("\n")[0] or state.lower() or "not loaded"
                versions[version] = "" if state == READY else why
        return found

    async def card(self, model: str) -> ModelCard:
        versions = [v for v, why in (await self.states()).get(model, {}).items() if not why]
        config = await self.config(model)
        if "kiosk.pipeline" not in config.get("parameters", {}):
            raise PermanentError(f"The model '{model}' is not for the kiosk.")
        return card_from_config(config, versions)

    async def load(self, model: str) -> None:
        states = await self.states()
        if model not in states:
            raise NotFound(f"Triton at {self.address} has no model folder '{model}'.")
        if any(not why for why in states[model].values()):
            policy = (await self.config(model)).get("version_policy", {})
            if "latest" in policy:
                raise WrongState(
                    f"The configuration of '{model}' has Triton keep only its latest version, so"
                    " loading a new one would take the old one from its jobs. Write"
                    " `version_policy { all { } }` into its config.pbtxt."
                )
        await self._load(model, None)

    async def keep(self, model: str, versions: Sequence[str]) -> None:
        # Triton takes a configuration as a whole: what is left out would be gone.
        config = await self.config(model)
        config["version_policy"] = {"specific": {"versions": list(versions)}}
        await self._load(model, json.dumps(config))

    async def _load(self, model: str, config: str | None) -> None:
        try:
            await self._connected().load_model(model, config=config, client_timeout=LOAD_TIMEOUT_S)
        except InferenceServerException as error:
            known = _translated(error)
            if known.reason == MODEL_SERVER_AWAY:
                raise known from error
            raise PermanentError(
                f"Triton at {self.address} cannot load '{model}': {_first_line(error)}."
            ) from error

    async def unload(self, model: str) -> None:
        await _asked(self._connected().unload_model(model, client_timeout=LOAD_TIMEOUT_S))
        until_s = time.monotonic() + LOAD_TIMEOUT_S
        # It goes on after its answer, until the last tile is done.
        while await self._is_there(model):
            if time.monotonic() > until_s:
                raise TransientError(f"Triton at {self.address} is still unloading '{model}'.")
            await asyncio.sleep(UNLOAD_LOOK_S)

    async def _is_there(self, model: str) -> bool:
        there = (READY, "UNLOADING")
        return any(e["name"] == model and e.get("state") in there for e in await self.index())

    def _connected(self) -> Any:
        # Made on first use: the channel belongs to the event loop that runs then.
        if self._client is None:
            self._client = triton.InferenceServerClient(self.address, channel_args=CHANNEL)
            if self._secret:
                self._client.register_plugin(TritonSecret(self._secret))
        return self._client


@contextmanager
def _observed(model: str, version: str) -> Iterator[None]:
    """Around a request to a model: its span, time and code, and its error as ours."""
    attributes = {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "kiosk.model": f"{model}:{version}",
    }
    code, started = "OK", time.perf_counter()
    try:
        with tracing.step("infer", attributes, kind="CLIENT"):
            try:
                yield
            except InferenceServerException as error:
                code = str(error.status()).removeprefix("StatusCode.")
                raise _translated(error) from error
    except asyncio.CancelledError:
        code = "CANCELLED"
        raise
    finally:
        TRITON_REQUESTS.labels(model, version, code).inc()
        TRITON_SECONDS.labels(model, version).observe(time.perf_counter() - started)


async def _asked(call: Awaitable[T]) -> T:
    """An answer of Triton. Raises its errors as errors of the kiosk."""
    try:
        return await call
    except InferenceServerException as error:
        raise _translated(error) from error


def _first_line(error: InferenceServerException) -> str:
    return str(error.message()).split("\n")[0][:300]


def _translated(error: InferenceServerException) -> KioskError:
    status, text = str(error.status()), _first_line(error)
    words = text.lower()
    if any(word in words for word in _NOT_LOADED):
        return Outage(f"The model is not loaded at present: {text}.", reason=MODEL_NOT_LOADED)
    if status in _PERMANENT:
        return PermanentError(f"The model refused the image: {text}.")
    if status == "StatusCode.DEADLINE_EXCEEDED":
        return _away("took too long to answer")
    if status in _AWAY:
        return _away("does not answer")
    if any(word in words for word in _NO_MEMORY):
        return _away("has no memory left at present")
    if any(word in words for word in _RESTARTING):
        return _away("is starting the model again")
    return TransientError(f"The model server (Triton) does not answer as it should: {text}.")


def _away(what: str) -> Outage:
    return Outage(f"The model server (Triton) {what}.", reason=MODEL_SERVER_AWAY)

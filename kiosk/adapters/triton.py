"""The models of a Triton Inference Server, over gRPC (KServe v2)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from kiosk import tracing
from kiosk.errors import (
    MODEL_NOT_LOADED,
    MODEL_SERVER_AWAY,
    KioskError,
    Outage,
    PermanentError,
    TransientError,
)
from kiosk.models import ModelCard, card_from_config
from kiosk.telemetry import TRITON_REQUESTS, TRITON_SECONDS
from kiosk.triton_secret import TritonSecret

log = logging.getLogger(__name__)

# Cards are asked for again after this long, so that a new model appears without a restart.
CARDS_KEPT_S = 5.0
# And after this long while a model is being loaded.
CHANGING_KEPT_S = 1.0
_CHANGING = {"LOADING", "UNLOADING"}

# Questions about models are answered from memory; who takes longer is not well.
ANSWER_S = 10.0

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


class TritonInference:
    """`ports.InferenceClient` over one Triton address; one channel, many requests in flight."""

    def __init__(self, address: str, timeout_s: float, secret: str = "") -> None:
        self._address = address
        self._secret = secret
        self._timeout_s = timeout_s
        self._client: Any = None
        self._cards: list[ModelCard] = []
        self._absent: set[str] = set()
        self._cards_until_s = 0.0

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    async def models(self) -> list[ModelCard]:
        if time.monotonic() < self._cards_until_s:
            return self._cards
        try:
            index = await self._connected().get_model_repository_index(
                as_json=True, client_timeout=ANSWER_S
            )
            entries = index.get("models", [])
            versions: dict[str, list[str]] = {}
            for entry in entries:
                if entry.get("state") == "READY":
                    versions.setdefault(entry["name"], []).append(entry["version"])
            absent = {e["name"] for e in entries if e.get("state") in _CHANGING}
            absent |= {e["name"] for e in entries}.difference(versions)
            configs = [await self._config(name) for name in sorted(versions)]
        except InferenceServerException as error:
            raise _translated(error) from error
        self._cards = []
        for config in configs:
            if "kiosk.pipeline" not in config.get("parameters", {}):
                continue  # not for the kiosk: somebody else's model on the same Triton
            try:
                self._cards.append(card_from_config(config, versions[config["name"]]))
            except PermanentError as error:
                # One bad card must not take the other models away.
                log.error("%s", error)
        self._absent = absent
        kept_s = CHANGING_KEPT_S if absent else CARDS_KEPT_S
        self._cards_until_s = time.monotonic() + kept_s
        return self._cards

    async def absent(self) -> set[str]:
        await self.models()
        return self._absent

    async def check(self) -> None:
        try:
            ready = await self._connected().is_server_ready(client_timeout=ANSWER_S)
        except InferenceServerException as error:
            raise _translated(error) from error
        if not ready:
            raise Outage("The model server (Triton) is not ready.", reason=MODEL_SERVER_AWAY)

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        tensors = []
        for name, array in inputs.items():
            tensor = triton.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
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
        names = [output.name for output in answer.get_response().outputs]
        return {name: answer.as_numpy(name) for name in names}

    async def _config(self, name: str) -> Mapping[str, Any]:
        answer = await self._connected().get_model_config(
            name, as_json=True, client_timeout=ANSWER_S
        )
        return answer["config"]

    def _connected(self) -> Any:
        # Made on first use: the channel belongs to the event loop that runs then.
        if self._client is None:
            self._client = triton.InferenceServerClient(
                self._address,
                channel_args=[
                    # Triton is never behind the proxy that an institute sets for the world.
                    ("grpc.enable_http_proxy", 0),
                    # A Triton that comes back is noticed soon; gRPC would wait up to two minutes.
                    ("grpc.initial_reconnect_backoff_ms", 200),
                    ("grpc.max_reconnect_backoff_ms", 2000),
                    ("grpc.max_receive_message_length", -1),
                    ("grpc.max_send_message_length", -1),
                ],
            )
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


def _translated(error: InferenceServerException) -> KioskError:
    status, text = str(error.status()), str(error.message()).split("\n")[0][:300]
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

"""Which errors of Triton are an outage, which are the image's fault, and which nobody knows."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from kiosk.adapters.triton import TritonInference
from kiosk.errors import (
    MODEL_SERVER_AWAY,
    KioskError,
    Outage,
    PermanentError,
    TransientError,
)

NOT_LOADED = "MODEL_NOT_LOADED"


class FailingClient:
    """A connection to Triton on which every call fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def _fail(self, *_: object, **__: object) -> None:
        raise self._error

    infer = get_model_repository_index = is_server_ready = _fail


async def inference_over(client: object) -> TritonInference:
    inference = TritonInference("127.0.0.1:1", 1.0)
    (replica,) = await inference.replicas()
    replica._client = client
    return inference


async def told(status: str, text: str) -> KioskError:
    inference = await inference_over(
        FailingClient(InferenceServerException(text, f"StatusCode.{status}"))
    )
    with pytest.raises(KioskError) as error:
        await inference.infer("nuclei", "1", {"image": np.zeros((1, 1, 8, 8), np.uint16)})
    return error.value


@pytest.mark.parametrize(
    ("status", "text", "reason"),
    [
        ("UNAVAILABLE", "failed to connect to all addresses", MODEL_SERVER_AWAY),
        ("UNAVAILABLE", "Server is stopping, scheduler has stopped", MODEL_SERVER_AWAY),
        ("DEADLINE_EXCEEDED", "Deadline Exceeded", MODEL_SERVER_AWAY),
        ("RESOURCE_EXHAUSTED", "Exceeds maximum queue size", MODEL_SERVER_AWAY),
        ("CANCELLED", "CANCELLED", MODEL_SERVER_AWAY),
        ("INTERNAL", "Stub process 'nuclei_0_0' is not healthy.", MODEL_SERVER_AWAY),
        ("INTERNAL", "CUDA failure 2: out of memory ; GPU=0", MODEL_SERVER_AWAY),
        ("INTERNAL", "The model could not be run: std::bad_alloc", MODEL_SERVER_AWAY),
        ("INTERNAL", "Failed to allocate memory for requested buffer", MODEL_SERVER_AWAY),
        ("UNAVAILABLE", "Request for unknown model: 'nuclei' is not found", NOT_LOADED),
        ("NOT_FOUND", "Request for unknown model: 'nuclei' version 1 is not found", NOT_LOADED),
        ("UNAVAILABLE", "'nuclei' has no available versions", NOT_LOADED),
    ],
)
async def test_what_another_moment_cures_is_an_outage(status: str, text: str, reason: str) -> None:
    error = await told(status, text)
    assert type(error) is Outage
    assert error.reason == reason


async def test_a_tile_that_the_model_refuses_is_refused_for_good() -> None:
    error = await told("INVALID_ARGUMENT", "unexpected shape for input 'image'\nbacktrace")
    assert type(error) is PermanentError
    assert error.message == "The model refused the image: unexpected shape for input 'image'."


async def test_what_nobody_knows_is_tried_again_and_counted() -> None:
    error = await told("INTERNAL", "The model could not be run on this input: Reshape_3")
    assert type(error) is TransientError


async def test_looking_whether_it_is_back_tells_an_outage_too() -> None:
    inference = await inference_over(
        FailingClient(InferenceServerException("connection refused", "StatusCode.UNAVAILABLE"))
    )
    for call in (inference.check, inference.models):
        with pytest.raises(Outage, match="does not answer"):
            await call()


class Index:
    """A Triton that has these models, as (name, version, state)."""

    def __init__(self, *entries: tuple[str, str, str]) -> None:
        self._entries = entries

    async def get_model_repository_index(self, **_: object) -> dict[str, object]:
        names = ("name", "version", "state")
        return {"models": [dict(zip(names, entry, strict=True)) for entry in self._entries]}

    async def get_model_config(self, name: str, **_: object) -> dict[str, object]:
        return {"config": {"name": name}}


@pytest.mark.parametrize(
    ("entries", "absent"),
    [
        ([("a", "1", "READY"), ("a", "2", "READY")], set()),
        ([("a", "1", "READY"), ("a", "2", "LOADING")], {"a"}),  # or the latest would be version 1
        ([("a", "1", "UNLOADING"), ("b", "1", "READY")], {"a"}),
        ([("a", "", "UNAVAILABLE")], {"a"}),
        ([("a", "1", "UNAVAILABLE"), ("a", "2", "READY")], set()),  # version 1 cannot be loaded
        ([], set()),
    ],
)
async def test_models_that_are_loaded_at_this_moment_are_named(
    entries: list[tuple[str, str, str]], absent: set[str]
) -> None:
    inference = await inference_over(Index(*entries))
    assert await inference.absent() == absent

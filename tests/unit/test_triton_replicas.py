"""Several Tritons behind one address: who is asked, and what happens when one fails."""

from __future__ import annotations

import socket
from collections import Counter
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from kiosk.adapters import triton_replica
from kiosk.adapters.triton import TritonInference
from kiosk.adapters.triton_addresses import replicas_at
from kiosk.errors import Outage, PermanentError

PARAMETERS = {
    f"kiosk.{key}": {"string_value": value}
    for key, value in {
        "pipeline": "segmentation", "channels": "image", "tile_px": "128", "divisor_px": "16",
        "halo_px": "16", "low_percentile": "1", "high_percentile": "99",
    }.items()
}  # fmt: skip
TILE = {"image": np.zeros((1, 1, 8, 8), np.uint16)}


class Answer:
    def get_response(self) -> Any:
        return type("Response", (), {"outputs": ()})


class Triton:
    """A Triton that has these versions of the model 'm'."""

    def __init__(self, *versions: str) -> None:
        self.versions = list(versions)
        self.failure = ""
        self.asked: Counter[str] = Counter()
        self.is_closed = False

    async def close(self) -> None:
        self.is_closed = True

    def _answer(self) -> None:
        if self.failure:
            raise InferenceServerException("gone", f"StatusCode.{self.failure}")

    async def get_model_repository_index(self, **_: object) -> dict[str, object]:
        self.asked["index"] += 1
        self._answer()
        return {"models": [{"name": "m", "version": v, "state": "READY"} for v in self.versions]}

    async def get_model_config(self, name: str, **_: object) -> dict[str, object]:
        self._answer()
        return {"config": {"name": name, "parameters": PARAMETERS}}

    async def is_server_ready(self, **_: object) -> bool:
        self._answer()
        return True

    async def infer(self, model: str, *_: object, model_version: str, **__: object) -> Answer:
        self.asked[model_version] += 1
        self._answer()
        if model_version not in self.versions:
            raise InferenceServerException(
                f"Request for unknown model: '{model}' version {model_version} is not found",
                "StatusCode.NOT_FOUND",
            )
        return Answer()


@pytest.fixture(autouse=True)
def always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CARDS_KEPT_S", "CHANGING_KEPT_S"):
        monkeypatch.setattr(f"kiosk.adapters.triton.{name}", 0.0)


async def over(*tritons: Triton) -> TritonInference:
    hosts = ",".join(f"127.0.0.1:{number}" for number in range(1, len(tritons) + 1))
    inference = TritonInference(f"ipv4:{hosts}", 1.0)
    for replica, triton in zip(await inference.replicas(), tritons, strict=True):
        replica._client = triton
    return inference


async def tiles(inference: TritonInference, count: int = 1, version: str = "1") -> None:
    for _ in range(count):
        await inference.infer("m", version, TILE)


async def test_tiles_are_spread() -> None:
    one, other = Triton("1"), Triton("1")
    await tiles(await over(one, other), 10)
    assert (one.asked["1"], other.asked["1"]) == (5, 5)


async def test_a_tile_goes_to_the_replica_that_has_fewest() -> None:
    one, other = Triton("1"), Triton("1")
    inference = await over(one, other)
    (await inference.replicas())[0].in_flight = 3
    await tiles(inference, 3)
    assert (one.asked["1"], other.asked["1"]) == (0, 3)


async def test_a_version_that_one_replica_lacks_goes_to_the_other() -> None:
    one, other = Triton("1"), Triton("1", "2")
    inference = await over(one, other)
    assert [card.versions for card in await inference.models()] == [("1", "2")]
    await tiles(inference, 4, "2")
    assert (one.asked["2"], other.asked["2"]) == (0, 4)
    other.versions.remove("2")
    with pytest.raises(Outage) as error:
        await tiles(inference, 1, "2")
    assert error.value.reason == "MODEL_NOT_LOADED"
    assert [card.versions for card in await inference.models()] == [("1",)]


async def test_a_replica_that_dies_costs_no_tile() -> None:
    one, other = Triton("1"), Triton("1")
    inference = await over(one, other)
    await inference.models()
    one.failure = "UNAVAILABLE"
    await tiles(inference, 10)
    assert one.asked["1"] <= 1
    assert other.asked["1"] == 10
    looks = one.asked["index"]
    assert len(await inference.models()) == 1
    await inference.check()
    assert one.asked["index"] == looks  # a replica that hangs would take its time, each time
    other.failure = "UNAVAILABLE"
    for call in (inference.check, inference.models, lambda: tiles(inference)):
        with pytest.raises(Outage, match="does not answer"):
            await call()


async def test_a_replica_that_is_back_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_replica, "REST_S", 0.0)
    one, other = Triton("1"), Triton("1")
    inference = await over(one, other)
    one.failure = "UNAVAILABLE"
    await inference.models()
    await tiles(inference, 4)
    one.failure, one.asked = "", Counter()
    await inference.models()
    await tiles(inference, 4)
    assert one.asked["1"] == 2


async def test_a_tile_that_the_model_refuses_is_not_sent_around() -> None:
    one, other = Triton("1"), Triton("1")
    one.failure = other.failure = "INVALID_ARGUMENT"
    with pytest.raises(PermanentError):
        await tiles(await over(one, other))
    assert one.asked["1"] + other.asked["1"] == 1


async def test_addresses() -> None:
    assert await replicas_at("triton:8001") == ["triton:8001"]
    assert await replicas_at("ipv4:10.0.0.2:1,10.0.0.1:2") == ["10.0.0.1:2", "10.0.0.2:1"]
    assert await replicas_at("ipv6:[::1]:1") == ["[::1]:1"]
    for wrong in ("dns:///triton", "dns:///:8001", "dns:///triton:http"):
        with pytest.raises(PermanentError, match="KIOSK_TRITON__ADDRESS"):
            await replicas_at(wrong)


async def test_replicas_come_and_go_with_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = ["10.0.0.1"]

    def answer(host: str, port: int, *_: object, **__: object) -> list[Any]:
        assert (host, port) == ("triton-headless", 8001)
        if not hosts:
            raise socket.gaierror("Name or service not known")
        # Every address comes several times where a machine has several kinds of sockets.
        return [(0, 0, 0, "", (host, port)) for host in hosts * 2]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    inference = TritonInference("dns:///triton-headless:8001", 1.0)
    (first,) = await inference.replicas()
    first._client = Triton("1")
    hosts.append("fd00::2")
    assert [r.address for r in await inference.replicas()] == ["10.0.0.1:8001", "[fd00::2]:8001"]
    hosts.remove("10.0.0.1")
    first.in_flight = 1
    assert [r.address for r in await inference.replicas()] == ["[fd00::2]:8001"]
    assert not first._client.is_closed  # its last tile is still on the way
    first.in_flight = 0
    await inference.replicas()
    assert first._client.is_closed
    hosts.clear()
    with pytest.raises(Outage, match="no replica"):
        await inference.models()
    await inference.close()

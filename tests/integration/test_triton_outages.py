"""The real Triton: a model that is unloaded, a backend that dies, a server that stops or hangs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tritons import SECRET, Triton, add_version

from kiosk.adapters.triton import TritonInference
from kiosk.errors import MODEL_SERVER_AWAY, KioskError, Outage, PermanentError
from kiosk.machine import server_files
from kiosk.model_watch import watching
from kiosk.settings import Settings

pytestmark = pytest.mark.servers

WEIGHTS = Path(__file__).parent.parent / "data" / "halve.onnx"
CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
instance_group { count: 1 }
input { name: "image" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
output { name: "halved" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
output { name: "mean" data_type: TYPE_FP32 dims: [ 1 ] }
"""
TILE = {"image": np.ones((1, 1, 8, 8), np.uint16)}


@pytest.fixture
def triton(tmp_path: Path) -> Iterator[Triton]:
    try:
        server_files(Settings().servers_dir)
    except KioskError as error:
        pytest.skip(error.message)
    add_version(tmp_path / "models" / "halve", "1", CONFIG, WEIGHTS.read_bytes())
    triton = Triton(tmp_path)
    yield triton
    triton.stop()


async def reason_of(call: Callable[[], Awaitable[object]]) -> str:
    with pytest.raises(Outage) as error:
        await call()
    return error.value.reason


async def test_what_goes_wrong_with_triton_is_told_apart(triton: Triton) -> None:
    """One Triton for all of it: starting one takes seconds."""
    inference = TritonInference(triton.address, 3.0, SECRET)

    async def ask() -> dict[str, np.ndarray]:
        return await inference.infer("halve", "1", TILE)

    assert (await ask())["mean"] == 1
    await inference.check()
    with pytest.raises(PermanentError):
        await inference.infer("halve", "1", {"image": np.ones((1, 1, 8, 8), np.float32)})

    # A model that is unloaded in mid-job, and comes back.
    with triton.client() as client:
        client.unload_model("halve")
        while client.is_model_ready("halve"):
            pass
        assert await reason_of(ask) == "MODEL_NOT_LOADED"
        assert await inference.absent() == {"halve"}
        client.load_model("halve")
    assert (await ask())["mean"] == 1

    # The process that runs the network dies: Triton does not notice, the supervisor does.
    with (
        triton.client() as client,
        watching(triton.repository, client, triton.mark, print),
    ):
        await asyncio.sleep(2.5)  # it has looked once
        os.kill(triton.backend(), signal.SIGKILL)
        assert await outcome_of(ask) in (MODEL_SERVER_AWAY, "MODEL_NOT_LOADED")
        for _ in range(100):
            if not await outcome_of(ask):
                break
            await asyncio.sleep(0.2)
    assert (await ask())["mean"] == 1

    # It hangs, and goes on.
    assert triton.child.pid
    os.kill(triton.child.pid, signal.SIGSTOP)
    assert await reason_of(ask) == MODEL_SERVER_AWAY
    os.kill(triton.child.pid, signal.SIGCONT)
    assert (await ask())["mean"] == 1

    # It dies.
    triton.child.kill()
    assert await reason_of(ask) == MODEL_SERVER_AWAY
    assert await reason_of(inference.check) == MODEL_SERVER_AWAY
    await inference.close()


async def outcome_of(call: Callable[[], Awaitable[object]]) -> str:
    try:
        await call()
    except Outage as error:
        return error.reason
    return ""

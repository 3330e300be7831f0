"""A server that speaks Triton's protocol for one thing: tiles go in, `FakeInference` answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from kiosk.adapters.triton import TritonInference
from kiosk.testing import FakeInference


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers ModelInfer, and keeps what came in the heads of the calls."""

    def __init__(self) -> None:
        self.network = FakeInference()
        self.heads: list[dict[str, str]] = []

    async def ModelInfer(self, request, context):  # noqa: N802 - its name in the protocol
        self.heads.append({key: str(value) for key, value in context.invocation_metadata()})
        inputs = {}
        for tensor, data in zip(request.inputs, request.raw_input_contents, strict=True):
            flat = np.frombuffer(data, triton_to_np_dtype(tensor.datatype))
            inputs[tensor.name] = flat.reshape(list(tensor.shape))
        outputs = await self.network.infer(request.model_name, request.model_version, inputs)
        answer = pb.ModelInferResponse(model_name=request.model_name)
        for name, array in outputs.items():
            answer.outputs.add(
                name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape
            )
            answer.raw_output_contents.append(array.tobytes())
        return answer


class OverTheWire(FakeInference):
    """Knows the models by itself; tiles go through the kiosk's own client of Triton."""

    def __init__(self, client: TritonInference) -> None:
        super().__init__()
        self.client = client

    async def infer(
        self, model: str, version: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        return await self.client.infer(model, version, inputs)


@asynccontextmanager
async def fake_triton() -> AsyncIterator[tuple[FakeTriton, OverTheWire]]:
    """A fake Triton on loopback, and an inference client that asks it."""
    servicer, server = FakeTriton(), grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = TritonInference(f"127.0.0.1:{port}", 10.0, "words-between-friends")
    try:
        yield servicer, OverTheWire(client)
    finally:
        await client.close()
        await server.stop(0)

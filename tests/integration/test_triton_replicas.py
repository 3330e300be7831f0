"""Several replicas of Triton behind one name: requests go to each in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from kiosk.adapters.triton import TritonInference
from kiosk.errors import Outage


class Replica(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Says that it is ready, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.asked += 1
        return service_pb2.ServerReadyResponse(ready=True)


@asynccontextmanager
async def running(replica: Replica) -> AsyncIterator[tuple[int, grpc.aio.Server]]:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(replica, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port, server
    await server.stop(0)


async def test_requests_go_to_each_replica_in_turn_and_past_one_that_is_gone() -> None:
    one, other = Replica(), Replica()
    async with running(one) as (port, _), running(other) as (other_port, other_server):
        triton = TritonInference(f"ipv4:127.0.0.1:{port},127.0.0.1:{other_port}", timeout_s=5.0)
        # The first goes to whichever is connected first.
        while not (one.asked and other.asked):
            await triton.check()
        before = one.asked, other.asked
        for _ in range(10):
            await triton.check()
        assert (one.asked - before[0], other.asked - before[1]) == (5, 5)

        await other_server.stop(0)
        before = one.asked, other.asked
        while one.asked < before[0] + 10:
            with suppress(Outage):  # one that was on its way to the other
                await triton.check()
        assert other.asked == before[1]
        await triton.close()

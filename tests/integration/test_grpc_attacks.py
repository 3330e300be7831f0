"""What strangers send to the gRPC port: too much in every place, and no gRPC at all."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from kiosk import grpc_api
from kiosk._proto import kiosk_pb2 as pb
from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.authentication import Authentication
from kiosk.grpc_api import GrpcServer
from kiosk.testing import FakeKiosk

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def works(port: int) -> bool:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        return len((await pb_grpc.KioskStub(channel).ListModels(pb.ListModelsRequest())).models) > 0


@pytest.mark.parametrize(("count", "length"), [(1, 60_000), (2000, 20)])
async def test_headers_are_bounded(
    server: GrpcServer, stub: pb_grpc.KioskStub, count: int, length: int
) -> None:
    metadata = tuple((f"x-{number}", "a" * length) for number in range(count))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListModels(pb.ListModelsRequest(), metadata=metadata, timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await works(server.port)


async def test_messages_are_bounded(server: GrpcServer, stub: pb_grpc.KioskStub) -> None:
    async def pieces() -> object:
        yield pb.WriteUploadRequest(name="uploads/x", data=bytes(grpc_api.MESSAGE_BYTES + 1))

    for call in (
        stub.CreateUpload(pb.CreateUploadRequest(file_name="a" * (grpc_api.MESSAGE_BYTES + 1))),
        stub.WriteUpload(pieces()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await works(server.port)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: kiosk\r\n\r\n",
        HELLO + b"\xff" * 5000,
        b"\x16\x03\x01" + bytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + b"\0\0\0\x04\0\0\0\0\0"
        + b"\xff\xff\xff\x09\x04" * 99,
    ],
    ids=["HTTP/1.1", "noise", "TLS", "endless headers"],
)
async def test_what_is_no_grpc_is_hung_up_on(server: GrpcServer, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(data)
    try:
        await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        pass
    finally:
        writer.close()
    assert await works(server.port)


async def test_who_says_nothing_is_hung_up_on(
    fake: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = dict(grpc_api.CONNECTION_LIMITS) | {"grpc.server_handshake_timeout_ms": 200}
    monkeypatch.setattr(grpc_api, "CONNECTION_LIMITS", tuple(limits.items()))
    server = GrpcServer(fake.service, Authentication(), "127.0.0.1", 0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await asyncio.wait_for(reader.read(), 20)  # until it is closed
    writer.close()
    assert await works(server.port)
    await server.stop(0)


async def test_one_connection_does_only_so_much_at_a_time(
    fake: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further calls wait their turn, or are told to come again."""
    limits = dict(grpc_api.CONNECTION_LIMITS) | {"grpc.max_concurrent_streams": 2}
    monkeypatch.setattr(grpc_api, "CONNECTION_LIMITS", tuple(limits.items()))
    server = GrpcServer(fake.service, Authentication(), "127.0.0.1", 0)
    await server.start()
    at_once = most = 0
    asked = fake.service.list_models

    async def slowly(**options: object) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return await asked(**options)

    monkeypatch.setattr(fake.service, "list_models", slowly)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = pb_grpc.KioskStub(channel)
        await stub.ListModels(pb.ListModelsRequest())  # settings of the connection have arrived
        calls = [stub.ListModels(pb.ListModelsRequest()) for _ in range(12)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert 1 <= most <= 2
    assert {error.code() for error in errors} <= {grpc.StatusCode.UNAVAILABLE}
    await server.stop(0)

"""A kiosk of fakes behind a real gRPC server on loopback, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from kiosk._proto import kiosk_pb2_grpc as pb_grpc
from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.client import AsyncKiosk
from kiosk.grpc_api import GrpcServer
from kiosk.settings import LimitSettings
from kiosk.testing import FakeKiosk, make_kiosk


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """The folder from which the kiosk takes images by their address."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


@pytest.fixture
async def fake(allowed: Path) -> FakeKiosk:
    return make_kiosk(ImageFileReader(LimitSettings()), image_urls=allowed.as_uri())


@pytest.fixture
async def server(fake: FakeKiosk) -> AsyncIterator[GrpcServer]:
    server = GrpcServer(fake.service, Authentication(), "127.0.0.1", 0)
    await server.start()
    consumer = fake.consumer()
    running = asyncio.create_task(consumer.run())
    yield server
    consumer.stop()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await server.stop(0)


@pytest.fixture
async def client(server: GrpcServer) -> AsyncIterator[AsyncKiosk]:
    async with AsyncKiosk(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture
async def stub(server: GrpcServer) -> AsyncIterator[pb_grpc.KioskStub]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield pb_grpc.KioskStub(channel)

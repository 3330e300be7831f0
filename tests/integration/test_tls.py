"""TLS on both ports, with certificates made here, renewed while the server runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from authority import Authority
from cryptography import x509

from kiosk.adapters.image_files import ImageFileReader
from kiosk.api_keys import new_api_key
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.certificate import Certificate
from kiosk.client import AsyncKiosk
from kiosk.errors import (
    InvalidRequest,
    NotFound,
    PermanentError,
    PermissionDenied,
    TransientError,
    Unauthenticated,
)
from kiosk.grpc_api import GrpcServer
from kiosk.local import Addresses, server_is_ready
from kiosk.machine import free_port
from kiosk.settings import CHECKOUT, LimitSettings, ServerSettings
from kiosk.testing import MemoryKeyRing, make_kiosk
from kiosk.web import WebServer


@dataclass
class Served:
    authority: Authority
    keys: MemoryKeyRing
    grpc_port: int
    web_port: int

    async def key(self, *scopes: Scope) -> str:
        key, token = new_api_key("alice", scopes, time_s=1.0)
        await self.keys.add(key)
        return token

    def client(self, api_key: str = "") -> AsyncKiosk:
        ca_file = self.authority.ca_file
        return AsyncKiosk(f"127.0.0.1:{self.grpc_port}", api_key=api_key, ca_file=ca_file)

    async def serials(self) -> set[int]:
        """Serial numbers of the certificates that the two ports show."""
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.set_alpn_protocols(["h2", "http/1.1"])
        found = set()
        for port in (self.grpc_port, self.web_port):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            found.add(x509.load_der_x509_certificate(der).serial_number)
            writer.close()
        return found


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    authority = Authority(tmp_path)
    authority.issue()
    certificate = Certificate(authority.chain_file, authority.key_file)
    fake = make_kiosk(ImageFileReader(LimitSettings()))
    keys = MemoryKeyRing()
    door = Authentication(keys, required=True)
    tiles = fake.tiles()
    grpc_server = GrpcServer(fake.service, door, "127.0.0.1", 0, certificate)
    web_server = WebServer(
        fake.service, tiles, door, CHECKOUT / "frontend", "127.0.0.1", 0, "", certificate
    )
    await grpc_server.start()
    await web_server.start()
    yield Served(authority, keys, grpc_server.port, web_server.port)
    await grpc_server.stop(0)
    await web_server.stop()


async def test_client_library_over_tls(served: Served) -> None:
    async with served.client(await served.key(Scope.READ)) as kiosk:
        assert {card.name for card in await kiosk.models()} == {"models/bright"}
        with pytest.raises(PermissionDenied, match="'write'"):
            await kiosk.submit("uploads/x", model="bright")
        with pytest.raises(NotFound):
            await kiosk.job("nosuch")
    async with served.client() as kiosk:
        with pytest.raises(Unauthenticated, match="KIOSK_API_KEY"):
            await kiosk.models()


async def test_the_environment_names_key_and_authority(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await served.key(Scope.READ)
    monkeypatch.setenv("KIOSK_SERVER", f"grpcs://127.0.0.1:{served.grpc_port}")
    monkeypatch.setenv("KIOSK_API_KEY", key)
    monkeypatch.setenv("KIOSK_CA_FILE", str(served.authority.ca_file))
    async with AsyncKiosk() as kiosk:
        assert await kiosk.models()
        assert key.rpartition("_")[2] not in repr(kiosk) + repr(vars(kiosk._connection))


async def test_certificates_of_nobody_we_know(served: Served, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    server = f"127.0.0.1:{served.grpc_port}"
    clients = [
        AsyncKiosk(server, ca_file=stranger.ca_file),
        AsyncKiosk(f"grpcs://{server}"),  # the machine does not know the authority of this test
    ]
    for client in clients:
        async with client as kiosk:
            with pytest.raises(TransientError, match="KIOSK_CA_FILE"):
                await kiosk.models()
    async with AsyncKiosk(server) as kiosk:
        with pytest.raises(TransientError, match="grpcs://"):
            await kiosk.models()
    async with AsyncKiosk(server, ca_file=tmp_path / "nosuch.pem") as kiosk:
        with pytest.raises(InvalidRequest, match="cannot be read"):
            await kiosk.models()


async def test_the_page_over_tls(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority.ca_file))
    url = f"https://127.0.0.1:{served.web_port}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as web:
        assert (await web.get(url)).status == 200
        key = await served.key(Scope.READ)
        answer = await web.post(f"{url}/api/v1/session", json={"key": key})
        assert "Secure" in answer.headers["Set-Cookie"]
        with pytest.raises(aiohttp.ClientError):
            await web.get(url.replace("https", "http"))


async def test_a_new_certificate_is_taken_without_a_restart(served: Served) -> None:
    (before,) = await served.serials()
    async with served.client(await served.key(Scope.READ)) as kiosk:
        assert await kiosk.models()
        after = served.authority.issue()
        assert after != before
        assert await served.serials() == {after}
        assert await kiosk.models()  # on the connection that was there


async def test_files_that_do_not_fit_are_not_taken(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    before = await served.serials()
    old_key = served.authority.key_file.read_bytes()
    after = served.authority.issue()
    new_key = served.authority.key_file.read_bytes()
    served.authority.key_file.write_bytes(old_key)  # half-way through a renewal
    assert await served.serials() == before
    assert await served.serials() == before
    assert len([r for r in caplog.records if "is not taken" in r.message]) == 1
    served.authority.key_file.unlink()
    assert await served.serials() == before
    served.authority.key_file.write_bytes(new_key)
    assert await served.serials() == {after}


@pytest.mark.parametrize("fault", ["no file", "no PEM", "another key", "swapped"])
def test_certificates_that_cannot_be_used(tmp_path: Path, fault: str) -> None:
    authority = Authority(tmp_path)
    authority.issue()
    chain, key = authority.chain_file, authority.key_file
    if fault == "no file":
        key.unlink()
    elif fault == "no PEM":
        chain.write_bytes(b"certificate")
    elif fault == "another key":
        old = key.read_bytes()
        authority.issue()
        key.write_bytes(old)
    else:
        chain, key = key, chain
    with pytest.raises(PermanentError, match="KIOSK_LISTEN__TLS_KEY_FILE"):
        Certificate(chain, key)


def test_certificate_and_key_go_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="go together"):
        ServerSettings(tls_cert_file=tmp_path / "server.pem")


async def test_kiosk_up_finds_its_server_ready(served: Served) -> None:
    def addresses(grpc_port: int, has_tls: bool) -> Addresses:
        return Addresses(
            host="127.0.0.1",
            web_port=served.web_port,
            grpc_port=grpc_port,
            redis_port=0,
            triton_port=0,
            redis_password="",
            triton_secret="",
            has_tls=has_tls,
        )

    asked = [(served.grpc_port, True), (served.grpc_port, False), (free_port(), True)]
    ready = [await asyncio.to_thread(server_is_ready, addresses(*each)) for each in asked]
    assert ready == [True, False, False]
    assert addresses(1, True).web_url.startswith("https://")

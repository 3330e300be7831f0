"""Redis over TLS: `rediss://` with an authority of our own. A proxy speaks TLS for Redis here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from authority import Authority

from kiosk.adapters.redis_keys import RedisKeyRing
from kiosk.adapters.redis_queue import RedisQueue
from kiosk.api_keys import new_api_key
from kiosk.callers import Scope
from kiosk.errors import TransientError
from kiosk.queue_policy import QueuePolicy


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue()
    return made


@pytest.fixture
async def tls_port(authority: Authority, redis_url: str) -> AsyncIterator[int]:
    """A port where Redis is reached by TLS only."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.chain_file, authority.key_file)
    redis_port = urlsplit(redis_url).port

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", redis_port)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_the_address_names_the_authority(
    authority: Authority, tls_port: int, redis_prefix: str
) -> None:
    url = f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={authority.ca_file}"
    ring = RedisKeyRing(url, redis_prefix)
    key, _ = new_api_key("alice", [Scope.READ], time_s=1.0)
    await ring.add(key)
    assert await ring.list() == [key]
    await ring.close()
    queue = RedisQueue(url, QueuePolicy(), redis_prefix)
    assert (await queue.backlog()).jobs == 0
    await queue.close()


@pytest.mark.parametrize("how", ["unknown authority", "no TLS"])
async def test_what_cannot_be_trusted(
    tls_port: int, redis_prefix: str, tmp_path: Path, how: str
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    url = f"rediss://127.0.0.1:{tls_port}/0?ssl_ca_certs={other.ca_file}"
    if how == "no TLS":
        url = f"redis://127.0.0.1:{tls_port}/0"
    ring = RedisKeyRing(url, redis_prefix)
    with pytest.raises(TransientError):
        await ring.list()
    await ring.close()

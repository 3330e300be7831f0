"""What tests of all kinds share: hypothesis profiles and a real Redis server."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from hypothesis import HealthCheck, settings

from kiosk.errors import PermanentError
from kiosk.machine import find_redis_server, free_port, server_files
from kiosk.settings import leave_children_alone

leave_children_alone()
CHECKOUT = Path(__file__).resolve().parent.parent

# A busy core is no failure; the same examples every time, so that a red test stays red.
settings.register_profile(
    "ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@dataclass
class RedisServer:
    """A redis-server of our own on a free loopback port, writing into `folder` (AOF)."""

    binary: Path
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it has read its AOF; harmless while it runs."""
        if self.process is not None:
            return
        options = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self.folder,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",  # enough against a kill; a power cut is not tested
            "logfile": "redis.log",
        }
        arguments = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
        self.process = subprocess.Popen([self.binary, *arguments])
        for _ in range(400):
            if self._answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)  # nothing to wait on but the port
        log = (self.folder / "redis.log").read_text()[-1000:]
        self.stop()
        raise RuntimeError(f"redis-server did not start: {log}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    def stop(self) -> None:
        """SIGTERM to exactly this process, SIGKILL if it does not listen."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def kill(self) -> None:
        """No farewell, only the AOF is left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
        self.process = None


def _redis_binary() -> Path:
    bundled = Path("/no/redis-server")
    with contextlib.suppress(PermanentError):  # without `make setup` one on PATH will do
        bundled = server_files(CHECKOUT / ".servers").redis_server
    try:
        return find_redis_server(bundled)
    except PermanentError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    """A redis-server of version 6.2 or newer; skips the test where there is none."""
    return _redis_binary()


@pytest.fixture
def new_redis(
    redis_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], RedisServer]]:
    """Makes Redis servers for tests that stop and start theirs."""
    servers: list[RedisServer] = []

    def make() -> RedisServer:
        servers.append(RedisServer(redis_binary, tmp_path_factory.mktemp("redis")))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def redis_url(redis_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Redis for the whole session. Keep apart from other tests with `redis_prefix`."""
    server = RedisServer(redis_binary, tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


_serial = itertools.count(1)


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of a server of our own that speaks the S3 API, with nothing in it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """s3://... of a new bucket; the environment says where it is, as on a real machine."""
    variables = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    variables |= {"ENDPOINT_URL": s3_address, "ALLOW_HTTP": "true"}
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"bucket-{uuid.uuid4().hex}"
    urlopen(Request(f"{s3_address}/{name}", method="PUT")).close()
    return f"s3://{name}"


@pytest.fixture
def redis_prefix() -> str:
    """A key prefix that no other test uses."""
    return f"{{test{next(_serial)}}}"

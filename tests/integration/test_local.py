"""`kiosk up` with the real Redis and Triton; in place of server and consumer, two idle children."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from kiosk.errors import PermanentError
from kiosk.local import RunningKiosk, running, shared_memory_prefix, triton_is_live
from kiosk.machine import server_files
from kiosk.settings import Settings

pytestmark = pytest.mark.servers

WEIGHTS = Path(__file__).parent.parent / "data" / "halve.onnx"
CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
instance_group { count: 1 }
input { name: "image" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
output { name: "halved" data_type: TYPE_UINT16 dims: [ 1, -1, -1 ] }
"""
UP = """
import os, sys
from kiosk.errors import KioskError
from kiosk.local import up
from kiosk.processes import ChildSpec
from kiosk.settings import Settings

def idle(settings, addresses):
    code = "import time; time.sleep(600)"
    return [
        ChildSpec(name=name, role=name, argv=[sys.executable, "-I", "-c", code],
                  environment=dict(os.environ))
        for name in ("server", "consumer-1")
    ]

try:
    sys.exit(up(Settings(), roles=idle))
except KioskError as error:
    print(error.message, flush=True)
    sys.exit(1)
"""


def wait_until(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class Kiosk:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "a home"
        self.output = folder / "output.txt"
        self.environment = {
            **os.environ,
            "KIOSK_HOME": str(self.home),
            "KIOSK_MODEL_REPOSITORY": str(folder / "models"),
            "KIOSK_LISTEN__WEB_PORT": "0",
            "KIOSK_LISTEN__GRPC_PORT": "0",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RunningKiosk:
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", UP],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )
        wait_until(lambda: running(self.home) or self.process.poll() is not None)
        found = running(self.home)
        assert found, self.output.read_text()
        return found

    def second(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", UP],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.environment, **environment},
        )

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def processes(self) -> dict[int, str]:
        """Id and command line of every living process that holds this home's lock."""
        lock = str(self.home / "run" / "lock")
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if any(os.readlink(fd) == lock for fd in (folder / "fd").iterdir()):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
        return found

    def pid_of(self, word: str) -> int:
        (pid,) = [pid for pid, command in self.processes().items() if word in command.split()[0]]
        return pid


@pytest.fixture
def kiosk(tmp_path: Path) -> Iterator[Kiosk]:
    try:
        server_files(Settings().servers_dir)
    except PermanentError as error:
        pytest.skip(error.message)
    version = tmp_path / "models" / "halve" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    (version / "model.onnx").write_bytes(WEIGHTS.read_bytes())
    kiosk = Kiosk(tmp_path)
    yield kiosk
    if kiosk.process and kiosk.process.poll() is None:
        kiosk.process.send_signal(signal.SIGTERM)
        kiosk.process.wait(60)


def test_starts_serves_refuses_a_second_one_and_leaves_nothing(kiosk: Kiosk):
    found = kiosk.start()
    with redis.Redis.from_url(found.redis_url) as client:
        assert client.ping()
        assert client.info("persistence")["aof_enabled"] == 1
        assert client.info("memory")["maxmemory_policy"] == "noeviction"
        client.set("{kiosk}:kept", "yes")
    with pytest.raises(redis.RedisError):
        redis.Redis.from_url(found.redis_url.replace(":", ":x", 2).replace(":x//", "://")).ping()
    assert triton_is_live(found.triton_address)
    assert any("triton_python_backend_stub" in text for text in kiosk.processes().values())
    assert found.web_url in kiosk.output.read_text()
    private = ("run/kiosk.json", "redis/redis.conf", "redis/password", "logs/triton.log")
    assert all((kiosk.home / name).stat().st_mode & 0o077 == 0 for name in (*private, "redis"))

    second = kiosk.second()
    assert second.returncode == 1
    assert "already running" in second.stdout
    assert str(found.pid) in second.stdout
    assert found.web_url in second.stdout

    pids = kiosk.processes()
    assert len(pids) >= 6  # supervisor, redis, triton, its stub, two idle children
    left = Path("/dev/shm") / f"{shared_memory_prefix(kiosk.home)}left"
    left.touch()  # as by a Triton that had to be killed
    assert kiosk.stop(signal.SIGINT) == 0
    assert kiosk.processes() == {}
    assert not left.exists()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert running(kiosk.home) is None
    assert not (kiosk.home / "run" / "kiosk.json").exists()

    again = kiosk.start()  # Redis has kept what it was given
    with redis.Redis.from_url(again.redis_url) as client:
        assert client.get("{kiosk}:kept") == b"yes"
    assert kiosk.stop(signal.SIGTERM) == 0


def test_killed_children_come_back_at_the_same_address(kiosk: Kiosk):
    found = kiosk.start()
    for name in ("redis-server", "tritonserver"):
        killed = kiosk.pid_of(name)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda name=name, killed=killed: revived(kiosk, name, killed))
    assert "redis stopped (killed by SIGKILL); starting it again" in kiosk.output.read_text()
    wait_until(lambda: triton_is_live(found.triton_address))
    with redis.Redis.from_url(found.redis_url) as client:
        assert client.ping()
    stubs = [text for text in kiosk.processes().values() if "backend_stub" in text]
    assert len(stubs) == 1  # that of the killed Triton is gone
    assert kiosk.stop() == 0
    assert kiosk.processes() == {}


def revived(kiosk: Kiosk, name: str, killed: int) -> bool:
    return any(
        pid != killed and name in command.split()[0]
        for pid, command in kiosk.processes().items()
        if command
    )


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_starts(kiosk: Kiosk):
    found = kiosk.start()
    kiosk.stop(signal.SIGKILL)
    assert running(kiosk.home) is None
    again = kiosk.start()  # waits for what is left of the first
    assert again.pid != found.pid
    assert len([text for text in kiosk.processes().values() if "redis-server" in text]) == 1
    kiosk.stop(signal.SIGKILL)
    wait_until(lambda: not kiosk.processes())


def test_port_in_use_is_told_before_anything_starts(kiosk: Kiosk):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        answer = kiosk.second(KIOSK_LISTEN__WEB_PORT=port)
    assert answer.returncode == 1
    assert answer.stdout == (
        f"Port {port} is in use; choose another with --web-port or KIOSK_LISTEN__WEB_PORT.\n"
    )
    assert list((kiosk.home / "logs").iterdir()) == []


def test_without_the_servers_it_says_how_to_get_them(kiosk: Kiosk, tmp_path: Path):
    answer = kiosk.second(KIOSK_LOCAL__SERVERS_DIR=str(tmp_path / "nowhere"))
    assert answer.returncode == 1
    assert "make setup" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_servers_json_names_files_that_exist():
    folder = Settings().servers_dir
    try:
        files = server_files(folder)
    except PermanentError as error:
        pytest.skip(error.message)
    assert (files.backend_directory / "onnxruntime" / "model.py").exists()
    assert (files.backend_directory / "python" / "triton_python_backend_stub").exists()
    assert json.loads((folder / "servers.json").read_text())["python_version"]

"""The processes of a load run: Redis, one server, some consumers, all on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from kiosk.machine import find_redis_server, free_port, server_files
from kiosk.settings import CHECKOUT, Settings

STARTED_WITHIN_S = 60.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass
class Stack:
    """A kiosk whose models answer at once. `start` and `stop` are for its parts, by name."""

    folder: Path
    redis_port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KIOSK_HOME": str(self.folder),
            "KIOSK_QUEUE__REDIS_URL": self.redis_url,
            "KIOSK_LISTEN__GRPC_PORT": str(self.grpc_port),
            "KIOSK_LISTEN__WEB_PORT": str(self.web_port),
            "KIOSK_LIMITS__OPEN_JOBS": "1000000",
            "KIOSK_LIMITS__OWNER_OPEN_JOBS": "1000000",
            "KIOSK_LOG_LEVEL": "WARNING",
            "OMP_NUM_THREADS": "1",
        }

    def start_redis(self) -> None:
        binary = find_redis_server(server_files(Settings().servers_dir).redis_server)
        options = ["--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "everysec", "--dir", str(self.folder)]
        self._start("redis", [str(binary), *options])
        with redis.Redis.from_url(self.redis_url) as client:
            self._wait(lambda: _answers(client))

    def start_role(self, name: str, *how: str) -> None:
        """`server`, or `consumer-1` and so on."""
        role = name.split("-", maxsplit=1)[0]
        self._start(name, [sys.executable, "-m", "tests.load.role", role, *how])

    def _start(self, name: str, argv: list[str]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            argv, env=self.environment(), cwd=CHECKOUT, stdout=log, stderr=log
        )

    def _wait(self, ready: object) -> None:
        until = time.monotonic() + STARTED_WITHIN_S
        while not ready():  # type: ignore[operator]
            if time.monotonic() > until:
                raise RuntimeError(f"not ready; the logs are in {self.folder}")
            time.sleep(0.05)

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu_s(self) -> dict[str, float]:
        """Processor seconds of each process so far, its children included."""
        return {name: _cpu_s(process.pid) for name, process in self.processes.items()}

    def memory_mib(self, name: str) -> float:
        """Resident memory of a process."""
        status = Path(f"/proc/{self.processes[name].pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(fields[i]) for i in (11, 12, 13, 14)) / TICKS_PER_S


@contextmanager
def running(folder: Path, consumers: int, *how: str) -> Iterator[Stack]:
    """A stack that has started, and is gone afterwards."""
    stack = Stack(folder)
    try:
        stack.start_redis()
        stack.start_role("server", *how)
        for number in range(1, consumers + 1):
            stack.start_role(f"consumer-{number}", *how)
        yield stack
    finally:
        for name in reversed(list(stack.processes)):
            stack.stop(name)

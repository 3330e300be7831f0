"""The kiosk that is hit: `kiosk up` as a child process, and its processes by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from kiosk.machine import RunningKiosk, free_port, running

CHECKOUT = Path(__file__).resolve().parents[2]
MODEL = "nuclei"
START_S = 120.0
STOP_S = 60.0
CONSUMERS = 3
WORDS = {
    "redis": "redis-server",
    "triton": "tritonserver",
    "server": "kiosk.cli server",
    "consumer": "tests.chaos.consumer",
    "backend": "triton_python_backend_stub",
}


class Victim:
    """One kiosk in a folder of its own.

    Args:
        folder: everything is in here.
        settings: KIOSK_ variables on top of those that a chaos run needs.
    """

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.home = folder / "home"
        self.scratch = folder / "scratch"
        self.output = folder / "kiosk.log"
        repository = folder / "models"
        repository.mkdir(parents=True, exist_ok=True)
        (repository / MODEL).symlink_to(CHECKOUT / "model_repository" / MODEL)
        self._environment = {
            **os.environ,
            "KIOSK_HOME": str(self.home),
            "KIOSK_SCRATCH_DIR": str(self.scratch),
            "KIOSK_MODEL_REPOSITORY": str(repository),
            "KIOSK_LISTEN__WEB_PORT": str(free_port()),
            "KIOSK_LISTEN__GRPC_PORT": str(free_port()),
            "KIOSK_LOCAL__CONSUMERS": str(CONSUMERS),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._consumers: list[int] = []

    def start(self) -> RunningKiosk:
        """Start it and wait until it is ready."""
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.up"],
                cwd=CHECKOUT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._process = process
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            kiosk = running(self.home)
            if kiosk and kiosk.pid == process.pid:
                return kiosk
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"The kiosk did not start:\n{self.output.read_text()[-2000:]}")

    def kill_and_start(self) -> RunningKiosk:
        """SIGKILL for the supervisor, then a new one on the same home folder."""
        assert self._process
        self._process.kill()
        self._process.wait()
        return self.start()

    def running(self) -> RunningKiosk:
        """Where it listens at present; the ports of Redis and Triton change with a restart."""
        kiosk = running(self.home)
        assert kiosk, "the kiosk is not up"
        return kiosk

    def stop(self) -> int:
        """Stop it as a user does; the exit code."""
        if self._process is None:
            return 0
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def pids(self) -> dict[str, int]:
        """Process ids of what runs at present: redis, triton, backend, server, consumer-1, ..."""
        if self._process is None:
            return {}
        commands = processes()
        found: dict[str, int] = {}
        children = [pid for pid, (parent, _) in commands.items() if parent == self._process.pid]
        consumers = []
        for pid in children:
            name = name_of(commands[pid][1])
            if name == "consumer":
                consumers.append(pid)
            elif name:
                found[name] = pid
        for pid, (parent, command) in commands.items():
            if parent == found.get("triton") and name_of(command) == "backend":
                found["backend"] = pid
        # What reads images for them: one that reads, if there is one, or what starts those.
        readers = descendants(commands, {*consumers, found.get("server", -1)})
        if readers:
            found["reader"] = max(readers)
        found |= {f"consumer-{number}": pid for number, pid in enumerate(sorted(consumers), 1)}
        return found

    def left(self) -> dict[int, str]:
        """Living processes of this kiosk: they have its home folder in their environment."""
        mark = f"KIOSK_HOME={self.home}".encode()
        found = {}
        for pid, (_, command) in processes().items():
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:  # it has just ended, or is somebody else's
                continue
            if mark in environment:
                found[pid] = command
        return found

    def shared_memory(self) -> list[str]:
        """Names in /dev/shm that Triton of this home has made."""
        from kiosk.local import shared_memory_prefix

        return [path.name for path in Path("/dev/shm").glob(f"{shared_memory_prefix(self.home)}*")]


def name_of(command: str) -> str:
    return next((name for name, word in WORDS.items() if word in command), "")


def processes() -> dict[int, tuple[int, str]]:
    """Process id -> (id of its parent, command line) of all that run, zombies left out."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if state != "Z":
            found[int(folder.name)] = (int(parent), command)
    return found


def descendants(commands: Mapping[int, tuple[int, str]], ancestors: set[int]) -> set[int]:
    """Ids of the children of processes, and of theirs."""
    found: set[int] = set()
    while True:
        more = {p for p, (parent, _) in commands.items() if parent in ancestors | found} - found
        if not more:
            return found
        found |= more

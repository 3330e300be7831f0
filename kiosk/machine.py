"""What is on this machine: the server binaries, the ports, and whether a kiosk runs already."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kiosk.errors import PermanentError

OLDEST_REDIS = (6, 2)
"""The queue needs XAUTOCLAIM, which came with 6.2."""


@dataclass(frozen=True, kw_only=True)
class ServerFiles:
    """What `make setup` wrote down about the servers (`servers.json`)."""

    triton: Path
    backend_directory: Path
    library_path: tuple[str, ...]
    redis_server: Path
    python: Path
    libpython: Path


@dataclass(frozen=True, kw_only=True)
class RunningKiosk:
    """Where the kiosk of a home folder listens; `run/kiosk.json` while it is up.

    Attributes:
        metrics: address of the metrics of each of its processes, by their names.
    """

    pid: int
    web_url: str
    grpc_address: str
    redis_url: str
    triton_address: str
    triton_secret: str
    metrics: Mapping[str, str] = field(default_factory=dict)


def server_files(folder: Path) -> ServerFiles:
    """Read servers.json. Raises PermanentError when it, or a file it names, is not there."""
    try:
        facts = json.loads((folder / "servers.json").read_text())
        files = ServerFiles(
            triton=Path(facts["triton"]),
            backend_directory=Path(facts["backend_directory"]),
            library_path=tuple(facts["library_path"]),
            redis_server=Path(facts["redis_server"]),
            python=Path(facts["python"]),
            libpython=Path(facts["libpython"]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise PermanentError(
            f"Triton and Redis are not installed in {folder}. Run `make setup` first,"
            " or say where they are with KIOSK_LOCAL__SERVERS_DIR.",
            reason="NO_SERVERS",
        ) from error
    needed = (files.triton, files.backend_directory, files.python, files.libpython)
    missing = [path for path in needed if not path.exists()]
    if missing:
        raise PermanentError(
            f"{missing[0]} is missing. Run `make setup` again.", reason="NO_SERVERS"
        )
    return files


def redis_version(binary: Path) -> tuple[int, ...]:
    """Version of a redis-server, or () when it does not run."""
    try:
        answer = subprocess.run(
            [binary, "--version"], check=False, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.search(r"v=(\d+)\.(\d+)", answer.stdout)
    return tuple(int(part) for part in found.groups()) if found else ()


def find_redis_server(bundled: Path) -> Path:
    """The machine's own redis-server when it is new enough, else the one of `make setup`.

    Raises PermanentError when neither runs.
    """
    on_path = shutil.which("redis-server")
    for binary in ([Path(on_path)] if on_path else []) + [bundled]:
        if redis_version(binary) >= OLDEST_REDIS:
            return binary
    raise PermanentError(
        "There is no redis-server of version 6.2 or newer. Run `make setup` first.",
        reason="NO_SERVERS",
    )


def port_is_free(host: str, port: int) -> bool:
    """Whether nothing listens there. Raises PermanentError when `host` is not of this machine."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
            return True
    except PermissionError as error:
        raise PermanentError(
            f"Port {port} may not be used by this user; choose one above 1023."
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise PermanentError(f"Cannot listen on {host}: {error.strerror}.") from error


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody uses at present."""
    return free_ports(1, host)[0]


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """As many different ports that nobody uses at present."""
    with ExitStack() as probes:
        found = [probes.enter_context(socket.create_server((host, 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in found]


def process_is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def running(home: Path) -> RunningKiosk | None:
    """The kiosk that is up on a home folder, or None.

    What a killed kiosk left behind does not count: the lock of the folder tells.
    """
    try:
        kiosk = RunningKiosk(**json.loads((home / "run" / "kiosk.json").read_text()))
        with (home / "run" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except BlockingIOError:
        return kiosk if process_is_alive(kiosk.pid) else None
    except (OSError, ValueError, TypeError):
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def write_running(home: Path, kiosk: RunningKiosk) -> None:
    write_private(home / "run" / "kiosk.json", json.dumps(asdict(kiosk), indent=2) + "\n")

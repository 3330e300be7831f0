"""`kiosk doctor`: is everything here that `kiosk up` needs? One plain sentence per question."""

from __future__ import annotations

import platform
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from kiosk.checks import Check
from kiosk.errors import KioskError
from kiosk.machine import find_redis_server, port_is_free, redis_version, running, server_files
from kiosk.settings import GIB, MIB, Settings

OLDEST_PYTHON = (3, 11)
DISK_BYTES = 5 * GIB
SHARED_MEMORY_BYTES = 256 * MIB
"""Tiles travel between Triton and its Python backend in /dev/shm; Docker gives only 64 MiB."""


def check(settings: Settings) -> list[Check]:
    """Ask every question; an answer that is an error becomes a check that failed."""
    questions: list[tuple[str, Callable[[Settings], tuple[bool, str]]]] = [
        ("Python", lambda _: python_version(sys.version_info[:2])),
        ("Triton", triton),
        ("Redis", redis_server),
        ("libpython", libpython),
        ("models", lambda s: models(s.model_repository)),
        ("ports", ports),
        ("disk", lambda s: disk(s.home)),
        ("shared memory", lambda _: shared_memory(Path("/dev/shm"))),
        ("kiosk", kiosk),
    ]
    return [ask(name, question, settings) for name, question in questions]


def ask(name: str, question: Callable[[Settings], tuple[bool, str]], settings: Settings) -> Check:
    try:
        return Check(name, *question(settings))
    except KioskError as error:
        return Check(name, False, error.message)
    except OSError as error:
        return Check(name, False, f"This could not be found out: {error}.")


def python_version(version: tuple[int, ...]) -> tuple[bool, str]:
    text = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return False, f"Python {text} is too old; the kiosk needs 3.11 or newer."
    return True, f"Python {text} on {platform.system()} {platform.machine()}."


def triton(settings: Settings) -> tuple[bool, str]:
    return True, f"Triton is installed: {server_files(settings.servers_dir).triton}."


def redis_server(settings: Settings) -> tuple[bool, str]:
    binary = find_redis_server(server_files(settings.servers_dir).redis_server)
    version = ".".join(map(str, redis_version(binary)))
    return True, f"Redis {version}: {binary}."


def libpython(settings: Settings) -> tuple[bool, str]:
    path = server_files(settings.servers_dir).libpython
    return True, f"Triton's Python backend has its library: {path}."


def models(repository: Path) -> tuple[bool, str]:
    """Whether each model folder has at least one version with weights."""
    if not repository.is_dir():
        return False, f"There is no model repository {repository}; set KIOSK_MODEL_REPOSITORY."
    folders = [folder.parent for folder in sorted(repository.glob("*/config.pbtxt"))]
    empty = [folder.name for folder in folders if not has_weights(folder)]
    if empty:
        return False, f"No weights in the model repository for: {', '.join(empty)}."
    if not folders:
        return False, f"The model repository {repository} has no models."
    return True, f"Models with weights: {', '.join(folder.name for folder in folders)}."


def has_weights(model: Path) -> bool:
    """A numbered folder with a file that is more than a Git LFS pointer."""
    files = [file for file in model.glob("[0-9]*/model.*") if file.is_file()]
    return any(not file.read_bytes()[:40].startswith(b"version https://git-lfs") for file in files)


def ports(settings: Settings) -> tuple[bool, str]:
    if running(settings.home.absolute()):
        return True, "The ports belong to the kiosk that is running."
    listen = settings.listen
    wanted = {"web": listen.web_port, "grpc": listen.grpc_port}
    taken = [n for n, port in wanted.items() if port and not port_is_free(listen.host, port)]
    if taken:
        name = taken[0]
        return False, (
            f"Port {wanted[name]} is in use; choose another with --{name}-port"
            f" or KIOSK_LISTEN__{name.upper()}_PORT."
        )
    return True, f"Ports {listen.web_port} (web) and {listen.grpc_port} (gRPC) are free."


def disk(home: Path, needed_bytes: int = DISK_BYTES) -> tuple[bool, str]:
    existing = next(
        folder for folder in (home.absolute(), *home.absolute().parents) if folder.exists()
    )
    free_bytes = shutil.disk_usage(existing).free
    text = f"{free_bytes / GIB:.1f} GiB are free for {home}"
    if free_bytes < needed_bytes:
        return False, f"Only {text}; make room or choose another folder with KIOSK_HOME."
    return True, f"{text}."


def shared_memory(folder: Path, needed_bytes: int = SHARED_MEMORY_BYTES) -> tuple[bool, str]:
    free_bytes = shutil.disk_usage(folder).free
    text = f"{free_bytes / MIB:.0f} MiB are free in {folder}"
    if free_bytes < needed_bytes:
        return False, (
            f"Only {text}, and Triton needs {needed_bytes / MIB:.0f} MiB for its tiles;"
            " in a container, start it with a larger --shm-size."
        )
    return True, f"{text}."


def kiosk(settings: Settings) -> tuple[bool, str]:
    """A kiosk that is not running is no fault; one that runs and does not answer is."""
    found = running(settings.home.absolute())
    if found is None:
        return True, "No kiosk is running on this home folder; `kiosk up` starts one."
    host, _, port = found.grpc_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError:
        return False, (
            f"A kiosk is running (process {found.pid}) but does not answer at"
            f" {found.grpc_address}; see {settings.home / 'logs' / 'server.log'}."
        )
    return True, f"A kiosk is running: web {found.web_url}, gRPC {found.grpc_address}."

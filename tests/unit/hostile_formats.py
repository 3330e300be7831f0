"""Formats that do harm, for the tests of the processes that read images; loaded in those only.

A file of one begins with HOSTILE and goes on with the name of a function here and of the step in
which it is called: `HOSTILE segfault open`, `HOSTILE segfault plane`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import socket
import stat
import tempfile
import time
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters import image_files
from kiosk.adapters.decoder import wire

MAGIC = b"HOSTILE"
FAR_BYTES = 1_000_000  # farther than what is read ahead


def segfault() -> None:
    ctypes.string_at(0)


def abort() -> None:
    os.abort()


def take_memory() -> None:
    np.ones(50 * 2**30, np.uint8)


def take_memory_in_small_pieces() -> None:
    kept = []
    while True:
        kept.append(np.empty(10_000_000, np.uint8))  # untouched, so that it is quick


def loop() -> None:
    while True:
        pass


def loop_in_c() -> None:
    ctypes.PyDLL(None).pause()  # with the lock of the interpreter


def fill_the_disk() -> None:
    with tempfile.TemporaryFile() as file:
        while True:
            file.write(bytes(1_000_000))


def chatter() -> None:
    for stream in (1, 2):
        for _ in range(20):
            os.write(stream, b"x" * 1_000_000)
    print("x" * 1_000_000)


def leave() -> None:
    os._exit(0)


def hang_up() -> None:
    for sock in _sockets():
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()
    loop()


def babble() -> None:
    for sock in _sockets():
        sock.sendall(os.urandom(100_000))


def claim_much() -> None:
    for sock in _sockets():
        sock.sendall(b"\x7f" + bytes(7))


def lie() -> None:
    for sock in _sockets():
        wire.send(sock, {"done": {"sizes": {"y": -1}, "dtype": "O"}})


def lie_about_errors() -> None:
    for sock in _sockets():
        error = {"kind": "LeaseLost", "message": "", "reason": "", "field": ""}
        wire.send(sock, {"error": error})


def answer_with_a_list() -> None:
    for sock in _sockets():
        wire.send(sock, ["read"])


def read_beside_the_file() -> None:
    for sock in _sockets():
        wire.send(sock, {"read": [-5, 10**12]})


def raise_something() -> None:
    raise ZeroDivisionError("of a library")


def open_very_many_files() -> None:
    kept = []
    while True:
        kept.append(open("/dev/null", "rb"))  # noqa: SIM115


def nothing() -> None:
    pass


def look_around() -> list[str]:
    """What it could do to others, by name."""
    tries: dict[str, Callable[[], Any]] = {
        "read a file": lambda: open("/etc/hostname", "rb").read(),  # noqa: SIM115
        "list a folder": lambda: os.listdir("/etc"),
        "list its folder": lambda: os.listdir(tempfile.gettempdir()),
        "write a file": lambda: open("/var/tmp/kiosk_evil", "wb").close(),
        "make a folder": lambda: os.mkdir(tempfile.gettempdir() + "/kiosk_evil"),
        "signal its owner": lambda: os.kill(os.getppid(), 0),
        "connect": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        "listen": lambda: socket.create_server(("127.0.0.1", 0)),
        "use a temporary file": lambda: tempfile.TemporaryFile().write(b"x"),  # noqa: SIM115
        "load a module": lambda: importlib.import_module("colorsys"),
    }
    done = []
    for name, attempt in tries.items():
        try:
            attempt()
            done.append(name)
        except ConnectionRefusedError:
            done.append(name)
        except OSError:
            continue
    return done


def _sockets() -> list[socket.socket]:
    """The one that answers go through."""
    found = []
    for fd in range(3, 50):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                found.append(socket.socket(fileno=os.dup(fd)))
    return found


class HostileImage:
    """Three planes of 4 x 5 px; the second does harm where opening does not, the third waits."""

    format, axes, is_rgb = "hostile", "TYX", False
    sizes = {"t": 3, "c": 1, "z": 1, "y": 4, "x": 5}  # noqa: RUF012
    dtype = np.dtype(np.uint16)
    channel_names = ("channel 0",)
    pixel_size_um = z_step_um = frame_interval_s = None
    levels = ((4, 5),)

    def __init__(self, file: BinaryIO) -> None:
        file.seek(0)
        _, harm, step = file.read(200).decode().split()
        self._harm, self._step, self._file = globals()[harm], step, file
        # What a reader can see of its process.
        self.notes = [*sorted(os.environ), tempfile.gettempdir()]
        if step == "open":
            self.notes += self._harm() or []

    def plane(self, t: int, z: int, channels: Any, window: Any = None, level: int = 0) -> Any:
        if t == 1 and self._step == "plane":
            self._harm()
        if t == 2:
            self._file.seek(FAR_BYTES)
            self._file.read(1)  # so that its owner knows how far we are
            time.sleep(3600)
        rows, columns = window
        return np.arange(20, dtype=np.uint16).reshape(1, 4, 5)[:, rows, columns]

    def close(self) -> None:
        self._file.close()


_opener = image_files._opener


def _with_hostile(head: bytes) -> Any:
    if head.startswith(MAGIC):
        return lambda file, *_: HostileImage(file)
    return _opener(head)


image_files._opener = _with_hostile

"""Starts readers, by way of a process that forks them."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kiosk.adapters.decoder.remote_reader import Reader
from kiosk.errors import TransientError
from kiosk.settings import DecodingSettings, LimitSettings, reader_environment

log = logging.getLogger(__name__)

# Loading the libraries takes a second, on a busy machine many.
START_TIMEOUT_S = 60.0
# A fork takes a millisecond.
ANSWER_TIMEOUT_S = 20.0
_LONGEST_ANSWER_BYTES = 1000


class Readers:
    """Starts readers, by way of a zygote that is started when it is needed or has died.

    For use in threads.

    Args:
        modules: that the zygote loads besides those for the common formats.
    """

    def __init__(
        self, limits: LimitSettings, decoding: DecodingSettings, modules: Sequence[str] = ()
    ) -> None:
        self._settings = {
            "limits": limits.model_dump(),
            "memory_bytes": decoding.memory_bytes,
            "file_bytes": decoding.file_bytes,
            "modules": list(modules),
        }
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None

    def prepare(self) -> None:
        """Start the zygote. Raises TransientError."""
        self.start().end()

    def start(self) -> Reader:
        """A reader for one image. Raises TransientError."""
        with self._lock:
            for attempt in (1, 2):
                try:
                    if self._zygote is None:
                        self._zygote = _Zygote(self._settings)
                    return self._next(self._zygote)
                except (OSError, ValueError, subprocess.SubprocessError) as error:
                    log.warning("readers of images cannot be started: %s (%d)", error, attempt)
                    self._drop()
        raise TransientError("The reader of images cannot be started at present.")

    def _next(self, zygote: _Zygote) -> Reader:
        """The reader that waits; another one gets ready for the next image meanwhile."""
        while True:
            reader = Reader(*zygote.forked(), partial(self._status, zygote))
            zygote.fork()
            if reader.is_alive:  # it may have waited for hours
                return reader

    def _status(self, zygote: _Zygote, pid: int) -> int | None:
        with self._lock:
            try:
                return zygote.status(pid)
            except (OSError, ValueError):
                return None

    def _drop(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None

    def close(self) -> None:
        """End all readers."""
        with self._lock:
            self._drop()


class _Zygote:
    """The process that forks readers; see `zygote`. All of it is used under one lock."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process: subprocess.Popen[bytes] | None = None
        # Readers that were asked for, and the ids of those among them that are known.
        self._forking: list[socket.socket] = []
        self._pids: list[int] = []
        try:
            with theirs:
                told = json.dumps({**settings, "scratch": tempfile.gettempdir()})
                self._process = subprocess.Popen(
                    # -P: a module that lies in the working folder is nobody's.
                    [sys.executable, "-P", "-m", "kiosk.adapters.decoder.zygote", told],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=reader_environment(),
                    start_new_session=True,  # Ctrl-C is for those who own it
                )
            self._control.settimeout(START_TIMEOUT_S)
            self._answer()
            self._control.settimeout(ANSWER_TIMEOUT_S)
            self.fork()
        except BaseException:
            self.close()
            raise

    def fork(self) -> None:
        """Ask for a reader. Raises OSError."""
        ours, theirs = socket.socketpair()
        self._forking.append(ours)
        with theirs:
            socket.send_fds(self._control, [b"{}"], [theirs.fileno()])

    def forked(self) -> tuple[socket.socket, int]:
        """The socket and id of the reader that was asked for. Raises OSError and ValueError."""
        # Its readers die with it, but not at once: one may still look alive.
        if self._process is None or self._process.poll() is not None:
            raise OSError("the process that forks them has ended")
        if not self._forking:
            self.fork()
        if len(self._pids) < len(self._forking):
            self._pids.append(self._answer())
        return self._forking.pop(0), self._pids.pop(0)

    def status(self, pid: int) -> int:
        """How a reader ended. Raises OSError and ValueError."""
        while len(self._pids) < len(self._forking):  # answers come in their order
            self._pids.append(self._answer())
        self._control.send(json.dumps({"pid": pid}).encode())
        return self._answer()

    def _answer(self) -> int:
        data = self._control.recv(_LONGEST_ANSWER_BYTES)
        if not data:
            raise OSError("the process that forks them has ended")
        return int(json.loads(data))

    def close(self) -> None:
        """It ends with its socket, and its readers with it."""
        for sock in (self._control, *self._forking):
            sock.close()
        if self._process is not None:
            try:
                self._process.wait(ANSWER_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

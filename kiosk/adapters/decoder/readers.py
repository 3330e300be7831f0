"""Readers as their owner sees them: started in a millisecond, asked, ended at any time."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters.decoder import wire
from kiosk.errors import KioskError, ReaderFailed, TransientError
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
            reader = Reader(self, zygote, *zygote.forked())
            zygote.fork()
            if reader.is_alive:  # it may have waited for hours
                return reader

    def status(self, zygote: _Zygote, pid: int) -> int | None:
        """How a reader ended: exit code or minus a signal; None where nobody knows."""
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


class Reader:
    """A process that reads one image.

    It is killed by way of a descriptor of the process, which cannot come to mean another one.
    """

    def __init__(self, readers: Readers, zygote: _Zygote, sock: socket.socket, pid: int) -> None:
        self._readers, self._zygote, self._socket = readers, zygote, sock
        self.pid = pid
        self._process_fd = os.pidfd_open(pid)
        self._asking, self._ending = threading.Lock(), threading.Lock()
        self._ended = threading.Event()
        # What was met when the file was read for it; it takes that for the end of the file.
        self._store_error: KioskError | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked; it may have been killed while nobody asked anything."""
        with self._ending:
            if self._ended.is_set():
                return False
            ended = select.poll()
            ended.register(self._process_fd, select.POLLIN)
            return not ended.poll(0)

    def ask(
        self,
        message: Mapping[str, Any],
        *,
        file_name: str,
        file: BinaryIO | None = None,
        fd: int | None = None,
        pixels: tuple[tuple[int, ...], np.dtype] | None = None,
        limit_s: float,
        setting: str,
    ) -> Any:
        """What it answers.

        Args:
            file_name: for sentences.
            file: is read for it where it asks for that; the time that this takes does not count.
            fd: an open file for it.
            pixels: shape and dtype of the array that is the answer.
            limit_s: it is killed after this long.
            setting: where the limit comes from.

        Raises:
            KioskError: its answer.
            ReaderFailed: it has died, or had to be killed.
        """
        try:
            with self._asking:
                self._socket.settimeout(limit_s)
                wire.send(self._socket, message, [] if fd is None else [fd])
                answer = self._answer(file, limit_s, pixels)
            if "error" in answer:
                raise self._store_error or wire.error_from_dict(answer["error"])
            if "fault" in answer:
                raise RuntimeError(f"a reader of images met:\n{str(answer['fault'])[:4000]}")
            return answer["done"]
        except TimeoutError as error:
            self.end()
            raise _too_slow(file_name, limit_s, setting) from error
        except (OSError, wire.Gone) as error:
            raise self._death(file_name) from error
        except (wire.Broken, KeyError, TypeError, ValueError) as error:
            self.end()
            raise no_sense(file_name) from error
        finally:
            if self._ended.is_set():
                self._tidy()

    def _answer(
        self,
        file: BinaryIO | None,
        limit_s: float,
        pixels: tuple[tuple[int, ...], np.dtype] | None,
    ) -> Any:
        deadline_s = time.monotonic() + limit_s
        self._store_error = None
        while True:
            answer = wire.receive(self._socket, deadline_s)
            if "read" not in answer:
                if pixels is not None and "done" in answer:
                    return {"done": wire.receive_pixels(self._socket, *pixels, deadline_s)}
                return answer
            before_s = time.monotonic()
            self._socket.settimeout(limit_s)
            wire.send_bytes(self._socket, self._piece(file, answer["read"]))
            deadline_s += time.monotonic() - before_s

    def _piece(self, file: BinaryIO | None, asked: Any) -> bytes | None:
        """The bytes that a reader asks for; None where they cannot be read. Raises Broken."""
        offset, length = (int(number) for number in asked)
        if file is None or offset < 0 or not 0 < length <= wire.LONGEST_READ_BYTES:
            raise wire.Broken("a read that makes no sense")
        try:
            file.seek(offset)
            return file.read(length)
        except Exception as error:  # files of all kinds of stores
            self._store_error = store_error(error)
            return None

    def _death(self, file_name: str) -> ReaderFailed:
        """The error for a reader that is gone."""
        with self._ending:
            if self._ended.is_set():
                return ReaderFailed(f"The reading of '{file_name}' was given up.")
            status = self._readers.status(self._zygote, self.pid)
            self._ended.set()
        return _ended_abruptly(file_name, status)

    def end(self) -> None:
        """Kill it, whatever it is doing; for any thread, any number of times. Does not wait."""
        with self._ending:
            if not self._ended.is_set():
                self._ended.set()
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._process_fd, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)  # wakes who waits for an answer
        self._tidy()

    def _tidy(self) -> None:
        """Close what is open; a thread that waits for an answer does it when it has woken."""
        if self._asking.acquire(blocking=False):
            with self._ending:
                self._socket.close()
                if self._process_fd >= 0:
                    os.close(self._process_fd)
                    self._process_fd = -1
            self._asking.release()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the end of the interpreter
            self.end()


def store_error(error: Exception) -> KioskError:
    """The error for a stored image that cannot be read, whatever is in it."""
    if isinstance(error, KioskError):
        return error
    log.warning("a stored image could not be read: %s", error)
    return TransientError("The stored image could not be read.")


_INSTEAD = "Save the image anew, for example as OME-TIFF, and try that."


def _too_slow(file_name: str, limit_s: float, setting: str) -> ReaderFailed:
    return ReaderFailed(
        f"Reading '{file_name}' took longer than {limit_s:g} seconds ({setting}) and was stopped."
        f" {_INSTEAD}",
        reason="TOO_SLOW",
    )


def no_sense(file_name: str) -> ReaderFailed:
    """The error for a reader whose answer cannot be."""
    return ReaderFailed(
        f"The reader of '{file_name}' gave an answer that makes no sense, as damaged files can make"
        f" it. {_INSTEAD}"
    )


def _ended_abruptly(file_name: str, status: int | None) -> ReaderFailed:
    how = "it is not known how"
    if status is not None:
        how = f"exit code {status}"
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            how = f"signal {-status}, {signal.Signals(-status).name}"
    if status == -signal.SIGKILL:
        how += "; there may not have been enough memory"
    return ReaderFailed(
        f"The reader of '{file_name}' ended abruptly ({how}), as damaged files can make it."
        f" {_INSTEAD}"
    )

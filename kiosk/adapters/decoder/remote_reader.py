"""A reader as its owner sees it: asked, and ended at any time."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from kiosk.adapters.decoder import wire
from kiosk.errors import KioskError, ReaderFailed, TransientError

log = logging.getLogger(__name__)


class Reader:
    """A process that reads one image.

    Args:
        status: says how a process ended, exit code or minus a signal; None where nobody knows.

    It is killed by way of a descriptor of the process, which cannot come to mean another one.
    """

    def __init__(self, sock: socket.socket, pid: int, status: Callable[[int], int | None]) -> None:
        self._socket, self.pid, self._status = sock, pid, status
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
            status = self._status(self.pid)
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

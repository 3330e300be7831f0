"""A process that has loaded all that reads images, and forks one reader for each of them.

`python -m kiosk.adapters.decoder.zygote`, started by `readers.Readers`, who talks to it over the
socket that is its standard input. It reads no file itself and has one thread, so a fork of it is
sound and takes a millisecond. It ends, and all readers with it, when that socket closes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
from typing import Any

from kiosk.adapters.decoder import confinement
from kiosk.adapters.decoder.reader import SMALL_TIFF, ImageReader
from kiosk.adapters.image_files import ImageFileReader
from kiosk.settings import LimitSettings

LONGEST_REQUEST_BYTES = 1000
# Ends that are remembered for those who ask; who asks does so at once.
MOST_ENDS = 1000


class Zygote:
    """Forks readers, and says how they ended."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self._control = control
        self._memory_bytes = int(settings["memory_bytes"])
        self._file_bytes = int(settings["file_bytes"])
        self._files = ImageFileReader(LimitSettings.model_validate(settings["limits"]))
        self._ends: dict[int, int] = {}
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)

    def get_ready(self) -> None:
        """Load what is loaded on first use, so that no reader has to."""
        source = self._files.open(io.BytesIO(SMALL_TIFF), "")
        source.plane(0, 0, [0])
        source.close()

    def serve(self) -> None:
        """Returns when the other side has gone, and never in a reader."""
        signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake in ready:
                    self._wake.recv(1000)
                    self._reap()
                if self._control in ready and not self._answer():
                    return

    def _answer(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, LONGEST_REQUEST_BYTES, 1)
        except ConnectionResetError:  # with an answer on its way
            return False
        if not data:
            return False
        asked = json.loads(data)
        try:
            self._reply(self._fork(fds[0]) if fds else self._status(asked["pid"]))
        except BrokenPipeError:
            return False
        return True

    def _reply(self, number: int) -> None:
        self._control.send(json.dumps(number).encode())

    def _fork(self, fd: int) -> int:
        zygote = os.getpid()
        pid = os.fork()
        if pid:
            os.close(fd)
            self._ends.pop(pid, None)
            return pid
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            confinement.confine(
                parent=zygote,
                memory_bytes=self._memory_bytes,
                file_bytes=self._file_bytes,
                kept_fds=[fd],
            )
            with socket.socket(fileno=fd) as sock:
                reader = ImageReader(sock, self._files, self._memory_bytes)
                reader.get_ready()
                reader.serve()
        except BaseException:
            os._exit(1)
        os._exit(0)

    def _status(self, pid: int) -> int:
        """How a reader whose socket has closed ended: its exit code, or minus a signal."""
        if pid not in self._ends:
            os.kill(pid, signal.SIGKILL)  # it may have closed the socket and gone on
            self._ends[pid] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return self._ends.pop(pid)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # there are none
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._ends[found[0]] = os.waitstatus_to_exitcode(found[1])
        for pid in list(self._ends)[:-MOST_ENDS]:
            del self._ends[pid]


def main() -> None:
    """Load, say so, serve."""
    control = socket.socket(fileno=os.dup(0))
    control.setblocking(True)
    settings = json.loads(sys.argv[1])
    tempfile.tempdir = settings["scratch"]
    for module in settings["modules"]:
        with contextlib.suppress(Exception):  # an extra that is not installed
            importlib.import_module(module)
    zygote = Zygote(control, settings)
    zygote.get_ready()
    # What is there now is there for good; looking through it would copy its pages in every reader.
    gc.collect()
    gc.freeze()
    control.send(b"0")
    zygote.serve()
    os._exit(0)  # the end of readers is news for nobody any more


if __name__ == "__main__":
    main()

"""What a process that reads images may take from the machine. Linux only, like the servers."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kiosk.adapters.decoder import landlock

# `linux/prctl.h`
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# An image and its parts are a handful of files; an OME-Zarr in a folder has ten chunks open.
OPEN_FILES = 256
# The kernel ends the process with the highest figure first when memory runs out.
FIRST_TO_GO = 1000

# What modules that are loaded late come from.
_LIBRARIES = [
    *{sys.prefix, sys.base_prefix, str(Path(__file__).parents[2])},
    *("/usr", "/lib", "/lib64"),
]

# Loaded before anybody forks.
_LIBC = ctypes.CDLL(None, use_errno=True)


def confine(*, parent: int, memory_bytes: int, file_bytes: int, kept_fds: Collection[int]) -> None:
    """Bind this process, which has just been forked, for the rest of its life.

    Args:
        parent: the process with which this one ends, whatever it is doing.
        memory_bytes: of the heap and of private mappings (RLIMIT_DATA). Address space would count
            libraries, reserved stacks and pixels that are handed over, so it says little.
        file_bytes: length of any file that it writes.
        kept_fds: what stays open.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for kind, limit in (
        (resource.RLIMIT_CORE, 1),  # 0 would still hand it to a program that collects cores
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(kind, (limit, limit))
    _close_all_but(kept_fds)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
    Path("/proc/self/oom_score_adj").write_text(str(FIRST_TO_GO))


def shut_in(*, fd: int | None, url: str) -> None:
    """Leave this process the one file that it is to read, its libraries and room for scratch.

    Who reads from a bucket keeps the network, and may read what credentials can lie in.

    Args:
        fd: the file; None where its bytes are asked for.
        url: the address of a file or folder instead; or "".
    """
    parts = urlsplit(url)
    is_far = parts.scheme not in ("", "file")
    allowed: list[tuple[str | int, int]] = [(tempfile.gettempdir(), landlock.SCRATCH)]
    allowed += [(os.devnull, landlock.SCRATCH)]
    allowed += [(place, landlock.READ) for place in (["/"] if is_far else _LIBRARIES)]
    if fd is not None:
        allowed.append((fd, landlock.READ))
    if parts.scheme == "file":
        allowed.append((os.path.realpath(unquote(parts.path)), landlock.READ))
    landlock.restrict(allowed, network=is_far)


def _close_all_but(kept: Collection[int]) -> None:
    start = 3
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, OPEN_FILES)

"""Landlock: a process gives up most of the file system and the network, for good.

Linux 5.13 and newer; where the kernel does not have it, nothing happens. Needs no rights. See
`linux/landlock.h` for the numbers and structures.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # alike on all processors
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE = 1, 2, 4, 8, 32
_MAKE_FILE, _TRUNCATE = 256, 1 << 14
READ = _EXECUTE | _READ_FILE | _READ_DIR
# Files may be made and removed, and no folders, links or devices; nobody may look what is there.
SCRATCH = _WRITE_FILE | _READ_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
# Version of the kernel's interface -> highest access to files that it knows.
_HIGHEST_BIT = {1: 12, 2: 13, 3: 14, 4: 14, 5: 15}
_TCP = 3  # to bind and to connect
_SIGNALS_AND_SOCKETS = 3  # signals to others, and sockets without a path

_LIBC = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    return max(0, int(_LIBC.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)))


def restrict(allowed: Iterable[tuple[str | int, int]], *, network: bool) -> None:
    """Bind this process, which must have PR_SET_NO_NEW_PRIVS.

    Args:
        allowed: paths (or descriptors) with what may be done there and below; those that do not
            exist are left out.
        network: whether it may use TCP.

    Raises:
        OSError: the kernel has Landlock and refuses.
    """
    known = version()
    if not known:
        return
    handled = (1 << (_HIGHEST_BIT.get(known, 15) + 1)) - 1
    limits = [handled, 0 if network else _TCP, _SIGNALS_AND_SOCKETS]
    limits = limits[: 1 if known < 4 else 2 if known < 6 else 3]
    attributes = struct.pack(f"{len(limits)}Q", *limits)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for place, access in allowed:
            _allow(ruleset, place, access & handled)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: str | int, access: int) -> None:
    try:
        fd = place if isinstance(place, int) else os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", access, fd), 0)
    finally:
        if not isinstance(place, int):
            os.close(fd)


def _call(number: int, *arguments: int | bytes) -> int:
    result = int(_LIBC.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result

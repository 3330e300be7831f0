"""Nothing new is taken while a disk of the kiosk is nearly full.

What runs already needs some room to get to its end, and Redis needs some to write down that it did:
a disk that is full to the last byte stops everything at once.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from kiosk.errors import Overloaded
from kiosk.settings import GIB

log = logging.getLogger(__name__)


class DiskRoom:
    """The room on the disks that a server writes to.

    Args:
        folders: somewhere on each of these disks.
        spare_bytes: what has to stay free for the work that was accepted; 0 = nothing is checked.
    """

    def __init__(self, folders: Sequence[Path] = (), spare_bytes: int = 0) -> None:
        self._folders = list(folders)
        self._spare_bytes = spare_bytes

    def check(self, needed_bytes: int = 0) -> None:
        """Raises Overloaded when there is not so much room besides what has to stay free."""
        if not self._spare_bytes:
            return
        for folder in self._folders:
            free_bytes = shutil.disk_usage(folder).free
            if free_bytes >= self._spare_bytes + needed_bytes:
                continue
            log.warning("%s has %.1f GiB left; nothing new is taken", folder, free_bytes / GIB)
            raise Overloaded(
                "The disk of this kiosk is nearly full. Delete jobs and uploads that are no longer"
                " needed, or ask whoever runs it to make room, and try again.",
                reason="DISK_NEARLY_FULL",
            )


ANY_ROOM = DiskRoom()
"""Checks nothing."""

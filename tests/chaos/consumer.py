"""The consumer of a chaos run: the kiosk's own, with traps in some images."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from kiosk.settings import Settings, leave_children_alone


def main() -> None:
    leave_children_alone()
    from kiosk import bootstrap
    from tests.chaos.traps import TrapFiles

    reader: Any = bootstrap.ImageFileReader
    bootstrap.ImageFileReader = lambda limits: TrapFiles(reader(limits))  # type: ignore[assignment,misc,return-value]
    clean = asyncio.run(bootstrap.run_consumer(Settings()))
    sys.stdout.flush()
    os._exit(0 if clean else 75)  # a thread that hangs must not delay the end


if __name__ == "__main__":
    main()

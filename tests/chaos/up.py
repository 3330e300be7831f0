"""`kiosk up` whose consumers can be killed by an image: all else is the kiosk's own."""

from __future__ import annotations

import sys
from dataclasses import replace

from kiosk.errors import KioskError
from kiosk.local import Addresses, kiosk_roles, up
from kiosk.processes import ChildSpec
from kiosk.settings import Settings, leave_children_alone


def roles(settings: Settings, addresses: Addresses) -> list[ChildSpec]:
    return [
        replace(spec, argv=[sys.executable, "-m", "tests.chaos.consumer"])
        if spec.role == "consumer"
        else spec
        for spec in kiosk_roles(settings, addresses)
    ]


if __name__ == "__main__":
    leave_children_alone()
    try:
        sys.exit(up(Settings(), roles=roles))
    except KioskError as error:
        print(error.message, flush=True)
        sys.exit(1)

"""The consumer of a chaos run: the kiosk's own, with traps in some images."""

from __future__ import annotations

from typing import Any

from kiosk.settings import leave_children_alone


def main() -> None:
    leave_children_alone()
    from kiosk import bootstrap
    from kiosk.cli.roles import consumer
    from tests.chaos.traps import TrapFiles

    make_images: Any = bootstrap.make_images
    bootstrap.make_images = lambda settings: TrapFiles(make_images(settings))  # type: ignore[assignment,misc,return-value]
    consumer()


if __name__ == "__main__":
    main()

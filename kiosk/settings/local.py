"""`kiosk up`: everything on one machine."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kiosk.settings.group import GIB, Group


class LocalSettings(Group):
    """`kiosk up`: everything on one machine."""

    consumers: int = Field(1, gt=0, description="Consumer processes.")
    redis_bytes: int = Field(
        2 * GIB,
        gt=0,
        description="Memory that Redis may use. Near this no new jobs are taken, while those that"
        " are there go on: a kiosk that is full says so, instead of taking the machine's memory.",
    )
    servers_dir: Path | None = Field(
        None,
        description="Environment that holds the Triton and Redis binaries, made by `make setup`."
        " Default: `.servers` in the checkout.",
    )

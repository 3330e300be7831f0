"""Settings of commands that ask Redis and Triton themselves, and no server."""

from __future__ import annotations

from pydantic import SecretStr

from kiosk.machine import running
from kiosk.settings import Settings


def settings_here() -> Settings:
    """The settings, with the addresses of the kiosk that runs here where none are set."""
    settings = Settings()
    local = running(settings.home)
    if local is None:
        return settings
    queue, triton = settings.queue, settings.triton
    if "redis_url" not in queue.model_fields_set:
        queue = queue.model_copy(update={"redis_url": SecretStr(local.redis_url)})
    if "address" not in triton.model_fields_set:
        found = {"address": local.triton_address, "secret": SecretStr(local.triton_secret)}
        triton = triton.model_copy(update=found)
    return settings.model_copy(update={"queue": queue, "triton": triton})

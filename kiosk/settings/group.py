"""What the groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

MIB = 1024 * 1024
GIB = 1024 * MIB


class Group(BaseModel):
    """A group of settings; frozen, unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

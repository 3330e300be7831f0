"""One question that a command asks about this machine or a model, and its answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    ok: bool
    sentence: str

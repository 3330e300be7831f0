"""Callers as tests need them."""

from __future__ import annotations

from kiosk.callers import Caller, Scope


def make_caller(owner: str, *scopes: Scope) -> Caller:
    """Somebody who may read and write what is theirs, or what the scopes say."""
    return Caller(owner=owner, scopes=frozenset(scopes or (Scope.READ, Scope.WRITE)))

"""Who calls: keys of our own, and the tokens of an identity provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from kiosk.api_keys import ApiKey


class KeyRing(Protocol):
    """API keys, and the secret with which this kiosk signs."""

    async def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    async def get(self, key_id: str) -> ApiKey:
        """Raises NotFound."""

    async def list(self) -> list[ApiKey]:
        """All keys, those that hold no more included, the oldest first."""

    async def revoke(self, key_id: str, time_s: float) -> ApiKey:
        """From now on the key opens nothing; the first time counts. Raises NotFound."""

    async def used(self, key_id: str, time_s: float) -> None:
        """Note that a key was used."""

    async def signing_secret(self) -> str:
        """The secret that all servers of this kiosk share; made at the first call."""


# What becomes of a rollout; None = the model has none.


class IdentityProvider(Protocol):
    """Vouches for people by tokens that it has signed (OpenID Connect)."""

    async def claims(self, token: str) -> Mapping[str, Any]:
        """What a token says, once its signature, issuer, audience and times are right.

        Raises:
            Unauthenticated: the token does not hold.
            TransientError: the provider does not answer.
        """

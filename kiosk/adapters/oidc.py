"""Tokens of an identity provider, checked with the keys that it publishes (OpenID Connect)."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

import jwt

from kiosk.errors import TransientError, Unauthenticated

log = logging.getLogger(__name__)

# Only algorithms with a public key: whoever can check a token cannot make one.
ALGORITHMS = [
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
]
REQUIRED = ["exp", "iss", "aud"]
FETCH_TIMEOUT_S = 5.0
DOCUMENT_BYTES = 1024 * 1024
# Keys are looked at again after this long.
KEEP_S = 3600.0
# A token that names an unknown key has the keys fetched anew, but not more often than this:
# strangers must not have us hammer the provider.
PAUSE_S = 10.0
# Clocks of machines differ.
LEEWAY_S = 30.0


class OidcProvider:
    """`ports.IdentityProvider` for one issuer.

    Args:
        issuer: address of the provider, as it stands in its tokens (`iss`).
        audience: for whom tokens must be made (`aud`), usually the client id of this kiosk.
        jwks_url: where its keys are; "" = where its discovery document says.
    """

    def __init__(self, issuer: str, audience: str, jwks_url: str = "") -> None:
        self._issuer, self._audience, self._jwks_url = issuer, audience, jwks_url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_s = self._tried_s = -math.inf
        self._is_away = False
        self._fetching = asyncio.Lock()

    async def claims(self, token: str) -> Mapping[str, Any]:
        try:
            key_id = str(jwt.get_unverified_header(token).get("kid", ""))
            key = await self._key(key_id)
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": REQUIRED, "verify_nbf": True},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("Your sign-in has expired. Sign in again.") from error
        except (jwt.PyJWTError, ValueError) as error:
            # The provider's own words are for the log: they would help whoever is trying tokens.
            log.info("a token was refused: %s", error)
            raise Unauthenticated(
                "Your token is not one that this kiosk takes. Sign in again."
            ) from error

    async def _key(self, key_id: str) -> jwt.PyJWK:
        """A key of the provider. Raises InvalidKeyError, and TransientError while nobody knows."""
        if not self._is_known(key_id):
            async with self._fetching:  # the others wait for the one that fetches
                if not self._is_known(key_id) and time.monotonic() - self._tried_s > PAUSE_S:
                    await self._refresh()
        if key_id in self._keys:
            return self._keys[key_id]
        if self._is_away:
            raise TransientError("The identity provider does not answer. Try again soon.")
        raise jwt.InvalidKeyError(f"unknown key '{key_id[:50]}'")

    def _is_known(self, key_id: str) -> bool:
        return key_id in self._keys and time.monotonic() - self._fetched_s < KEEP_S

    async def _refresh(self) -> None:
        """Fetch the keys; while the provider is away those of before are good enough."""
        self._tried_s = time.monotonic()
        try:
            self._keys = await asyncio.to_thread(self._fetch)
            self._fetched_s = self._tried_s
            self._is_away = False
        except (OSError, ValueError, jwt.PyJWTError) as error:
            log.warning("the keys of %s cannot be fetched: %s", self._issuer, error)
            self._is_away = True

    def _fetch(self) -> dict[str, jwt.PyJWK]:
        url = self._jwks_url
        if not url:
            known = _document(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if known.get("issuer") != self._issuer:
                raise ValueError(f"the discovery document is of {known.get('issuer')}")
            url = str(known.get("jwks_uri"))
        return {
            key.key_id or "": key
            for key in jwt.PyJWKSet.from_dict(_document(url)).keys
            if key.algorithm_name in ALGORITHMS and key.public_key_use in (None, "sig")
        }


def _document(url: str) -> dict[str, Any]:
    """A JSON object from the web. Raises OSError or ValueError."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is no address on the web")
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
        found = json.loads(answer.read(DOCUMENT_BYTES))
    if not isinstance(found, dict):
        raise ValueError(f"{url} is no JSON object")
    return found

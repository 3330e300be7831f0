"""Tokens that this kiosk signs itself: of sessions on the page and of share links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt

from kiosk.errors import Unauthenticated

_ALGORITHM = "HS256"
_WORDS = {"session": "session", "share": "share link"}


class Signer:
    """Signs tokens of one kind, e.g. "session", and reads back those that it has signed.

    A token is `KIND.` and a JWT (RFC 7519) whose audience is the kind, so that none passes for one
    of another kind.
    """

    def __init__(self, kind: str, secret: str) -> None:
        self._kind = kind
        self._secret = secret

    def token(self, claims: Mapping[str, Any], expire_time_s: float) -> str:
        """A token with these claims that holds until then."""
        body = {**claims, "aud": self._kind, "exp": int(expire_time_s)}
        return f"{self._kind}.{jwt.encode(body, self._secret, algorithm=_ALGORITHM)}"

    def claims(self, token: str) -> Mapping[str, Any]:
        """What a token says. Raises Unauthenticated for one that does not hold."""
        try:
            return jwt.decode(
                token.removeprefix(f"{self._kind}."),
                self._secret,
                algorithms=[_ALGORITHM],
                audience=self._kind,
                options={"require": ["exp", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated(
                f"This {_WORDS[self._kind]} has ended.", reason="EXPIRED"
            ) from error
        except (jwt.InvalidTokenError, ValueError) as error:
            raise Unauthenticated(f"This is no {_WORDS[self._kind]} of this kiosk.") from error


def is_signed_as(kind: str, token: str) -> bool:
    """Whether a token says that it is of this kind."""
    return token.startswith(f"{kind}.")

"""API keys: how they look, what is kept of them, and whether one holds."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from kiosk.callers import Scope
from kiosk.errors import InvalidRequest
from kiosk.jobs import new_id, plain_name

PREFIX = "kiosk_"
KEY_ID_LETTERS = 12
# 256 random bits cannot be guessed, however fast the hash: bcrypt and the like are for passwords,
# which people choose, and would cost a tenth of a second per call.
SECRET_BYTES = 32
LONGEST_OWNER = 200
LONGEST_NOTE = 200


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """What is kept of a key. Times are Unix seconds, 0 = never.

    Attributes:
        id: names the key; no secret.
        secret_sha256: of the secret, which is kept nowhere.
        use_time_s: when it was used last, give or take some minutes.
        revoke_time_s: since when it holds no more.
    """

    id: str
    owner: str
    scopes: frozenset[Scope]
    secret_sha256: str
    note: str = ""
    create_time_s: float = 0.0
    expire_time_s: float = 0.0
    use_time_s: float = 0.0
    revoke_time_s: float = 0.0

    def is_secret(self, secret: str) -> bool:
        """Whether this is the key's secret; takes the same time for all wrong ones."""
        return hmac.compare_digest(_sha256(secret), self.secret_sha256)

    def holds_at(self, time_s: float) -> bool:
        return not self.revoke_time_s and (not self.expire_time_s or time_s < self.expire_time_s)


def new_api_key(
    owner: str,
    scopes: Iterable[Scope],
    *,
    time_s: float,
    expire_time_s: float = 0.0,
    note: str = "",
) -> tuple[ApiKey, str]:
    """A key and the token that is given to its holder, once.

    Raises:
        InvalidRequest: an owner who cannot be one, or no scope.
    """
    check_owner(owner)
    if not (chosen := frozenset(scopes)):
        raise InvalidRequest("A key without a scope opens nothing. Name one.", field="scopes")
    secret = secrets.token_hex(SECRET_BYTES)
    key = ApiKey(
        id=new_id()[-KEY_ID_LETTERS:],
        owner=owner,
        scopes=chosen,
        secret_sha256=_sha256(secret),
        note=plain_name(note)[:LONGEST_NOTE],
        create_time_s=time_s,
        expire_time_s=expire_time_s,
    )
    return key, f"{PREFIX}{key.id}_{secret}"


def split_token(token: str) -> tuple[str, str] | None:
    """(key id, secret) of a token; None for what is none of ours."""
    key_id, _, secret = token.removeprefix(PREFIX).partition("_")
    looks_right = key_id.isascii() and key_id.isalnum() and len(key_id) == KEY_ID_LETTERS
    return (key_id, secret) if token.startswith(PREFIX) and looks_right and secret else None


def check_owner(owner: str) -> None:
    """Raises InvalidRequest for a name that cannot be that of an owner."""
    if not owner.strip() or owner != plain_name(owner) or len(owner) > LONGEST_OWNER:
        raise InvalidRequest(
            f"An owner has a name of 1 to {LONGEST_OWNER} printable letters, for example"
            " alice@lab.example.",
            field="owner",
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()

"""Who calls: from what a request brings along to a `Caller`. Both shells ask here.

Bearer kiosk_ID_SECRET     an API key
Bearer session.JWT         a session of the page; stands for the key it began with
Bearer share.JWT           a share link
Bearer ...                 a token of the institute's identity provider (OpenID Connect)
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kiosk.api_keys import ApiKey, check_owner, split_token
from kiosk.callers import LOCAL, Caller, Scope
from kiosk.errors import InvalidRequest, NotFound, TransientError, Unauthenticated
from kiosk.ports import IdentityProvider, KeyRing
from kiosk.shares import Shares
from kiosk.signing import Signer, is_signed_as

log = logging.getLogger(__name__)

T = TypeVar("T")

SESSION = "session"
# The last use of a key is noted no more often than this.
USE_RESOLUTION_S = 600.0
# A stream that lasts looks this often whether its caller's credentials still hold.
RECHECK_S = 5.0
MOST_REMEMBERED = 10_000


@dataclass(frozen=True, kw_only=True)
class ClaimNames:
    """Which claims of an identity provider's token say what.

    Attributes:
        owner: whose token it is.
        admin, admin_value: who has this value there (alone or in a list) is an administrator; ""
            = nobody is.
    """

    owner: str = "sub"
    admin: str = ""
    admin_value: str = ""


class Authentication:
    """Recognises callers.

    Args:
        keys: the API keys; None = there are none.
        provider: vouches for people; None = nobody does.
        claims: what its tokens say.
        shares: share links; None = there are none.
        required: without it nobody is asked, and everybody may do everything.
        memory_s: a credential is looked up again after this long; so long a revoked key may live.
        session_s: how long one stays signed in on the page.
        clock: gives Unix seconds.
    """

    def __init__(
        self,
        keys: KeyRing | None = None,
        provider: IdentityProvider | None = None,
        claims: ClaimNames = ClaimNames(),
        *,
        shares: Shares | None = None,
        required: bool = False,
        memory_s: float = 2.0,
        session_s: float = 12 * 3600.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.required = required
        self._keys, self._provider, self._claims = keys, provider, claims
        self._shares = shares
        self._memory_s, self._session_s = memory_s, session_s
        self._clock = clock
        self._remembered: dict[bytes, tuple[float, Caller]] = {}
        self._signer: Signer | None = None

    async def caller(self, credentials: str, address: str = "") -> Caller:
        """The caller behind a request.

        Args:
            credentials: the value of its `authorization` header; "" = there was none.
            address: of the other end of the connection.

        Raises:
            Unauthenticated: there are no credentials, or they do not hold.
            TransientError: whoever knows does not answer.
        """
        scheme, _, token = credentials.partition(" ")
        token = token.strip()
        # A link shows one job only, also where nobody is asked for more.
        if not self.required and not Shares.is_token(token):
            return LOCAL.at(address)
        if not credentials:
            raise Unauthenticated(
                "This kiosk asks who you are. Sign in on the page; give commands and programs an"
                " API key (KIOSK_API_KEY)."
            )
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("Credentials are sent as 'Bearer', a space, and the key.")
        return (await self._known(token)).at(address)

    async def guest(self, token: str) -> Caller:
        """Who comes by a share link. Raises Unauthenticated."""
        if self._shares is None or not Shares.is_token(token):
            raise Unauthenticated("This is no share link of this kiosk.")
        return await self._known(token)

    async def _known(self, token: str) -> Caller:
        """The caller of a token, looked up once in a while."""
        now = self._clock()
        mark = hashlib.sha256(token.encode(errors="replace")).digest()
        until, caller = self._remembered.get(mark, (0.0, LOCAL))
        if now < until and not _has_ended(caller, now):
            return caller
        caller = await self._looked_up(token)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[mark] = (now + self._memory_s, caller)
        return caller

    async def _looked_up(self, token: str) -> Caller:
        if is_signed_as(SESSION, token):
            return await self._of_session(token)
        if self._shares is not None and Shares.is_token(token):
            return await self._shares.caller(token)
        if parts := split_token(token):
            key_id, secret = parts
            key = await self._key(key_id)
            if not key.is_secret(secret):
                raise _no_such_key()
            return _caller_of(key)
        if self._provider is None:
            raise _no_such_key()
        return self._of_claims(await self._provider.claims(token))

    # ------------------------------------------------------------------ keys

    async def _key(self, key_id: str) -> ApiKey:
        """A key that holds now."""
        if self._keys is None:
            raise _no_such_key()
        try:
            key = await self._keys.get(key_id)
        except NotFound:
            raise _no_such_key() from None
        now = self._clock()
        if not key.holds_at(now):
            word = "was revoked" if key.revoke_time_s else "has expired"
            raise Unauthenticated(f"The API key {key.id} {word}. Ask for a new one.")
        if now - key.use_time_s > USE_RESOLUTION_S:
            await self._keys.used(key.id, now)
        return key

    # ------------------------------------------------------------------ sessions

    async def begin_session(self, token: str) -> tuple[Caller, str, float]:
        """Sign in with an API key: (caller, token of the session, how many seconds it lasts).

        Raises Unauthenticated.
        """
        if split_token(token.strip()) is None:
            raise _no_such_key()
        caller = await self._known(token.strip())
        ends_s = self._clock() + self._session_s
        signer = await self._session_signer()
        return caller, signer.token({"sub": caller.key_id}, ends_s), self._session_s

    async def _of_session(self, token: str) -> Caller:
        claims = (await self._session_signer()).claims(token)
        caller = _caller_of(await self._key(str(claims["sub"])))
        ends_s = float(claims["exp"])
        return replace(caller, expire_time_s=min(ends_s, caller.expire_time_s or ends_s))

    async def _session_signer(self) -> Signer:
        if self._keys is None:
            raise _no_such_key()
        if self._signer is None:
            self._signer = Signer(SESSION, await self._keys.signing_secret())
        return self._signer

    # ------------------------------------------------------------------ identity provider

    def _of_claims(self, claims: Mapping[str, Any]) -> Caller:
        owner = claims.get(self._claims.owner)
        try:
            check_owner(owner if isinstance(owner, str) else "")
        except InvalidRequest:
            raise Unauthenticated(
                f"Your token does not say who you are: its claim '{self._claims.owner}' is missing"
                " or no name."
            ) from None
        scopes = {Scope.READ, Scope.WRITE}
        if self._claims.admin:
            said = claims.get(self._claims.admin)
            if self._claims.admin_value in (said if isinstance(said, list) else [said]):
                scopes.add(Scope.ADMIN)
        return Caller(
            owner=str(owner), scopes=frozenset(scopes), expire_time_s=float(claims["exp"])
        )

    # ------------------------------------------------------------------ streams

    async def while_known(
        self, caller: Caller, items: AsyncIterator[T], recheck_s: float = RECHECK_S
    ) -> AsyncIterator[T]:
        """The items of a stream for as long as the caller's credentials hold.

        Raises Unauthenticated when they no longer do, also while no item comes.
        """
        if not caller.can_end:
            async for item in items:
                yield item
            return
        looked_s = self._clock()
        pending = asyncio.ensure_future(anext(items))
        try:
            while True:
                await asyncio.wait({pending}, timeout=recheck_s)
                if self._clock() - looked_s >= recheck_s:
                    await self._check(caller)
                    looked_s = self._clock()
                if pending.done():
                    try:
                        item = pending.result()
                    except StopAsyncIteration:
                        return
                    yield item
                    pending = asyncio.ensure_future(anext(items))
        finally:
            pending.cancel()
            await asyncio.wait({pending})
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    async def _check(self, caller: Caller) -> None:
        """Raises Unauthenticated for a caller whose credentials hold no more."""
        if _has_ended(caller, self._clock()):
            raise Unauthenticated("Your session has ended. Sign in again.", reason="EXPIRED")
        try:
            if caller.key_id:
                await self._key(caller.key_id)
            if caller.share_id and self._shares is not None:
                await self._shares.check(caller.job_id, caller.share_id)
        except TransientError as error:
            log.warning("whether a caller is still known cannot be found out: %s", error)


def _caller_of(key: ApiKey) -> Caller:
    return Caller(
        owner=key.owner, scopes=key.scopes, key_id=key.id, expire_time_s=key.expire_time_s
    )


def _has_ended(caller: Caller, time_s: float) -> bool:
    return 0 < caller.expire_time_s <= time_s


def _no_such_key() -> Unauthenticated:
    return Unauthenticated("This is no API key of this kiosk. Check that it was copied whole.")

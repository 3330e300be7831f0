"""From credentials to callers: API keys, sessions, claims, and streams whose key is revoked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiosk.api_keys import ApiKey, new_api_key, split_token
from kiosk.authentication import Authentication, ClaimNames
from kiosk.callers import LOCAL, Caller, Scope
from kiosk.errors import (
    InvalidRequest,
    KioskError,
    PermissionDenied,
    TransientError,
    Unauthenticated,
)
from kiosk.testing import MemoryKeyRing, make_caller


class Clock:
    def __init__(self) -> None:
        self.now_s = 4_000_000_000.0  # tokens look at the real time themselves

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> MemoryKeyRing:
    return MemoryKeyRing()


@pytest.fixture
def door(keys: MemoryKeyRing, clock: Clock) -> Authentication:
    return Authentication(keys, required=True, memory_s=2.0, session_s=3600.0, clock=clock)


async def made(
    keys: MemoryKeyRing, owner: str = "alice", *scopes: Scope, **options: Any
) -> tuple[ApiKey, str]:
    options = {"time_s": 1.0, **options}
    key, token = new_api_key(owner, scopes or (Scope.READ, Scope.WRITE), **options)
    await keys.add(key)
    return key, token


async def refused(door: Authentication, credentials: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await door.caller(credentials)
    return caught.value.message


# ---------------------------------------------------------------- keys


async def test_a_key_opens_what_is_its_owners(door: Authentication, keys: MemoryKeyRing) -> None:
    key, token = await made(keys, "alice", Scope.READ)
    caller = await door.caller(f"Bearer {token}", "10.1.2.3")
    assert (caller.owner, caller.scopes, caller.key_id) == ("alice", {Scope.READ}, key.id)
    assert caller.address == "10.1.2.3"
    assert await door.caller(f"bearer  {token} ", "10.1.2.3") == caller


async def test_nobody_is_asked_unless_required(keys: MemoryKeyRing) -> None:
    door = Authentication(keys)
    for credentials in ("", "Bearer nonsense", f"Bearer {(await made(keys))[1]}"):
        assert await door.caller(credentials) == LOCAL


async def test_what_is_no_key(door: Authentication, keys: MemoryKeyRing) -> None:
    key, token = await made(keys)
    secret = token.rpartition("_")[2]
    assert "KIOSK_API_KEY" in await refused(door, "")
    for credentials in ("Bearer", "Bearer ", token, f"Basic {token}", f"Token {token}"):
        assert "Bearer" in await refused(door, credentials)
    wrong = [
        token[:-1],
        token + "0",
        token.upper(),
        f"kiosk_{key.id}_",
        f"kiosk_{key.id}_{key.secret_sha256}",
        f"kiosk_{'0' * 12}_{secret}",
        f"kiosk_*_{secret}",
        "kiosk__",
        secret,
        "a.b.c",
        "session.",
        "session.a.b.c",
        "\udcff",
    ]
    for text in wrong:
        await refused(door, f"Bearer {text}")


async def test_the_secret_of_one_key_opens_no_other(
    door: Authentication, keys: MemoryKeyRing
) -> None:
    one, _ = await made(keys, "alice")
    _, other = await made(keys, "bob")
    await refused(door, f"Bearer kiosk_{one.id}_{other.rpartition('_')[2]}")


async def test_expired_and_revoked_keys(
    door: Authentication, keys: MemoryKeyRing, clock: Clock
) -> None:
    _, brief = await made(keys, expire_time_s=clock.now_s + 1.0)
    key, token = await made(keys)
    await door.caller(f"Bearer {brief}")
    await door.caller(f"Bearer {token}")
    await keys.revoke(key.id, clock.now_s)
    clock.now_s += 1.0  # also what is still remembered ends when it ends
    assert "expired" in await refused(door, f"Bearer {brief}")
    clock.now_s += 1.0
    assert "revoked" in await refused(door, f"Bearer {token}")


async def test_last_use_is_noted_coarsely(
    door: Authentication, keys: MemoryKeyRing, clock: Clock
) -> None:
    key, token = await made(keys)
    first_s = clock.now_s
    await door.caller(f"Bearer {token}")
    clock.now_s += 60.0
    await door.caller(f"Bearer {token}")
    assert (await keys.get(key.id)).use_time_s == first_s
    clock.now_s += 600.0
    await door.caller(f"Bearer {token}")
    assert (await keys.get(key.id)).use_time_s == clock.now_s


@pytest.mark.parametrize("owner", ["", "  ", "a\nb", "x" * 201, "\u202eecila"])
def test_owners_have_names(owner: str) -> None:
    with pytest.raises(InvalidRequest):
        new_api_key(owner, [Scope.READ], time_s=1.0)


def test_a_key_has_a_scope() -> None:
    with pytest.raises(InvalidRequest):
        new_api_key("alice", [], time_s=1.0)


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    parts = split_token(text)
    assert parts is None or f"kiosk_{parts[0]}_{parts[1]}" == text


# ---------------------------------------------------------------- sessions


async def test_a_session_stands_for_its_key(
    door: Authentication, keys: MemoryKeyRing, clock: Clock
) -> None:
    key, token = await made(keys)
    _, session, lasts_s = await door.begin_session(token)
    assert token.rpartition("_")[2] not in session
    caller = await door.caller(f"Bearer {session}")
    assert (caller.owner, caller.key_id) == ("alice", key.id)
    clock.now_s += 10.0
    await keys.revoke(key.id, clock.now_s)
    await refused(door, f"Bearer {session}")
    assert lasts_s == 3600.0


async def test_sessions_end(door: Authentication, keys: MemoryKeyRing) -> None:
    _, token = await made(keys)
    past = Authentication(keys, required=True, session_s=-1.0)
    _, session, _ = await past.begin_session(token)
    assert "ended" in await refused(door, f"Bearer {session}")


async def test_tampered_sessions(door: Authentication, keys: MemoryKeyRing) -> None:
    key, token = await made(keys)
    _, session, _ = await door.begin_session(token)
    head, body, signature = session.removeprefix("session.").split(".")
    other = {"sub": key.id, "aud": "session", "exp": 5_000_000_000}
    forged = [
        f"session.{head}.{body}.{signature[:-2]}AA",
        f"session.{head}.{body}.",
        f"session.{head}.{body}",
        f"share.{head}.{body}.{signature}",
        f"{head}.{body}.{signature}",
        "session." + jwt.encode(other, "guess" * 10, algorithm="HS256"),
        "session." + jwt.encode(other, "", algorithm="none"),
        "session." + jwt.encode({**other, "aud": "share"}, await keys.signing_secret(), "HS256"),
        "session." + jwt.encode({"sub": key.id, "aud": "session"}, await keys.signing_secret()),
    ]
    for text in forged:
        await refused(door, f"Bearer {text}")


async def test_only_keys_begin_sessions(door: Authentication, keys: MemoryKeyRing) -> None:
    _, token = await made(keys)
    _, session, _ = await door.begin_session(token)
    for text in ("", "nonsense", session, token[:-1]):
        with pytest.raises(Unauthenticated):
            await door.begin_session(text)


# ---------------------------------------------------------------- identity provider


class Provider:
    """Takes claims for a token."""

    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = claims

    async def claims(self, token: str) -> Mapping[str, Any]:
        return {"exp": 5_000_000_000, **self._claims}


@pytest.mark.parametrize(
    ("claims", "is_admin"),
    [
        ({"email": "a@lab.example"}, False),
        ({"email": "a@lab.example", "groups": ["staff", "kiosk-admins"]}, True),
        ({"email": "a@lab.example", "groups": "kiosk-admins"}, True),
        ({"email": "a@lab.example", "groups": "not-kiosk-admins"}, False),
        ({"email": "a@lab.example", "groups": ["x-kiosk-admins-x"]}, False),
        ({"email": "a@lab.example", "groups": None}, False),
    ],
)
async def test_claims_say_who(keys: MemoryKeyRing, claims: dict[str, Any], is_admin: bool) -> None:
    names = ClaimNames(owner="email", admin="groups", admin_value="kiosk-admins")
    door = Authentication(keys, Provider(claims), names, required=True)
    caller = await door.caller("Bearer a.b.c")
    assert (caller.owner, caller.is_admin) == ("a@lab.example", is_admin)
    assert {Scope.READ, Scope.WRITE} <= caller.scopes
    assert caller.can_end


@pytest.mark.parametrize("owner", [None, "", " ", 7, ["alice"], "a\x00b"])
async def test_claims_without_an_owner(keys: MemoryKeyRing, owner: Any) -> None:
    door = Authentication(keys, Provider({"sub": owner}), required=True)
    assert "'sub'" in await refused(door, "Bearer a.b.c")


# ---------------------------------------------------------------- streams


async def endless() -> AsyncIterator[int]:
    for number in range(10_000):
        yield number
        await asyncio.sleep(0)
    await asyncio.Event().wait()


async def test_a_stream_ends_with_its_key(
    door: Authentication, keys: MemoryKeyRing, clock: Clock
) -> None:
    key, token = await made(keys)
    caller = await door.caller(f"Bearer {token}")
    seen = []

    async def watch() -> None:
        async for number in door.while_known(caller, endless(), recheck_s=5.0):
            seen.append(number)
            if number == 10:
                await keys.revoke(key.id, clock.now_s)
            clock.now_s += 0.1

    with pytest.raises(Unauthenticated, match="revoked"):
        await watch()
    assert 10 < len(seen) <= 110


async def test_a_silent_stream_ends_with_its_key(door: Authentication, keys: MemoryKeyRing) -> None:
    async def silent() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    key, token = await made(keys)
    caller = await door.caller(f"Bearer {token}")
    stream = door.while_known(caller, silent(), recheck_s=0.0)
    assert await anext(stream) == 1
    await keys.revoke(key.id, 1.0)
    with pytest.raises(Unauthenticated):
        async with asyncio.timeout(10):
            await anext(stream)


async def test_a_stream_ends_with_its_session(door: Authentication, clock: Clock) -> None:
    caller = Caller(owner="a", scopes=frozenset(Scope), expire_time_s=clock.now_s + 60.0)

    async def watch() -> None:
        async for _ in door.while_known(caller, endless(), recheck_s=5.0):
            clock.now_s += 1.0

    with pytest.raises(Unauthenticated):
        await watch()


async def test_streams_go_on_while_nobody_knows(keys: MemoryKeyRing, clock: Clock) -> None:
    class Away(MemoryKeyRing):
        async def get(self, key_id: str) -> ApiKey:
            raise TransientError("Redis does not answer.")

    async def few() -> AsyncIterator[int]:
        for number in range(5):
            clock.now_s += 10.0
            yield number

    door = Authentication(Away(), required=True, clock=clock)
    caller = Caller(owner="alice", scopes=frozenset(Scope), key_id="k")
    assert [n async for n in door.while_known(caller, few())] == [0, 1, 2, 3, 4]
    with pytest.raises(TransientError):
        await door.caller(f"Bearer {(await made(keys))[1]}")


async def test_a_stream_that_is_left_is_closed(door: Authentication, keys: MemoryKeyRing) -> None:
    closed = []

    async def watched() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    caller = await door.caller(f"Bearer {(await made(keys))[1]}")
    for items in (1, 2):
        stream = door.while_known(caller, watched())
        for _ in range(items):
            await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
    assert closed == [True, True]


async def test_errors_of_a_stream_are_its_own(door: Authentication) -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise TransientError("The store does not answer.")

    caller = make_caller("alice")
    for who in (caller, Caller(owner="alice", scopes=frozenset(Scope), expire_time_s=5e9)):
        stream = door.while_known(who, broken())
        assert await anext(stream) == 1
        with pytest.raises(TransientError):
            await anext(stream)


# ---------------------------------------------------------------- rules


def test_scopes() -> None:
    reader, admin = make_caller("a", Scope.READ), make_caller("root", Scope.ADMIN)
    reader.require(Scope.READ)
    reader.require(Scope.METRICS, Scope.READ)
    with pytest.raises(PermissionDenied, match="'write'"):
        reader.require(Scope.WRITE)
    for scope in Scope:
        admin.require(scope)
        admin.require_for_jobs(scope)
    assert admin.sees_job("j", "anybody")
    assert not reader.sees_job("j", "b")


def test_a_share_link_opens_one_job() -> None:
    guest = Caller(owner="a", scopes=frozenset({Scope.READ}), share_id="s", job_id="j")
    guest.require_for_jobs(Scope.READ)
    assert guest.sees_job("j", "a")
    assert not guest.sees_job("k", "a")
    assert not guest.sees_upload("a")
    refusals: list[Any] = [
        lambda: guest.require(Scope.READ),
        lambda: guest.require_for_jobs(Scope.WRITE),
    ]
    for step in refusals:
        with pytest.raises(KioskError, match="share link"):
            step()

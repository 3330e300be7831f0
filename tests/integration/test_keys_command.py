"""`kiosk keys`: make, list, revoke, over a real Redis."""

from __future__ import annotations

import asyncio
import re

import pytest
from typer.testing import CliRunner

from kiosk.adapters.redis_keys import RedisKeyRing
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.cli import app
from kiosk.errors import KioskError, Unauthenticated
from kiosk.machine import free_port


@pytest.fixture(autouse=True)
def redis_of_the_kiosk(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> str:
    monkeypatch.setenv("KIOSK_QUEUE__REDIS_URL", redis_url)
    monkeypatch.setenv("KIOSK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")
    return redis_url


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


async def asked(redis_url: str, token: str) -> tuple[str, set[Scope]]:
    ring = RedisKeyRing(redis_url)
    caller = await Authentication(ring, required=True).caller(f"Bearer {token}")
    await ring.close()
    return caller.owner, set(caller.scopes)


async def test_a_key_from_its_making_to_its_end(redis_of_the_kiosk: str) -> None:
    made = await asyncio.to_thread(run, "create", "--owner", "alice", "--note", "microscope 2")
    token = made.strip()
    assert re.fullmatch(r"kiosk_[a-z0-9]{12}_[0-9a-f]{64}", token)
    assert await asked(redis_of_the_kiosk, token) == ("alice", {Scope.READ, Scope.WRITE})
    listed = await asyncio.to_thread(run, "list")
    assert "microscope 2" in listed
    assert token.rpartition("_")[2] not in listed
    await asyncio.to_thread(run, "revoke", token.split("_")[1])
    assert "revoked" in await asyncio.to_thread(run, "list")
    with pytest.raises(Unauthenticated):
        await asked(redis_of_the_kiosk, token)


async def test_scopes_and_an_end(redis_of_the_kiosk: str) -> None:
    options = ("--owner", "ci", "--scope", "read", "--scope", "metrics", "--expires-days", "1")
    token = (await asyncio.to_thread(run, "create", *options)).strip()
    assert await asked(redis_of_the_kiosk, token) == ("ci", {Scope.READ, Scope.METRICS})
    ring = RedisKeyRing(redis_of_the_kiosk)
    key = await ring.get(token.split("_")[1])
    await ring.close()
    assert key.expire_time_s - key.create_time_s == 24 * 3600.0


def test_without_redis_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIOSK_QUEUE__REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(KioskError, match="kiosk up"):
        run("list")


def test_mistakes_are_told() -> None:
    with pytest.raises(KioskError, match="no key 'nosuch'"):
        run("revoke", "nosuch")
    with pytest.raises(KioskError, match="owner has a name"):
        run("create", "--owner", " ")

"""A client goes on through short outages of a kiosk that it has spoken with before."""

from __future__ import annotations

import asyncio

import pytest

from kiosk import connection
from kiosk.client import AsyncKiosk
from kiosk.errors import TransientError
from kiosk.testing import FakeKiosk


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE_S", 0.005)


async def test_a_short_outage_is_bridged(client: AsyncKiosk, fake: FakeKiosk) -> None:
    before = await client.models()
    fake.inference.is_down = True
    waiting = asyncio.create_task(client.models())
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    fake.inference.is_down = False
    assert await waiting == before


async def test_a_long_outage_is_told(client: AsyncKiosk, fake: FakeKiosk) -> None:
    await client.models()
    fake.inference.is_down = True
    with pytest.raises(TransientError, match="does not answer"):
        await client.models()


async def test_a_kiosk_that_was_never_there_is_told_at_once(
    client: AsyncKiosk, fake: FakeKiosk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(connection, "LONGEST_PAUSE_S", 1000.0)
    fake.inference.is_down = True
    with pytest.raises(TransientError):
        await asyncio.wait_for(client.models(), 10)

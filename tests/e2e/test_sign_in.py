"""Signing in on the page with an API key, and what a page without one shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from chromium import EXECUTABLE, Page, chromium

from kiosk.adapters.image_files import ImageFileReader
from kiosk.api_keys import ApiKey, new_api_key
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.previews import Previews
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import MemoryKeyRing, make_kiosk
from kiosk.web import WebServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
]


@dataclass
class Closed:
    """A kiosk that asks who is there, and a key to it."""

    url: str
    keys: MemoryKeyRing
    key: ApiKey
    token: str


@pytest.fixture
async def kiosk() -> AsyncIterator[Closed]:
    fake = make_kiosk(ImageFileReader(LimitSettings()))
    keys = MemoryKeyRing()
    key, token = new_api_key("alice", [Scope.READ, Scope.WRITE], time_s=1.0)
    await keys.add(key)
    previews = Previews(queue=fake.queue, store=fake.store, images=fake.images)
    door = Authentication(keys, required=True, memory_s=0.0)
    server = WebServer(fake.service, previews, door, CHECKOUT / "frontend", "127.0.0.1", 0)
    await server.start()
    yield Closed(f"http://127.0.0.1:{server.port}", keys, key, token)
    await server.stop()


@pytest.fixture
async def page(tmp_path: Path, kiosk: Closed) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as page:
        await page.open(kiosk.url)
        yield page
        assert page.problems == []


async def give(page: Page, key: str) -> None:
    await page.until("document.querySelector('#sign-in').open")
    await page.evaluate(f"document.querySelector('#key').value = {key!r}")
    await page.evaluate("document.querySelector('#sign-in-form').requestSubmit()")


async def test_signing_in_and_out(page: Page, kiosk: Closed):
    await give(page, "kiosk_nonsense")
    await page.until("document.querySelector('#sign-in-error').innerText.includes('no API key')")
    assert await page.evaluate("document.querySelector('#model').disabled")

    await give(page, kiosk.token)
    await page.until("!document.querySelector('#model').disabled")
    assert not await page.evaluate("document.querySelector('#sign-in').open")
    await page.until("document.querySelector('#who').innerText.includes('alice')")
    # Nothing that a script could steal.
    assert await page.evaluate("document.cookie") == ""
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert kiosk.token not in await page.evaluate(stored)

    await page.evaluate("document.querySelector('#sign-out').click()")
    await page.until("document.querySelector('#sign-in').open")


async def test_a_revoked_key_brings_the_form_back(page: Page, kiosk: Closed):
    await give(page, kiosk.token)
    await page.until("!document.querySelector('#model').disabled")
    await kiosk.keys.revoke(kiosk.key.id, 2.0)
    await page.evaluate("document.querySelector('#older').click()")
    await page.until("document.querySelector('#sign-in').open")

"""Signing in on the page with an API key, and what a page without one shows."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tifffile
from chromium import EXECUTABLE, Page, chromium

from kiosk.adapters.image_files import ImageFileReader
from kiosk.api_keys import ApiKey, new_api_key
from kiosk.authentication import Authentication
from kiosk.callers import Scope
from kiosk.imaging.sample import make_sample
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeKiosk, MemoryKeyRing, make_caller, make_kiosk
from kiosk.web import WebServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="Chromium is not installed"),
]


# The page is loaded anew after signing in, so it may not be there at all when it is asked.
READY = "document.querySelector('#model')?.disabled === false"
ASKS = "document.querySelector('#sign-in')?.open"


@dataclass
class Closed:
    """A kiosk that asks who is there, and a key to it."""

    url: str
    keys: MemoryKeyRing
    key: ApiKey
    token: str
    fake: FakeKiosk

    async def job(self) -> str:
        """A finished job of alice's."""
        file = io.BytesIO()
        tifffile.imwrite(file, make_sample(frames=1, height_px=96, width_px=96, nuclei=3).images)
        alice = make_caller("alice")
        upload = await self.fake.upload(file.getvalue(), "cells.tif", caller=alice)
        job = await self.fake.service.segment(upload_id=upload, model="bright", caller=alice)
        await self.fake.work()
        return job.id


@pytest.fixture
async def kiosk() -> AsyncIterator[Closed]:
    fake = make_kiosk(ImageFileReader(LimitSettings()))
    keys = fake.keys
    key, token = new_api_key("alice", [Scope.READ, Scope.WRITE], time_s=1.0)
    await keys.add(key)
    tiles = fake.tiles()
    shares = fake.service.shares
    door = Authentication(keys, shares=shares, required=True, memory_s=0.0)
    server = WebServer(fake.service, tiles, door, CHECKOUT / "frontend", "127.0.0.1", 0)
    await server.start()
    yield Closed(f"http://127.0.0.1:{server.port}", keys, key, token, fake)
    await server.stop()


@pytest.fixture
async def page(tmp_path: Path, kiosk: Closed) -> AsyncIterator[Page]:
    async with chromium(tmp_path / "profile") as page:
        await page.open(kiosk.url)
        yield page
        assert page.problems == []


async def give(page: Page, key: str) -> None:
    await page.until(ASKS)
    await page.evaluate(f"document.querySelector('#key').value = {key!r}")
    await page.evaluate("document.querySelector('#sign-in-form').requestSubmit()")


async def test_signing_in_and_out(page: Page, kiosk: Closed):
    await give(page, "kiosk_nonsense")
    await page.until("document.querySelector('#sign-in-error').innerText.includes('no API key')")
    assert await page.evaluate("document.querySelector('#model').disabled")

    await give(page, kiosk.token)
    await page.until(READY)
    assert not await page.evaluate("document.querySelector('#sign-in').open")
    await page.until("document.querySelector('#who')?.innerText.includes('alice')")
    # Nothing that a script could steal.
    assert await page.evaluate("document.cookie") == ""
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert kiosk.token not in await page.evaluate(stored)

    await page.evaluate("document.querySelector('#sign-out').click()")
    await page.until(ASKS)


async def test_a_revoked_key_brings_the_form_back(page: Page, kiosk: Closed):
    await give(page, kiosk.token)
    await page.until(READY)
    await kiosk.keys.revoke(kiosk.key.id, 2.0)
    await page.evaluate("document.querySelector('#older').click()")
    await page.until(ASKS)


async def test_a_link_shows_a_job_to_somebody_without_a_key(
    page: Page, kiosk: Closed, tmp_path: Path
):
    job_id = await kiosk.job()
    await give(page, kiosk.token)
    await page.until(READY)
    await page.open(f"{kiosk.url}/jobs/{job_id}")
    await page.until("!document.querySelector('#sharing-card').hidden")
    await page.evaluate("document.querySelector('#share').click()")
    link = await page.until("document.querySelector('#link').value")
    await page.until("document.querySelectorAll('#links li').length === 1")
    await page.evaluate("document.querySelector('#keep').click()")

    async with chromium(tmp_path / "guest") as guest:
        await guest.open(link)
        assert await guest.evaluate("location.pathname") == f"/jobs/{job_id}"
        await guest.until("document.querySelectorAll('#results li').length >= 3")
        await guest.until("!document.querySelector('#viewer').hidden")
        assert not await guest.evaluate("document.querySelector('#sign-in').open")
        shown = "[...document.querySelectorAll('button, a')].filter(e => e.checkVisibility())"
        words = await guest.evaluate(f"{shown}.map(e => e.innerText).join('|')")
        for word in ("Cancel", "Delete", "All jobs", "Make a link", "Keep for", "Withdraw"):
            assert word not in words, words
        results = await guest.evaluate("fetch('/api/v1/jobs').then(r => r.status)")
        assert results == 401
        assert guest.problems == []

        await page.evaluate("document.querySelector('#links button').click()")
        await page.until("document.querySelectorAll('#links li').length === 0")
        await guest.open(link)
        assert "withdrawn" in await guest.evaluate("document.body.innerText")

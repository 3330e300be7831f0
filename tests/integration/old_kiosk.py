"""A kiosk that works, and the calls that programs written for the DeepCell Kiosk make."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from kiosk.adapters.image_files import ImageFileReader
from kiosk.authentication import Authentication
from kiosk.settings import CHECKOUT, LimitSettings
from kiosk.testing import FakeInference, FakeKiosk, make_card, make_kiosk
from kiosk.web import WebServer


def kiosk_of(*models: str) -> FakeKiosk:
    inference = FakeInference([make_card(model) for model in models])
    return make_kiosk(ImageFileReader(LimitSettings()), inference=inference)


async def serving(kiosk: FakeKiosk, models: str) -> WebServer:
    frontend = CHECKOUT / "frontend"
    server = WebServer(
        kiosk.service,
        kiosk.tiles(),
        Authentication(),
        frontend,
        "127.0.0.1",
        0,
        deepcell_models=models,
    )
    await server.start()
    return server


@asynccontextmanager
async def working(kiosk: FakeKiosk, models: str) -> AsyncIterator[aiohttp.ClientSession]:
    """It is served and a consumer does its jobs."""
    server = await serving(kiosk, models)
    consumer = kiosk.consumer()
    task = asyncio.create_task(consumer.run())
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    consumer.stop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await server.stop()


async def post(http: aiohttp.ClientSession, path: str, status: int = 200, **body: Any) -> Any:
    async with http.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=None)


async def uploaded(http: aiohttp.ClientSession, data: bytes, name: str) -> str:
    form = aiohttp.FormData()
    form.add_field("file", data, filename=name, content_type="application/octet-stream")
    async with http.post("/api/upload", data=form) as answer:
        assert answer.status == 200, await answer.text()
        told = await answer.json()
    assert told["imageURL"].startswith("http://127.0.0.1:")
    return str(told["uploadedName"])


async def finished(http: aiohttp.ClientSession, name: str) -> str:
    """As the command-line client waits, but more often."""
    async with asyncio.timeout(30):
        while True:
            status = (await post(http, "/api/redis", hash=name, key="status"))["value"]
            if status in ("done", "failed"):
                return str(status)
            assert status in {"new", "started", "predicting", "saving-results", "waiting"}
            await asyncio.sleep(0.02)


async def downloaded(http: aiohttp.ClientSession, url: str) -> dict[str, bytes]:
    async with http.get(url) as answer:
        assert answer.status == 200
        data = await answer.read()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}

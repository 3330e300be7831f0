"""Drives a headless Chromium over its DevTools protocol, with what the kiosk needs anyway."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
START_S = 30.0
POLL_S = 0.05


class Page:
    """One tab. `problems` gathers errors of scripts and what the console calls an error."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.problems: list[str] = []

    async def read(self) -> None:
        """Take answers and events until the tab is closed."""
        async for message in self._socket:
            data = message.json()
            if "id" in data:
                self._waiting.pop(data["id"]).set_result(data)
            elif data["method"] == "Runtime.exceptionThrown":
                self.problems.append(str(data["params"]["exceptionDetails"]))
            elif data["method"] == "Log.entryAdded":
                entry = data["params"]["entry"]
                # Refused requests are part of some tests; what a policy blocks never is.
                if entry["level"] == "error" and entry["source"] != "network":
                    self.problems.append(str(entry))

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        data = await asyncio.wait_for(answer, 30)
        assert "error" not in data, f"{method}: {data['error']}"
        return data["result"]

    async def open(self, url: str) -> None:
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def evaluate(self, script: str) -> Any:
        """The value of an expression; promises are awaited."""
        result = await self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def until(self, script: str, timeout_s: float = 20.0) -> Any:
        """Wait until an expression is truthy; returns its value."""
        for _ in range(int(timeout_s / POLL_S)):
            if value := await self.evaluate(script):
                return value
            await asyncio.sleep(POLL_S)
        text = await self.evaluate("document.body.innerText")
        raise AssertionError(f"waited in vain for {script}; the page says:\n{text}")

    async def choose_files(self, selector: str, paths: list[Path]) -> None:
        found = await self.send(
            "Runtime.evaluate", expression=f"document.querySelector({selector!r})"
        )
        object_id = found["result"]["objectId"]
        await self.send("DOM.setFileInputFiles", files=[str(p) for p in paths], objectId=object_id)

    async def screenshot(self, path: Path) -> None:
        taken = await self.send("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(taken["data"]))


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """A page in a browser of its own; `profile` is an empty folder."""
    assert EXECUTABLE is not None
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE,
        *FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                target = next(item for item in await answer.json() if item["type"] == "page")
            url = target["webSocketDebuggerUrl"]
            async with session.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                reading = asyncio.create_task(page.read())
                for domain in ("Page", "Runtime", "Log", "DOM"):
                    await page.send(f"{domain}.enable")
                yield page
                reading.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _port(file: Path) -> str:
    for _ in range(int(START_S / POLL_S)):
        if file.exists() and (text := file.read_text()):
            return text.split()[0]
        await asyncio.sleep(POLL_S)
    raise AssertionError("Chromium did not start")

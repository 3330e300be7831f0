"""`kiosk autoscaler` as a process of its own, against a fake API server and a real Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kiosk.testing.api_server import ApiServer

LEASE = ("leases", "lab", "kiosk-autoscaler")


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    """Two replicas of each role; the last leader has stepped down."""
    async with ApiServer() as server:
        for name in ("triton", "kiosk-consumer"):
            server.put("deployments", "lab", name, {"replicas": 2})
        server.put("leases", "lab", "kiosk-autoscaler", {})
        yield server


async def start(
    server: ApiServer, folder: Path, redis_url: str, *options: str
) -> asyncio.subprocess.Process:
    settings = {
        "KUBECONFIG": str(server.kubeconfig(folder)),
        "NAMESPACE": "lab",
        "ANSWER_S": "1",
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kiosk.cli", "autoscaler", *options),
        env={
            **os.environ,
            "KIOSK_QUEUE__REDIS_URL": redis_url,
            **{f"KIOSK_AUTOSCALER__{name}": value for name, value in settings.items()},
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def last_line(process: asyncio.subprocess.Process) -> str:
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return output.decode().strip().splitlines()[-1]


async def test_a_dry_run_prints_its_decision_and_touches_nothing(
    server: ApiServer, tmp_path: Path, redis_url: str
) -> None:
    process = await start(server, tmp_path, redis_url, "--dry-run", "--once")
    assert await last_line(process) == (
        "Triton 2 (0 ready); consumers 2 (0 ready). 0 jobs, 0 parts, 0 at work: 0 s of work for one"
        " unit, 2 wanted. There is no work; the replicas wait before they go."
    )
    assert {verb for verb, _, _ in server.asked} == {"get"}


async def test_without_redis_it_says_that_it_changes_nothing(
    server: ApiServer, tmp_path: Path
) -> None:
    process = await start(server, tmp_path, "redis://127.0.0.1:9/0", "--dry-run", "--once")
    assert await last_line(process) == (
        "Triton 2 (0 ready); consumers 2 (0 ready). Backlog unknown. The backlog cannot be read:"
        " everything stays as it is."
    )


async def test_it_leads_until_it_is_told_to_stop(
    server: ApiServer, tmp_path: Path, redis_url: str
) -> None:
    process = await start(server, tmp_path, redis_url)
    try:
        async with asyncio.timeout(60):
            while not server.objects[LEASE]["spec"].get("holderIdentity"):
                await server.changed()
        assert str(process.pid) in server.objects[LEASE]["spec"]["holderIdentity"]
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    assert "holderIdentity" not in server.objects[LEASE]["spec"]

"""A cluster on one machine: its consumers are processes, its nodes for Triton only take time."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from kiosk.ports import Role, RoleReplicas
from kiosk.settings import CHECKOUT

STOPPED_WITHIN_S = 40.0


class LocalCluster:
    """`ports.Cluster`; to be closed.

    Args:
        node_s: from asking for a replica of Triton until it is ready.
    """

    def __init__(self, folder: Path, redis_url: str, node_s: float) -> None:
        self._folder, self._redis_url, self._node_s = folder, redis_url, node_s
        self._nodes: list[float] = []
        self._consumers: list[asyncio.subprocess.Process] = []
        self._leaving: list[asyncio.subprocess.Process] = []
        self.started = 0

    async def replicas(self, role: Role) -> RoleReplicas:
        if role is Role.TRITON:
            now_s = time.monotonic()
            ready = sum(ready_s <= now_s for ready_s in self._nodes)
            return RoleReplicas(len(self._nodes), ready)
        living = sum(one.returncode is None for one in self._consumers + self._leaving)
        return RoleReplicas(len(self._consumers), living)

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        if role is Role.TRITON:
            ready_s = time.monotonic() + self._node_s
            self._nodes = (self._nodes + [ready_s] * replicas)[:replicas]
            return True
        while len(self._consumers) < replicas:
            self._consumers.append(await self._start())
        while len(self._consumers) > replicas:
            leaving = self._consumers.pop()
            leaving.send_signal(signal.SIGTERM)
            self._leaving.append(leaving)
        return True

    async def _start(self) -> asyncio.subprocess.Process:
        self.started += 1
        with (self._folder / f"consumer-{self.started}.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.burst.consumer"),
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "KIOSK_HOME": str(self._folder),
                    "KIOSK_QUEUE__REDIS_URL": self._redis_url,
                    "OMP_NUM_THREADS": "1",
                },
            )

    async def exit_codes(self) -> list[int]:
        """Of the consumers that were told to stop, once they have."""
        async with asyncio.timeout(STOPPED_WITHIN_S):
            return [await one.wait() for one in self._leaving]

    async def close(self) -> None:
        """End what still runs."""
        for one in self._consumers + self._leaving:
            if one.returncode is None:
                one.kill()
                await one.wait()

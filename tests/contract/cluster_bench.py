"""Clusters for the contract tests: in memory, the fake API server, and a real one if there is one.

The real one is named by the variable KIOSK_TEST_KUBECONFIG, a kubeconfig file. Nothing is started
there: the deployments have no replicas at first, and an image that nobody pulls.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from kiosk.adapters.kubernetes_api import MERGE_PATCH, KubernetesApi, connect
from kiosk.adapters.kubernetes_cluster import KubernetesCluster, KubernetesLeaderRecords
from kiosk.ports import Cluster, LeaderRecords, Role
from kiosk.testing.api_server import ApiServer
from kiosk.testing.fake_cluster import FakeCluster, MemoryLeaderRecords

NAMES = {Role.TRITON: "triton", Role.CONSUMERS: "kiosk-consumer"}
LEASE = "kiosk-autoscaler"
CONTROLLER_S, PODS_S = 2.0, 20.0
"""Longest waits for a real cluster's controller of deployments to be seen, and for its pods."""
LOOK_S = 0.1


class ClusterBench(Protocol):
    """A cluster with both roles at zero, and what others do to it."""

    cluster: Cluster
    records: LeaderRecords

    async def change(self, role: Role, desired: int) -> None:
        """Somebody else scales a role."""

    async def get_ready(self, role: Role, ready: int) -> None:
        """So many replicas are ready."""


class MemoryBench:
    def __init__(self) -> None:
        self.cluster = FakeCluster(triton=0, consumers=0)
        self.records = MemoryLeaderRecords()

    async def change(self, role: Role, desired: int) -> None:
        self.cluster.change(role, desired=desired)

    async def get_ready(self, role: Role, ready: int) -> None:
        self.cluster.change(role, ready=ready)


@dataclass
class ApiBench:
    """Over any API server, fake or real."""

    api: KubernetesApi
    namespace: str
    api_is_fake: bool

    def __post_init__(self) -> None:
        self.cluster = KubernetesCluster(self.api, self.namespace, NAMES)
        self.records = KubernetesLeaderRecords(self.api, self.namespace, LEASE)

    async def change(self, role: Role, desired: int) -> None:
        body = {"spec": {"replicas": desired}}
        await self.api.ask("PATCH", f"{self._path(role)}/scale", body, MERGE_PATCH)

    async def get_ready(self, role: Role, ready: int) -> None:
        """Where deployments have their controller, it counts pods, which nobody starts here."""
        if await self._has_controller(role):
            await self._get_pods_ready(role, ready)
            return
        body = {"status": {"replicas": ready, "readyReplicas": ready}}
        await self.api.ask("PATCH", f"{self._path(role)}/status", body, MERGE_PATCH)

    async def _has_controller(self, role: Role) -> bool:
        if self.api_is_fake:
            return False

        async def is_observed() -> bool:
            seen = await self.api.ask("GET", self._path(role))
            return "observedGeneration" in seen.get("status", {})

        return await until(is_observed, CONTROLLER_S)

    async def _get_pods_ready(self, role: Role, ready: int) -> None:
        pods = f"/api/v1/namespaces/{self.namespace}/pods"

        async def names() -> list[str]:
            found = await self.api.ask("GET", f"{pods}?labelSelector=app%3D{NAMES[role]}")
            return [pod["metadata"]["name"] for pod in found["items"]]

        async def are_there() -> bool:
            return len(await names()) >= ready

        async def are_counted() -> bool:
            return (await self.cluster.replicas(role)).ready == ready

        assert await until(are_there, PODS_S)
        for name in (await names())[:ready]:
            body = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
            await self.api.ask("PATCH", f"{pods}/{name}/status", body, MERGE_PATCH)
        assert await until(are_counted, PODS_S)

    def _path(self, role: Role) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAMES[role]}"


async def until(is_so: Callable[[], Awaitable[bool]], longest_s: float) -> bool:
    """Whether it came to be so in time; a real cluster takes its time."""
    for _ in range(round(longest_s / LOOK_S)):
        if await is_so():
            return True
        await asyncio.sleep(LOOK_S)
    return await is_so()


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    container = {"name": name, "image": "kiosk.invalid/never-pulled:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@asynccontextmanager
async def api_bench(kubeconfig: Path, answer_s: float, *, is_fake: bool) -> AsyncIterator[ApiBench]:
    """A namespace of its own with both deployments; it is gone afterwards."""
    api = await connect(kubeconfig, answer_s)
    namespace = f"kiosk-test-{uuid.uuid4().hex[:8]}"
    namespaces = "/api/v1/namespaces"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    try:
        await api.ask("POST", namespaces, made)
        try:
            for name in NAMES.values():
                path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
                await api.ask("POST", path, deployment(name))
            yield ApiBench(api, namespace, is_fake)
        finally:
            await api.ask("DELETE", f"{namespaces}/{namespace}")
    finally:
        await api.close()


@asynccontextmanager
async def make_cluster_bench(kind: str, folder: Path) -> AsyncIterator[ClusterBench]:
    if kind == "memory":
        yield MemoryBench()
    elif kind == "fake API server":
        async with (
            ApiServer() as server,
            api_bench(server.kubeconfig(folder), 5.0, is_fake=True) as bench,
        ):
            yield bench
    else:
        named = os.environ.get("KIOSK_TEST_KUBECONFIG")
        if not named:
            pytest.skip("KIOSK_TEST_KUBECONFIG names no real API server")
        async with api_bench(Path(named), 10.0, is_fake=False) as bench:
            yield bench

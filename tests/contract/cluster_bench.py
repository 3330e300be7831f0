"""Clusters for the contract tests: in memory, the fake API server, and a real one if there is one.

The real one is named by the variable KIOSK_TEST_KUBECONFIG, a kubeconfig file. Nothing is started
there: the deployments have no replicas at first, and an image that nobody pulls.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
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

    def __post_init__(self) -> None:
        self.cluster = KubernetesCluster(self.api, self.namespace, NAMES)
        self.records = KubernetesLeaderRecords(self.api, self.namespace, LEASE)

    async def change(self, role: Role, desired: int) -> None:
        body = {"spec": {"replicas": desired}}
        await self.api.ask("PATCH", f"{self._path(role)}/scale", body, MERGE_PATCH)

    async def get_ready(self, role: Role, ready: int) -> None:
        body = {"status": {"replicas": ready, "readyReplicas": ready}}
        await self.api.ask("PATCH", f"{self._path(role)}/status", body, MERGE_PATCH)

    def _path(self, role: Role) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{NAMES[role]}"


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
async def api_bench(kubeconfig: Path, answer_s: float) -> AsyncIterator[ApiBench]:
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
            yield ApiBench(api, namespace)
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
            api_bench(server.kubeconfig(folder), 5.0) as bench,
        ):
            yield bench
    else:
        named = os.environ.get("KIOSK_TEST_KUBECONFIG")
        if not named:
            pytest.skip("KIOSK_TEST_KUBECONFIG names no real API server")
        async with api_bench(Path(named), 10.0) as bench:
            yield bench

"""`ports.Cluster` and `ports.LeaderRecords` in Kubernetes.

The rights that this needs, and no others:

    get            deployments        the two that are scaled, by their names
    get, patch     deployments/scale  the same two
    get, update    leases             the one by its name (coordination.k8s.io)
    create         leases             (what is to be created has no name yet)
"""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Mapping
from typing import Any

from kiosk.adapters.kubernetes_api import MERGE_PATCH, KubernetesApi
from kiosk.errors import NotFound, Outage, WrongState
from kiosk.ports import LeaderRecord, Role, RoleReplicas

LOOKS = 2
"""A status that is written between a look and its write is rare, and twice in a row rarer."""


class KubernetesCluster:
    """`ports.Cluster`: one deployment for each role.

    Args:
        deployments: name of the deployment of each role.
    """

    def __init__(self, api: KubernetesApi, namespace: str, deployments: Mapping[Role, str]) -> None:
        self._api = api
        root = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        self._paths = {role: f"{root}/{name}" for role, name in deployments.items()}

    async def replicas(self, role: Role) -> RoleReplicas:
        seen = await self._api.ask("GET", self._paths[role])
        try:
            return RoleReplicas(
                desired=int(seen["spec"].get("replicas", 1)),
                ready=int(seen.get("status", {}).get("readyReplicas") or 0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Outage(f"The API server sent no deployment for {role}.") from error

    async def scale(self, role: Role, replicas: int, seen: RoleReplicas) -> bool:
        """The version of a deployment moves with its status too, so it is looked up just before."""
        path = f"{self._paths[role]}/scale"
        for _ in range(LOOKS):
            desired, version = _desired(await self._api.ask("GET", path))
            if desired != seen.desired:
                return False
            body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": replicas}}
            try:
                await self._api.ask("PATCH", path, body, MERGE_PATCH)
                return True
            except WrongState:
                continue
        return False


def _desired(scale: dict[str, Any]) -> tuple[int, str]:
    """Replicas, which a Scale leaves out when they are zero, and its version."""
    try:
        return int(scale["spec"].get("replicas", 0)), str(scale["metadata"]["resourceVersion"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Outage("The API server sent no scale of a deployment.") from error


class KubernetesLeaderRecords:
    """`ports.LeaderRecords`: a Lease of coordination.k8s.io."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str) -> None:
        self._api = api
        self._namespace, self._name = namespace, name
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def read(self) -> LeaderRecord | None:
        try:
            return _record(await self._api.ask("GET", f"{self._all}/{self._name}"))
        except NotFound:
            return None

    async def write(self, record: LeaderRecord, seen: LeaderRecord | None) -> LeaderRecord | None:
        lease = self._lease(record, seen)
        try:
            if seen is None:
                return _record(await self._api.ask("POST", self._all, lease))
            return _record(await self._api.ask("PUT", f"{self._all}/{self._name}", lease))
        except (WrongState, NotFound):
            return None

    def _lease(self, record: LeaderRecord, seen: LeaderRecord | None) -> dict[str, Any]:
        metadata = {"name": self._name, "namespace": self._namespace}
        if seen is not None:
            metadata["resourceVersion"] = seen.version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                # An empty identity is refused; who stepped down is not named at all.
                **({"holderIdentity": record.holder} if record.holder else {}),
                "leaseDurationSeconds": math.ceil(record.duration_s),
                "acquireTime": micro_time(record.acquired_s),
                "renewTime": micro_time(record.renewed_s),
                "leaseTransitions": record.transitions,
            },
        }


def _record(lease: dict[str, Any]) -> LeaderRecord:
    """Others may write Leases too, and leave out what they like."""
    spec = lease.get("spec") or {}
    return LeaderRecord(
        holder=str(spec.get("holderIdentity") or ""),
        duration_s=float(spec.get("leaseDurationSeconds") or 0),
        acquired_s=unix_time_of(str(spec.get("acquireTime") or "")),
        renewed_s=unix_time_of(str(spec.get("renewTime") or "")),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=str(lease["metadata"]["resourceVersion"]),
    )


def micro_time(unix_time_s: float) -> str:
    """As the API server wants it: always with six digits after the dot."""
    whole_s, rest_us = divmod(round(unix_time_s * 1_000_000), 1_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole_s))}.{rest_us:06d}Z"


def unix_time_of(text: str) -> float:
    """The other way; 0 for what is no such time."""
    whole, _, rest = text.removesuffix("Z").partition(".")
    try:
        whole_s = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
        return whole_s + (float(f"0.{rest}") if rest else 0.0)
    except ValueError:
        return 0.0

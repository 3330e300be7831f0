"""The adapter of Kubernetes against a server that fails in every way, and the rights it needs."""

from __future__ import annotations

import builtins
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.adapters.kubernetes_api import KubernetesApi, connect
from kiosk.adapters.kubernetes_cluster import (
    KubernetesCluster,
    KubernetesLeaderRecords,
    micro_time,
    unix_time_of,
)
from kiosk.errors import (
    InvalidRequest,
    KioskError,
    NotFound,
    Outage,
    PermanentError,
    PermissionDenied,
    WrongState,
)
from kiosk.ports import LeaderRecord, Role
from kiosk.testing.api_server import HANG, LOSE, ApiServer

NAMES = {Role.TRITON: "triton", Role.CONSUMERS: "kiosk-consumer"}
DEPLOYMENTS = "/apis/apps/v1/namespaces/here/deployments"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/here/leases"
# What the text of the module says, and the Role in deploy/ grants.
SMALLEST_RIGHTS = {
    *(("get", "deployments", name) for name in NAMES.values()),
    *((verb, "deployments/scale", name) for verb in ("get", "patch") for name in NAMES.values()),
    ("get", "leases", "kiosk-autoscaler"),
    ("update", "leases", "kiosk-autoscaler"),
    ("create", "leases", ""),
}


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with ApiServer() as server:
        for name in NAMES.values():
            server.put("deployments", "here", name, {"replicas": 0})
        yield server


@pytest.fixture
async def api(server: ApiServer, tmp_path: Path) -> AsyncIterator[KubernetesApi]:
    api = await connect(server.kubeconfig(tmp_path), 0.5)
    yield api
    await api.close()


@pytest.fixture
def cluster(api: KubernetesApi) -> KubernetesCluster:
    return KubernetesCluster(api, "here", NAMES)


@pytest.fixture
def records(api: KubernetesApi) -> KubernetesLeaderRecords:
    return KubernetesLeaderRecords(api, "here", "kiosk-autoscaler")


def record(holder: str) -> LeaderRecord:
    return LeaderRecord(holder=holder, duration_s=15, acquired_s=5, renewed_s=6)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        (401, PermissionDenied),
        (403, PermissionDenied),
        (404, NotFound),
        (410, Outage),
        (422, InvalidRequest),
        (429, Outage),
        (500, Outage),
        (503, Outage),
        (HANG, Outage),
    ],
)
async def test_failures_are_told_apart(
    server: ApiServer, cluster: KubernetesCluster, how: int | str, error: type[KioskError]
) -> None:
    server.inject(how)
    with pytest.raises(error):
        await cluster.replicas(Role.TRITON)
    assert (await cluster.replicas(Role.TRITON)).desired == 0  # the next time it works again


async def test_a_status_that_is_written_in_between_does_not_matter(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    seen = await cluster.replicas(Role.TRITON)
    server.inject(409, method="PATCH")
    assert await cluster.scale(Role.TRITON, 2, seen)
    assert (await cluster.replicas(Role.TRITON)).desired == 2


async def test_conflicts_without_end_are_no_failure(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    seen = await cluster.replicas(Role.TRITON)
    server.inject(409, method="PATCH", times=100)
    assert not await cluster.scale(Role.TRITON, 2, seen)
    assert (await cluster.replicas(Role.TRITON)).desired == 0


async def test_a_write_whose_answer_is_lost_has_happened(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    seen = await cluster.replicas(Role.TRITON)
    server.inject(LOSE, method="PATCH")
    with pytest.raises(Outage):
        await cluster.scale(Role.TRITON, 2, seen)
    assert (await cluster.replicas(Role.TRITON)).desired == 2


async def test_numbers_that_cannot_be_are_refused(cluster: KubernetesCluster) -> None:
    with pytest.raises(InvalidRequest, match="must be >= 0"):
        await cluster.scale(Role.TRITON, -1, await cluster.replicas(Role.TRITON))


async def test_a_deployment_that_is_missing_is_named(server: ApiServer, api: KubernetesApi) -> None:
    cluster = KubernetesCluster(api, "here", {Role.TRITON: "tritno"})
    with pytest.raises(NotFound, match=r"tritno.*KIOSK_AUTOSCALER__"):
        await cluster.replicas(Role.TRITON)


async def test_no_server_is_an_outage(tmp_path: Path) -> None:
    nobody = ApiServer(url="http://127.0.0.1:9")
    api = await connect(nobody.kubeconfig(tmp_path), 0.5)
    with pytest.raises(Outage, match="cannot be reached"):
        await KubernetesCluster(api, "here", NAMES).replicas(Role.TRITON)
    await api.close()


async def test_the_rights_that_are_asked_for_are_enough_and_all_needed(
    server: ApiServer, cluster: KubernetesCluster, records: KubernetesLeaderRecords
) -> None:
    server.rights = SMALLEST_RIGHTS
    for role in Role:
        assert await cluster.scale(role, 1, await cluster.replicas(role))
    assert await records.read() is None
    first = await records.write(record("me"), None)
    assert await records.write(record("me"), first)
    assert set(server.asked) == SMALLEST_RIGHTS


async def test_a_right_that_is_missing_is_named(
    server: ApiServer, cluster: KubernetesCluster
) -> None:
    server.rights = SMALLEST_RIGHTS - {("patch", "deployments/scale", "triton")}
    seen = await cluster.replicas(Role.TRITON)
    with pytest.raises(PermissionDenied, match="cannot patch deployments/scale"):
        await cluster.scale(Role.TRITON, 1, seen)


async def test_a_lease_of_somebody_else_is_read_as_far_as_it_goes(
    server: ApiServer, api: KubernetesApi, records: KubernetesLeaderRecords
) -> None:
    body = {"metadata": {"name": "kiosk-autoscaler"}, "spec": {}}
    await api.ask("POST", LEASES, body)
    seen = await records.read()
    assert seen is not None
    assert (seen.holder, seen.duration_s, seen.transitions) == ("", 0, 0)
    assert await records.write(record("me"), seen)


async def test_a_lease_that_was_deleted_is_no_lease(
    api: KubernetesApi, records: KubernetesLeaderRecords
) -> None:
    seen = await records.write(record("me"), None)
    await api.ask("DELETE", f"{LEASES}/kiosk-autoscaler")
    assert await records.write(record("me"), seen) is None
    assert await records.read() is None


@pytest.mark.parametrize(
    "unix_time_s", [0.0, 1_700_000_000.0, 1_700_000_000.000001, 1e9 + 0.9999999]
)
def test_times_always_have_six_digits(unix_time_s: float) -> None:
    text = micro_time(unix_time_s)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert unix_time_of(text) == pytest.approx(unix_time_s, abs=2e-6)


def test_what_is_no_time_is_zero() -> None:
    assert unix_time_of("") == unix_time_of("soon") == 0


async def test_without_the_client_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("kubernetes"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(PermanentError, match=re.escape("cell-kiosk[cluster]")):
        await connect(None, 1.0)


async def test_without_a_cluster_a_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="KIOSK_AUTOSCALER__KUBECONFIG"):
        await connect(tmp_path / "none", 1.0)


class TestTheFakeServer:
    """It is no test of ours that the fake lets through what a real server refuses."""

    async def test_zero_replicas_are_left_out_of_a_scale(self, api: KubernetesApi) -> None:
        assert (await api.ask("GET", f"{DEPLOYMENTS}/triton/scale"))["spec"] == {}

    async def test_a_patch_that_changes_nothing_moves_the_version_and_no_generation(
        self, api: KubernetesApi, cluster: KubernetesCluster
    ) -> None:
        before = await api.ask("GET", f"{DEPLOYMENTS}/triton")
        assert await cluster.scale(Role.TRITON, 0, await cluster.replicas(Role.TRITON))
        after = await api.ask("GET", f"{DEPLOYMENTS}/triton")
        assert before["metadata"]["resourceVersion"] != after["metadata"]["resourceVersion"]
        assert before["metadata"]["generation"] == after["metadata"]["generation"]

    @pytest.mark.parametrize("replicas", ["4", True, 1.5, -1])
    async def test_replicas_are_whole_numbers(self, api: KubernetesApi, replicas: Any) -> None:
        path, body = f"{DEPLOYMENTS}/triton/scale", {"spec": {"replicas": replicas}}
        with pytest.raises(InvalidRequest):
            await api.ask("PATCH", path, body, "application/merge-patch+json")

    async def test_a_patch_says_what_kind_it_is(self, api: KubernetesApi) -> None:
        with pytest.raises(InvalidRequest, match="415"):
            await api.ask("PATCH", f"{DEPLOYMENTS}/triton/scale", {"spec": {}}, "application/json")

    async def test_a_typo_is_refused(self, api: KubernetesApi) -> None:
        path, body = f"{DEPLOYMENTS}/triton/scale", {"spec": {"replcas": 1}}
        with pytest.raises(InvalidRequest, match="unknown field"):
            await api.ask("PATCH", path, body, "application/merge-patch+json")

    @pytest.mark.parametrize(
        "spec",
        [
            {"renewTime": "2026-01-01T00:00:00Z"},
            {"renewTime": "2026-01-01T00:00:00+00:00"},
            {"leaseDurationSeconds": 0},
            {"leaseDurationSeconds": 1.5},
            {"holderIdentity": ""},
        ],
    )
    async def test_leases_are_checked(self, api: KubernetesApi, spec: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequest):
            await api.ask("POST", LEASES, {"metadata": {"name": "x"}, "spec": spec})

    async def test_an_update_names_the_version(self, api: KubernetesApi) -> None:
        lease = {"metadata": {"name": "x"}, "spec": {}}
        await api.ask("POST", LEASES, lease)
        with pytest.raises(InvalidRequest, match="must be specified"):
            await api.ask("PUT", f"{LEASES}/x", lease)
        with pytest.raises(WrongState, match="409"):
            await api.ask("POST", LEASES, lease)

    async def test_a_watch_replays_until_it_is_told_to_list_again(
        self, server: ApiServer, api: KubernetesApi, cluster: KubernetesCluster
    ) -> None:
        version = (await api.ask("GET", DEPLOYMENTS))["metadata"]["resourceVersion"]
        await cluster.scale(Role.TRITON, 3, await cluster.replicas(Role.TRITON))
        watch = f"{DEPLOYMENTS}?watch=1&resourceVersion={version}"
        event = await api.ask("GET", watch)  # one event is one line, and one object
        assert (event["type"], event["object"]["spec"]["replicas"]) == ("MODIFIED", 3)
        server.expire()
        with pytest.raises(Outage, match="410"):
            await api.ask("GET", watch)
        listed = await api.ask("GET", DEPLOYMENTS)
        assert [item["spec"]["replicas"] for item in listed["items"]] == [3, 0]

"""What every pod has to be: confined, bounded, looked after, of a known image."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.deploy.rendering import (
    BASE,
    ROOT,
    Objects,
    bytes_of,
    containers_of,
    environment_of,
    kustomizations,
    labels_of,
    name_of,
    named,
    of_kind,
    pod_of,
    ports_of,
    rendered,
    workloads,
)

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
PROBES = ("startupProbe", "readinessProbe", "livenessProbe")
OVERLAYS = [folder for folder in kustomizations() if "/overlays/" in folder]
GPU_OVERLAYS = [folder for folder in OVERLAYS if not folder.endswith("/local")]


def test_pods_keep_to_the_restricted_standard(objects: Objects) -> None:
    """As the namespace demands, and a read-only root besides."""
    for workload in workloads(objects):
        pod = pod_of(workload)
        assert not {"hostNetwork", "hostPID", "hostIPC"}.intersection(pod), name_of(workload)
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        allowed = {"emptyDir", "configMap", "persistentVolumeClaim", "secret", "projected"}
        for volume in pod.get("volumes", []):
            assert volume.keys() - {"name"} <= allowed, volume
        for container in containers_of(workload):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]
            assert all("hostPort" not in port for port in container.get("ports", []))


def test_the_namespace_demands_the_restricted_standard(kubectl: None) -> None:
    labels = named(rendered(str(BASE.relative_to(ROOT))), "Namespace", "kiosk")["metadata"][
        "labels"
    ]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_the_autoscaler_can_talk_to_kubernetes(objects: Objects) -> None:
    for account in of_kind(objects, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False, name_of(account)
    accounts = {found["metadata"]["name"] for found in of_kind(objects, "ServiceAccount")}
    for workload in workloads(objects):
        pod = pod_of(workload)
        assert pod["serviceAccountName"] in accounts
        is_autoscaler = labels_of(workload)["app.kubernetes.io/component"] == "autoscaler"
        assert pod["automountServiceAccountToken"] is is_autoscaler
        assert pod["enableServiceLinks"] is False  # its variables look like settings


def test_containers_have_requests_and_limits(objects: Objects) -> None:
    for workload in workloads(objects):
        for container in containers_of(workload):
            requests, limits = (container["resources"][key] for key in ("requests", "limits"))
            assert {"cpu", "memory"} <= requests.keys() & limits.keys(), container["name"]
            assert bytes_of(requests["memory"]) <= bytes_of(limits["memory"])
            if "nvidia.com/gpu" in limits:
                assert requests["nvidia.com/gpu"] == limits["nvidia.com/gpu"]


def test_temporary_folders_are_bounded(objects: Objects) -> None:
    for workload in workloads(objects):
        for volume in pod_of(workload).get("volumes", []):
            if "emptyDir" in volume:
                assert bytes_of(volume["emptyDir"]["sizeLimit"]) > 0, volume["name"]


def test_containers_have_probes_of_ports_that_are_theirs(objects: Objects) -> None:
    for workload in workloads(objects):
        ports = ports_of(workload)
        for container in pod_of(workload)["containers"]:
            for kind in PROBES:
                probe = container[kind]
                target = probe.get("httpGet") or probe.get("tcpSocket")
                assert target is None or target["port"] in ports, (container["name"], kind)


def test_roles_are_asked_at_their_status_port(objects: Objects) -> None:
    """Liveness by what asks neither Redis nor Triton; a restart cures neither."""
    for workload in workloads(objects):
        for container in pod_of(workload)["containers"]:
            if not container["image"].split(":")[0].endswith("cell-kiosk"):
                continue
            paths = {kind: container[kind]["httpGet"] for kind in PROBES}
            assert paths["startupProbe"] == {"path": "/healthz", "port": "status"}
            assert paths["livenessProbe"] == {"path": "/healthz", "port": "status"}
            assert paths["readinessProbe"] == {"path": "/readyz", "port": "status"}


def test_images_are_pinned_and_the_same_everywhere() -> None:
    """One tag for each image in all overlays; none is `latest` or without one."""
    from tests.deploy.conftest import MISSING

    if MISSING:
        pytest.skip(MISSING)
    images = {
        container["image"]
        for folder in kustomizations()
        for workload in workloads(rendered(folder))
        for container in containers_of(workload)
    }
    names = [image.rsplit(":", 1)[0] for image in images]
    assert len(set(names)) == len(names), images
    for image in images:
        assert re.fullmatch(r"[\w./-]+:[\w.-]+(@sha256:[0-9a-f]{64})?", image), image
        assert not image.endswith(":latest")
    assert f"cell-kiosk:{VERSION}" in images


def test_labels_tell_the_version(objects: Objects) -> None:
    for workload in workloads(objects):
        labels = labels_of(workload)
        assert labels["app.kubernetes.io/version"] == VERSION
        assert labels["app.kubernetes.io/part-of"] == "kiosk"
        assert {"app.kubernetes.io/name", "app.kubernetes.io/component"} <= labels.keys()


def test_what_the_autoscaler_sets_is_set_by_nobody_else(objects: Objects) -> None:
    """A manifest with `replicas` would set them back whenever it is applied."""
    for name in ("triton", "kiosk-consumer"):
        assert "replicas" not in named(objects, "Deployment", name)["spec"]


def test_the_server_is_never_away_during_an_update(objects: Objects) -> None:
    strategy = named(objects, "Deployment", "kiosk-server")["spec"]["strategy"]
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0


def test_pods_stay_for_as_long_as_their_end_takes(objects: Objects) -> None:
    """preStop, and what Triton takes for tiles that are being computed."""
    for workload in workloads(objects):
        pod = pod_of(workload)
        for container in pod["containers"]:
            command = container.get("lifecycle", {}).get("preStop", {}).get("exec", {})
            wait_s = float(command.get("command", ["sleep", "0"])[1])
            for argument in container.get("args", []):
                if argument.startswith("--exit-timeout-secs="):
                    wait_s += float(argument.split("=")[1])
            assert pod["terminationGracePeriodSeconds"] >= wait_s + 15, name_of(workload)


@pytest.mark.parametrize("folder", GPU_OVERLAYS)
def test_triton_has_a_gpu_and_the_configurations_for_it(folder: str, kubectl: None) -> None:
    pod = pod_of(named(rendered(folder), "Deployment", "triton"))
    container = pod["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"  # a word: 1 is refused
    assert pod["nodeSelector"]
    assert {"nvidia.com/gpu"} <= {toleration["key"] for toleration in pod["tolerations"]}
    assert "--model-config-name=gpu" in container["args"]
    for model in (ROOT / "model_repository").iterdir():
        assert (model / "configs/gpu.pbtxt").exists(), model


def test_temporary_memory_of_triton_is_within_its_limit(objects: Objects) -> None:
    """What lies in /dev/shm counts as memory of the container."""
    pod = pod_of(named(objects, "Deployment", "triton"))
    shm = next(v for v in pod["volumes"] if v["name"] == "shm")["emptyDir"]
    assert shm["medium"] == "Memory"
    assert 4 * bytes_of(shm["sizeLimit"]) <= bytes_of(
        pod["containers"][0]["resources"]["limits"]["memory"]
    )


def test_roles_find_the_folder_that_they_write(objects: Objects) -> None:
    """All that the image's settings name below /var/lib/kiosk is a volume."""
    for workload in workloads(objects):
        for container in containers_of(workload):
            if "cell-kiosk" in container["image"]:
                mounted = {m["mountPath"] for m in container["volumeMounts"]}
                assert "/var/lib/kiosk" in mounted, container["name"]
                store = environment_of(objects, {"envFrom": container.get("envFrom", [])}, {}).get(
                    "KIOSK_OBJECT_STORE", ""
                )
                needs_folder = store.startswith("/") and container["name"] != "autoscaler"
                assert not needs_folder or store in mounted, container["name"]

"""The variables of each container make settings that the kiosk takes, and that fit the pod."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from kiosk.exposure import check_exposure
from kiosk.local_redis import COMMANDS, NOBODY, PREFIX, USER
from kiosk.settings import Settings
from kiosk.triton_secret import restriction
from tests.deploy.rendering import (
    BASE,
    ROOT,
    Objects,
    bytes_of,
    containers_of,
    environment_of,
    labels_of,
    name_of,
    named,
    of_kind,
    pod_of,
    ports_of,
    strings_in,
    workloads,
)
from tests.guards.test_guards import setting_names

# The keys of the Secret, and what docs/cluster.md puts there.
SECRETS = {
    "redis-url": "redis://kiosk:word@redis:6379/0",
    "redis-password": "word",
    "triton-secret": "another",
}
GIB = 2**30
OWN_BYTES = 2 * GIB  # of a consumer, beside the processes that read images

# Read by something else than the kiosk's settings.
FOREIGN = {"MODEL_SOURCE", "MODEL_SYNC_S", "TRITON_SECRET", "REDIS_PASSWORD", "REDISCLI_AUTH"}


@pytest.fixture
def settings_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings that a process with the given variables would have."""

    def make(variables: dict[str, str]) -> Settings:
        for name in [name for name in os.environ if name.startswith("KIOSK_")]:
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return make


def roles(objects: Objects) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Component -> workload and container, of what runs the kiosk's image as its main program."""
    return {
        labels_of(workload)["app.kubernetes.io/component"]: (workload, container)
        for workload in workloads(objects)
        for container in pod_of(workload)["containers"]
        if "cell-kiosk" in container["image"]
    }


def test_every_variable_is_a_setting(objects: Objects) -> None:
    known = setting_names(Settings())
    for workload in workloads(objects):
        for container in containers_of(workload):
            names = set(environment_of(objects, container, SECRETS))
            assert names - known - FOREIGN <= {"HOME"}, name_of(workload)


def test_every_role_accepts_its_settings(objects: Objects, settings_of: Any) -> None:
    for role, (workload, container) in roles(objects).items():
        settings = settings_of(environment_of(objects, container, SECRETS))
        ports = ports_of(workload)
        assert container["args"] == [role]
        assert settings.status.port == ports["status"]
        assert settings.status.host == "0.0.0.0"
        if role == "server":
            assert settings.auth.required
            check_exposure(settings)
            assert (settings.listen.grpc_port, settings.listen.web_port) == (
                ports["grpc"],
                ports["http"],
            )


def test_redis_and_triton_are_asked_where_they_are(objects: Objects, settings_of: Any) -> None:
    for role, (_, container) in roles(objects).items():
        settings = settings_of(environment_of(objects, container, SECRETS))
        if of_kind(objects, "StatefulSet"):
            url = urlsplit(settings.queue.redis_url.get_secret_value())
            service = named(objects, "Service", str(url.hostname))
            assert url.port in [port["port"] for port in service["spec"]["ports"]]
            assert url.username == USER
        if role == "autoscaler":
            continue  # it asks the queue and Kubernetes, and has no word for Triton
        found = re.fullmatch(r"dns:///([\w-]+):(\d+)", settings.triton.address)
        assert found, "all replicas by one name"
        service = named(objects, "Service", found.group(1))["spec"]
        assert service["clusterIP"] == "None"
        assert int(found.group(2)) in [port["port"] for port in service["ports"]]
        assert settings.triton.secret.get_secret_value() == SECRETS["triton-secret"]


def test_a_consumer_that_is_told_to_stop_finishes_its_part(
    objects: Objects, settings_of: Any
) -> None:
    workload, container = roles(objects)["consumer"]
    consumer = settings_of(environment_of(objects, container, SECRETS)).consumer
    assert consumer.stop_grace_s >= consumer.part_timeout_s
    assert pod_of(workload)["terminationGracePeriodSeconds"] >= consumer.stop_grace_s + 30


def test_consumers_have_memory_for_the_images_that_they_read(
    objects: Objects, settings_of: Any
) -> None:
    """A container that goes over its limit is killed with all that it does."""
    _, container = roles(objects)["consumer"]
    settings = settings_of(environment_of(objects, container, SECRETS))
    most = settings.consumer.parts_in_flight * settings.decoding.memory_bytes + OWN_BYTES
    assert bytes_of(container["resources"]["limits"]["memory"]) >= most


def test_the_autoscaler_may_do_what_its_settings_ask_for(
    objects: Objects, settings_of: Any
) -> None:
    """The two deployments that are there, one Lease, and nothing else."""
    if "autoscaler" not in roles(objects):
        assert not of_kind(objects, "Role", "RoleBinding")
        return
    _, container = roles(objects)["autoscaler"]
    scaling = settings_of(environment_of(objects, container, SECRETS)).autoscaler
    deployments = {scaling.triton_deployment, scaling.consumer_deployment}
    for name in deployments:
        named(objects, "Deployment", name)
    rules = named(objects, "Role", "kiosk-autoscaler")["rules"]
    found = {
        (resource, verb): set(rule.get("resourceNames", []))
        for rule in rules
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert found == {
        ("deployments", "get"): deployments,
        ("deployments/scale", "get"): deployments,
        ("deployments/scale", "patch"): deployments,
        ("leases", "get"): {scaling.lease_name},
        ("leases", "update"): {scaling.lease_name},
        ("leases", "create"): set(),
    }
    assert scaling.namespace == "kiosk"
    assert scaling.min_triton <= scaling.max_triton
    if named(objects, "Deployment", "kiosk-autoscaler")["spec"]["replicas"] > 1:
        assert scaling.lease_duration_s >= 2 * scaling.answer_s


def test_no_secret_is_in_what_is_rendered(objects: Objects) -> None:
    """Secrets are made by a command in docs/cluster.md; an example would be somebody's password."""
    assert not of_kind(objects, "Secret")
    for text in strings_in(objects):
        assert "PRIVATE KEY" not in text
        assert not re.search(r"rediss?://[^$]*:[^$@]+@", text), text


def test_the_documents_make_every_key_of_the_secret(objects: Objects) -> None:
    document = (ROOT / "docs/cluster.md").read_text()
    made = set(re.findall(r"--from-literal=([a-z-]+)=", document))
    assert made == set(SECRETS)
    for workload in workloads(objects):
        for container in containers_of(workload):
            for entry in container.get("env", []):
                reference = entry.get("valueFrom", {}).get("secretKeyRef")
                if reference:
                    assert reference["name"] == "kiosk-secrets"
                    assert reference["key"] in made


def test_triton_asks_for_the_word_on_both_ports(objects: Objects) -> None:
    for name in ("triton", "triton-cpu", "triton-gpu"):
        for workload in workloads(objects):
            for container in containers_of(workload):
                if container["name"] == name:
                    grpc = restriction("$(TRITON_SECRET)")
                    assert grpc in container["args"]
                    http = grpc.replace("--grpc-restricted-protocol", "--http-restricted-api")
                    assert http in container["args"]


def redis_users(command: list[str]) -> dict[str, list[str]]:
    """Name -> rules of the users on a command line of redis-server."""
    users = " ".join(command).split("--user ")[1:]
    return {words[0]: words[1:] for words in (user.split() for user in users)}


def redis_settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def test_redis_is_set_up_as_kiosk_up_sets_up_its_own(objects: Objects) -> None:
    if not of_kind(objects, "StatefulSet"):
        return
    container = pod_of(named(objects, "StatefulSet", "redis"))["containers"][0]
    users = redis_users(container["command"])
    assert users["default"] == NOBODY.split()[2:]
    rights = [f"~{PREFIX}*", "resetchannels", f"&{PREFIX}*", *COMMANDS.split()]
    assert users[USER] == ["on", ">$(REDIS_PASSWORD)", *rights]
    volume = pod_of(named(objects, "StatefulSet", "redis"))["volumes"][0]
    text = named(objects, "ConfigMap", volume["configMap"]["name"])["data"]["redis.conf"]
    settings = redis_settings(text)
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")
    assert settings["maxmemory-policy"] == "noeviction"
    unit = {"mb": 2**20, "gb": 2**30}[settings["maxmemory"][-2:]]
    maxmemory = int(settings["maxmemory"][:-2]) * unit
    # While the append-only file is written anew, pages that change are copied.
    assert 2 * maxmemory <= bytes_of(container["resources"]["limits"]["memory"])


def test_settings_of_redis_differ_in_size_only() -> None:
    local = redis_settings((BASE.parent / "overlays/local/redis.conf").read_text())
    base = redis_settings((BASE / "redis.conf").read_text())
    assert {**local, "maxmemory": ""} == {**base, "maxmemory": ""}

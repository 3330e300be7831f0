"""compose.yaml: the same images and settings as on a cluster, on one machine."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import yaml

from kiosk.exposure import check_exposure
from kiosk.local_redis import COMMANDS, NOBODY, PREFIX, USER
from kiosk.settings import Settings
from kiosk.triton_secret import restriction
from tests.deploy.rendering import BASE, DEPLOY
from tests.deploy.test_settings_of_pods import redis_users
from tests.guards.test_guards import setting_names

COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ROLES = ("server", "consumer")


def filled(value: object) -> str:
    """A value with its ${VARIABLES} filled in."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
    return re.sub(r"\$\{(\w+)(:\?[^}]*)?\}", "word", text)


def seconds(text: str) -> float:
    number, unit = text[:-1], text[-1]
    return float(number) * {"s": 1, "m": 60}[unit]


@pytest.mark.parametrize("role", ROLES)
def test_roles_accept_their_settings(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = SERVICES[role]["environment"]
    assert set(variables) <= setting_names(Settings())
    for name in [name for name in os.environ if name.startswith("KIOSK_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, filled(value))
    settings = Settings()
    assert SERVICES[role]["command"] == [role]
    assert settings.object_store in [v.split(":")[1] for v in SERVICES[role]["volumes"]]
    assert (
        f"http://127.0.0.1:{settings.status.port}/healthz"
        in SERVICES[role]["healthcheck"]["test"][-1]
    )
    if role == "server":
        check_exposure(settings)
        assert settings.auth.required
        published = [port.rsplit(":", 1)[1] for port in SERVICES[role]["ports"]]
        assert published == [str(settings.listen.web_port), str(settings.listen.grpc_port)]
    else:
        grace_s = settings.consumer.stop_grace_s
        assert seconds(SERVICES[role]["stop_grace_period"]) >= grace_s + 15


def test_images_are_those_of_the_cluster() -> None:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    pinned = {f"{image['name']}:{image['newTag']}" for image in kustomization["images"]}
    assert {service["image"] for service in SERVICES.values()} == pinned


def test_containers_are_confined() -> None:
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "privileged" not in service, name
        assert service["mem_limit"], name


def test_only_this_machine_reaches_the_ports() -> None:
    for service in SERVICES.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_each_volume_is_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    assert used == set(COMPOSE["volumes"])


def test_a_gpu_changes_the_configuration_of_the_models_only() -> None:
    cpu, gpu = SERVICES["triton-cpu"], SERVICES["triton-gpu"]
    assert sorted(gpu["command"]) == sorted([*cpu["command"], "--model-config-name=gpu"])
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert restriction("${TRITON_SECRET}") in cpu["command"]
    assert cpu["networks"] == gpu["networks"] == {"default": {"aliases": ["triton"]}}


def test_triton_runs_as_on_a_cluster() -> None:
    documents = yaml.safe_load_all((BASE / "triton.yaml").read_text())
    pod = next(d for d in documents if d["kind"] == "Deployment")["spec"]["template"]["spec"]
    arguments = [a.replace("$(", "${").replace("TRITON_SECRET)", "TRITON_SECRET}")
                 for a in pod["containers"][0]["args"]]  # fmt: skip
    assert SERVICES["triton-cpu"]["command"] == arguments


def test_redis_has_the_users_of_the_cluster() -> None:
    users = redis_users(SERVICES["redis"]["command"])
    rights = [f"~{PREFIX}*", "resetchannels", f"&{PREFIX}*", *COMMANDS.split()]
    assert users[USER] == ["on", ">${REDIS_PASSWORD}", *rights]
    assert users["default"] == NOBODY.split()[2:]
    rights = ["-@all", "+ping", "+bgsave", "+lastsave", "+info"]
    assert users["backup"] == ["on", ">${REDIS_PASSWORD}", *rights]


def test_the_example_has_no_secrets_and_git_leaves_the_real_ones_out() -> None:
    example = (DEPLOY / "compose.env.example").read_text()
    assigned = re.findall(r"^(\w+)=", example, re.M)
    assert set(assigned) == {"COMPOSE_PROFILES", "PUBLIC_URL"}
    assert "/deploy/.env" in (DEPLOY.parent / ".gitignore").read_text().splitlines()
    needed = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    for name in needed:
        assert name in example, "the command that makes it"

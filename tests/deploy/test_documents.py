"""What docs/cluster.md has people type works on what is in deploy/."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml

from tests.deploy.rendering import (
    BASE,
    DEPLOY,
    ROOT,
    Objects,
    containers_of,
    environment_of,
    kustomizations,
    named,
    of_kind,
    rendered_text,
    workloads,
)
from tests.deploy.test_settings_of_pods import SECRETS

TEXT = (ROOT / "docs/cluster.md").read_text()


@pytest.fixture
def mine(kubectl: None) -> Objects:
    """The kustomization that the document has people write, rendered."""
    found = re.search(r"/mine/kustomization.yaml <<'END'\n(.*?)^END$", TEXT, re.M | re.S)
    assert found
    text = found.group(1).replace("{", "{{").replace("}", "}}")
    text = text.replace("../overlays/gke", "{gke}")
    return rendered_text(text, gke=BASE.parent / "overlays/gke")


def test_a_kustomization_of_ones_own_changes_what_it_names(mine: Objects) -> None:
    for found in mine:
        kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    images = {c["image"] for w in workloads(mine) for c in containers_of(w)}
    assert "registry.example.org/cell-kiosk:0.1.0" in images
    assert not any(image.startswith("cell-kiosk") for image in images)
    server = named(mine, "Deployment", "kiosk-server")["spec"]["template"]["spec"]["containers"][0]
    variables = environment_of(mine, server, SECRETS)
    assert variables["KIOSK_OBJECT_STORE"] == "gs://my-bucket/kiosk"
    assert variables["KIOSK_LISTEN__PUBLIC_URL"] == "https://kiosk.lab.example"
    hosts = {rule["host"] for i in of_kind(mine, "Ingress") for rule in i["spec"]["rules"]}
    assert hosts == {"kiosk.lab.example", "grpc.kiosk.lab.example"}
    assert "example.org" not in str(of_kind(mine, "Ingress"))


def test_every_overlay_and_component_is_documented() -> None:
    for folder in kustomizations():
        place, name = folder.split("/")[-2:]
        if place == "overlays":
            assert f"| `{name}` |" in TEXT, name
        if place == "components":
            assert f"`{name}`" in (DEPLOY / "README.md").read_text(), name


def test_the_commands_name_what_is_there(kubectl: None) -> None:
    from tests.deploy.rendering import rendered

    objects = rendered("deploy/kustomize/base")
    kinds = {"deployment": "Deployment", "statefulset": "StatefulSet", "service": "Service"}
    for kind, name in re.findall(r"\b(deployment|statefulset|service)/([\w-]+)", TEXT):
        named(objects, kinds[kind], name)
    for path in re.findall(r"\bdeploy/[\w./-]+", TEXT):
        is_yours = path.startswith(("deploy/kustomize/mine", "deploy/.env", "deploy/monitoring"))
        assert is_yours or (ROOT / path.rstrip(".")).exists(), path


def test_the_pod_that_restores_has_the_volume_of_redis(kubectl: None) -> None:
    pod = yaml.safe_load((DEPLOY / "kustomize/redis-restore.yaml").read_text())
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    documents = yaml.safe_load_all((BASE / "redis.yaml").read_text())
    redis = next(d for d in documents if d["kind"] == "StatefulSet")
    claim = redis["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == f"{claim}-redis-0"
    theirs = redis["spec"]["template"]["spec"]
    assert pod["spec"]["securityContext"]["runAsUser"] == theirs["securityContext"]["runAsUser"]
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    images = {f"{image['name']}:{image['newTag']}" for image in kustomization["images"]}
    assert pod["spec"]["containers"][0]["image"] in images

"""The objects that kustomize makes of `deploy/`, and what a guard wants to know of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "kustomize" / "base"

Objects = list[dict[str, Any]]


def missing_tool() -> str:
    """Why nothing can be rendered here; "" when it can."""
    if not shutil.which("kubectl"):
        return "kubectl is not installed: https://kubernetes.io/docs/tasks/tools"
    done = subprocess.run(
        ["kubectl", "version", "--client"], capture_output=True, text=True, check=False
    )
    found = re.search(r"Kustomize Version: v(\d+)", done.stdout)
    if not found or int(found.group(1)) < 5:
        return "kubectl is too old: kustomize 5 or newer is needed (kubectl 1.27)"
    return ""


def kustomizations() -> list[str]:
    """All folders below deploy/ that kustomize knows, as paths from the root of the checkout."""
    files = sorted(DEPLOY.rglob("kustomization.yaml"))
    return [str(file.parent.relative_to(ROOT)) for file in files]


@cache
def rendered(folder: str) -> Objects:
    """The objects of an overlay; of a component those of the base with the component."""
    path = ROOT / folder
    if "kind: Component" not in (path / "kustomization.yaml").read_text():
        return kustomize(path)
    return rendered_text(
        "namespace: kiosk\nresources: [{base}]\ncomponents: [{component}]\n",
        base=BASE,
        component=path,
    )


def rendered_text(text: str, **folders: Path) -> Objects:
    """The objects of a kustomization.yaml that names folders by {placeholders}."""
    with tempfile.TemporaryDirectory() as place:
        where = Path(place).resolve()
        names = {name: os.path.relpath(folder, where) for name, folder in folders.items()}
        (where / "kustomization.yaml").write_text(text.format(**names))
        return kustomize(where)


def kustomize(folder: Path) -> Objects:
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(objects: Objects, *kinds: str) -> Objects:
    return [found for found in objects if found["kind"] in kinds]


def name_of(found: dict[str, Any]) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


def named(objects: Objects, kind: str, name: str) -> dict[str, Any]:
    matching = [o for o in of_kind(objects, kind) if o["metadata"]["name"] == name]
    assert len(matching) == 1, f"{kind}/{name}"
    return matching[0]


def workloads(objects: Objects) -> Objects:
    """What runs pods."""
    return of_kind(objects, "Deployment", "StatefulSet", "DaemonSet", "Job")


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def labels_of(workload: dict[str, Any]) -> dict[str, str]:
    return workload["spec"]["template"]["metadata"]["labels"]


def containers_of(workload: dict[str, Any]) -> Objects:
    """All containers of a workload, those that run before the others included."""
    pod = pod_of(workload)
    return [*pod.get("initContainers", []), *pod["containers"]]


def ports_of(workload: dict[str, Any]) -> dict[str, int]:
    """Name -> number of the ports of its pods."""
    ports = [p for c in containers_of(workload) for p in c.get("ports", [])]
    named_ports = {p["name"]: p["containerPort"] for p in ports}
    assert len(named_ports) == len(ports), f"{name_of(workload)}: a port's name is used twice"
    return named_ports


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector of Kubernetes selects something with these labels."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In", f"this guard does not know {rule['operator']}"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True


def selected(objects: Objects, selector: dict[str, Any]) -> Objects:
    return [w for w in workloads(objects) if matches(selector, labels_of(w))]


def environment_of(
    objects: Objects, container: dict[str, Any], secrets: dict[str, str]
) -> dict[str, str]:
    """The variables of a container, with the given values for keys of Secrets."""
    variables: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found = named(objects, "ConfigMap", source["configMapRef"]["name"])
        variables |= found["data"]
    for entry in container.get("env", []):
        origin = entry.get("valueFrom", {})
        if "secretKeyRef" in origin:
            variables[entry["name"]] = secrets[origin["secretKeyRef"]["key"]]
        elif "fieldRef" in origin:
            assert origin["fieldRef"]["fieldPath"] == "metadata.namespace"
            variables[entry["name"]] = "kiosk"
        else:
            variables[entry["name"]] = entry["value"]
    return variables


def bytes_of(quantity: str) -> int:
    """Bytes of a quantity such as 2Gi."""
    found = re.fullmatch(r"(\d+)(Ki|Mi|Gi)?", str(quantity))
    assert found, quantity
    return (
        int(found.group(1)) * {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[found.group(2) or ""]
    )


def strings_in(value: Any) -> Iterator[str]:
    """All strings of a document."""
    yield from re.findall(r'"((?:[^"\\]|\\.)*)"', json.dumps(value))

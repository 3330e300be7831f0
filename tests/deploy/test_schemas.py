"""Every object that is rendered is one that Kubernetes, or the kind's owner, would take."""

from __future__ import annotations

import copy

import kubernetes_validate
import pytest
from pydantic import ValidationError

from tests.deploy.custom_kinds import CUSTOM_KINDS
from tests.deploy.rendering import (
    ROOT,
    Objects,
    kustomizations,
    name_of,
    named,
    of_kind,
    rendered,
)

OLDEST = "1.29"  # of the versions that docs/cluster.md names: containers beside others
KEDA = "deploy/kustomize/overlays/keda"


def check(found: dict[str, object], version: str) -> None:
    """Raises ValidationError of one library or the other; a kind that nobody knows fails, too."""
    kind = CUSTOM_KINDS.get(str(found["kind"]))
    if kind is not None:
        kind.model_validate(found)
    else:
        kubernetes_validate.validate(found, version, strict=True)


def test_there_are_overlays_for_all_places() -> None:
    names = {folder.rsplit("/", 1)[1] for folder in kustomizations() if "/overlays/" in folder}
    assert names >= {"local", "gpu", "gke", "eks", "keda"}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
def test_objects_are_valid(objects: Objects, version: str) -> None:
    for found in objects:
        try:
            check(found, version)
        except (kubernetes_validate.ValidationError, ValidationError) as error:
            pytest.fail(f"{name_of(found)}: {error}")


def test_no_object_is_there_twice(objects: Objects) -> None:
    names = [name_of(found) for found in objects]
    assert sorted(names) == sorted(set(names))


def test_objects_are_in_the_namespace_of_the_kiosk(objects: Objects) -> None:
    everywhere = {"Namespace", "PriorityClass"}
    for found in objects:
        if found["kind"] not in everywhere:
            assert found["metadata"]["namespace"] == "kiosk", name_of(found)


@pytest.mark.parametrize(
    ("where", "value"),
    [("minReplicas", 0), ("cooldownPeriod", "300"), ("minReplicaCount", 99)],
)
def test_the_check_of_custom_kinds_finds_what_a_cluster_would_drop(
    where: str, value: object, kubectl: None
) -> None:
    wrong = copy.deepcopy(of_kind(rendered(KEDA), "ScaledObject")[0])
    wrong["spec"][where] = value
    with pytest.raises(ValidationError):
        check(wrong, OLDEST)


def test_the_check_of_built_in_kinds_finds_unknown_fields(kubectl: None) -> None:
    wrong = copy.deepcopy(named(rendered(KEDA), "Deployment", "triton"))
    wrong["spec"]["replica"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        check(wrong, OLDEST)


def test_the_documents_name_the_oldest_version() -> None:
    assert f"Kubernetes {OLDEST}" in (ROOT / "docs/cluster.md").read_text()

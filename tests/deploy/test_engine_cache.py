"""TensorRT's engines outlive a node: the component `engine-cache`."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.rendering import BASE, ROOT, Objects, named, pod_of, rendered_text
from tests.unit.test_gpu_settings import TILED, gpu_configs, parsed

COMPONENT = BASE.parent / "components/engine-cache"
TEXT = (ROOT / "docs/cluster.md").read_text()
RENDERED = """
resources: [{overlay}]
components: [{component}]
"""


def with_cache(overlay: str, patches: str = "") -> Objects:
    return rendered_text(
        RENDERED + patches, overlay=BASE.parent / "overlays" / overlay, component=COMPONENT
    )


def claim_of(objects: Objects) -> dict[str, Any]:
    return dict(named(objects, "PersistentVolumeClaim", "tensorrt-engines")["spec"])


@pytest.mark.parametrize("overlay", ["gpu", "gke", "eks", "keda"])
def test_engines_are_where_the_configurations_have_them(overlay: str, kubectl: None) -> None:
    objects = with_cache(overlay)
    pod = pod_of(named(objects, "Deployment", "triton"))
    container = pod["containers"][0]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    for path in TILED:
        accelerators = gpu_configs.gpu_config(parsed(path)).optimization.execution_accelerators
        options = accelerators.gpu_execution_accelerator[0].parameters
        mount = mounts[options["trt_engine_cache_path"]]
        assert mount == {"name": "engines", "mountPath": options["trt_engine_cache_path"]}
    # The mounts of the base are still there, and Triton still writes as the user of its group.
    assert {"/models", "/tmp", "/dev/shm"} < mounts.keys()
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["engines"]["persistentVolumeClaim"] == {"claimName": "tensorrt-engines"}


def test_the_claim_is_for_several_nodes_and_any_storage_class(kubectl: None) -> None:
    claim = claim_of(with_cache("gpu"))
    assert claim["accessModes"] == ["ReadWriteMany"]
    assert "storageClassName" not in claim


def test_the_patches_of_the_document_fit(kubectl: None) -> None:
    patches = re.findall(r"^```yaml\n(patches:\n.*?)^```$", TEXT, re.M | re.S)
    assert len(patches) == 2
    claims = []
    for text in patches:
        objects = with_cache("gke", text.replace("{", "{{").replace("}", "}}"))
        for found in objects:
            kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
        claims.append(claim_of(objects))
    class_of_ones_own, one_node = claims
    assert class_of_ones_own["storageClassName"]
    assert one_node["accessModes"] == ["ReadWriteOnce"]

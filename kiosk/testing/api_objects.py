"""What the fake API server takes and refuses, and how it answers: as the real one does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]

MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_METADATA = {"name", "namespace", "resourceVersion", "labels", "annotations", "uid", "generation"}
_FIELDS = {
    "Scale": {"replicas"},
    "Lease": {
        "holderIdentity",
        "leaseDurationSeconds",
        "acquireTime",
        "renewTime",
        "leaseTransitions",
    },
    "Deployment": {"replicas", "selector", "template", "strategy"},
    "Namespace": {"finalizers"},
}


class Refused(Exception):
    """A request is answered with a Status object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message

    def status(self) -> Object:
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }


def invalid(message: str) -> Refused:
    return Refused(422, "Invalid", message)


def check(kind: str, given: Any) -> None:
    """Raise Refused for what is no object of this kind; unknown fields are never dropped here."""
    if not isinstance(given, dict):
        raise Refused(400, "BadRequest", "the object provided is unrecognized")
    metadata, spec = given.get("metadata", {}), given.get("spec", {})
    unknown = (set(metadata) - _METADATA) | (set(spec) - _FIELDS[kind])
    unknown |= set(given) - {"apiVersion", "kind", "metadata", "spec", "status"}
    if unknown:
        raise Refused(400, "BadRequest", f"strict decoding error: unknown field {sorted(unknown)}")
    if kind == "Lease":
        _check_lease(spec)
    elif "replicas" in spec:
        _check_replicas(spec["replicas"])


def _check_replicas(replicas: Any) -> None:
    if isinstance(replicas, bool) or not isinstance(replicas, int):
        raise invalid(f"spec.replicas: Invalid value: {replicas!r}: must be an integer")
    if replicas < 0:
        raise invalid(f"spec.replicas: Invalid value: {replicas}: must be >= 0")


def _check_lease(spec: Mapping[str, Any]) -> None:
    for name in ("acquireTime", "renewTime"):
        if name in spec and not MICRO_TIME.fullmatch(str(spec[name])):
            message = f'parsing time "{spec[name]}" as "2006-01-02T15:04:05.000000Z07:00"'
            raise Refused(400, "BadRequest", message)
    duration = spec.get("leaseDurationSeconds", 1)
    if isinstance(duration, bool) or not isinstance(duration, int) or duration <= 0:
        raise invalid(f"spec.leaseDurationSeconds: Invalid value: {duration!r}")
    if spec.get("holderIdentity", "somebody") == "":
        raise invalid("spec.holderIdentity: Invalid value: must not be empty")
    if int(spec.get("leaseTransitions", 0)) < 0:
        raise invalid("spec.leaseTransitions: must be greater than or equal to 0")


def merged(target: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def scale_of(deployment: Object) -> Object:
    """The scale subresource; zero replicas are left out, as the real one does."""
    replicas = deployment["spec"].get("replicas", 1)
    kept = ("name", "namespace", "resourceVersion")
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {name: deployment["metadata"][name] for name in kept},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {"replicas": deployment.get("status", {}).get("replicas", 0)},
    }

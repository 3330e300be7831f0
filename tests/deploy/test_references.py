"""What one object says of another is true: selectors, ports, names. No schema checks that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.deploy.rendering import (
    Objects,
    labels_of,
    matches,
    name_of,
    named,
    of_kind,
    pod_of,
    ports_of,
    selected,
    workloads,
)


def test_workloads_select_their_own_pods_and_no_others(objects: Objects) -> None:
    for workload in workloads(objects):
        selector = workload["spec"]["selector"]
        assert [name_of(w) for w in selected(objects, selector)] == [name_of(workload)]
        for spread in pod_of(workload).get("topologySpreadConstraints", []):
            assert matches(spread["labelSelector"], labels_of(workload))


def test_services_lead_to_ports_of_pods(objects: Objects) -> None:
    for service in of_kind(objects, "Service"):
        behind = selected(objects, {"matchLabels": service["spec"]["selector"]})
        assert len(behind) == 1, name_of(service)
        for port in service["spec"]["ports"]:
            number = ports_of(behind[0])[port["targetPort"]]
            # The same number everywhere: without an address of its own a service maps none.
            assert port["port"] == number, (name_of(service), port["name"])


def test_a_stateful_set_has_its_service(objects: Objects) -> None:
    for workload in of_kind(objects, "StatefulSet"):
        named(objects, "Service", workload["spec"]["serviceName"])


def test_ways_in_lead_to_ports_of_services(objects: Objects) -> None:
    backends: list[dict[str, Any]] = []
    for ingress in of_kind(objects, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            backends += [path["backend"]["service"] for path in rule["http"]["paths"]]
            hosts = [host for tls in ingress["spec"]["tls"] for host in tls["hosts"]]
            assert rule["host"] in hosts, "keys are not to be read on their way"
    for route in of_kind(objects, "HTTPRoute", "GRPCRoute"):
        backends += [ref for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]
    for backend in backends:
        ports = named(objects, "Service", backend["name"])["spec"]["ports"]
        port = backend["port"]
        if isinstance(port, dict):
            assert port["name"] in [p["name"] for p in ports]
        else:
            assert port in [p["port"] for p in ports]


def test_disruption_budgets_are_for_something_and_let_nodes_be_emptied(objects: Objects) -> None:
    for budget in of_kind(objects, "PodDisruptionBudget"):
        spec = budget["spec"]
        assert len(selected(objects, spec["selector"])) == 1, name_of(budget)
        assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert spec["maxUnavailable"] not in {0, "0%"}
    budgeted = {
        name_of(w)
        for budget in of_kind(objects, "PodDisruptionBudget")
        for w in selected(objects, budget["spec"]["selector"])
    }
    assert budgeted == {name_of(w) for w in of_kind(objects, "Deployment")}


def test_scalers_have_targets_that_nobody_else_scales(objects: Objects) -> None:
    scalers = of_kind(objects, "ScaledObject", "HorizontalPodAutoscaler")
    targets = [scaler["spec"]["scaleTargetRef"]["name"] for scaler in scalers]
    assert len(targets) == len(set(targets))
    for target in targets:
        named(objects, "Deployment", target)
    autoscalers = [
        w for w in workloads(objects) if labels_of(w)["app.kubernetes.io/component"] == "autoscaler"
    ]
    assert bool(targets) != bool(autoscalers), "one of the two sets replicas, not both or none"


def test_jobs_are_taken_while_triton_is_at_zero(objects: Objects) -> None:
    """Else there would be no work that has it started again."""
    least = [scaler["spec"]["minReplicaCount"] for scaler in of_kind(objects, "ScaledObject")]
    for limits in of_kind(objects, "ConfigMap"):
        least += [int(v) for k, v in limits["data"].items() if k == "KIOSK_AUTOSCALER__MIN_TRITON"]
    assert least
    shared = [m for m in of_kind(objects, "ConfigMap") if "KIOSK_OBJECT_STORE" in m["data"]]
    assert min(least) > 0 or shared[0]["data"]["KIOSK_TRITON__MAY_SLEEP"] == "true"


def test_the_backlog_that_keda_asks_for_is_a_metric_of_the_kiosk(objects: Objects) -> None:
    from kiosk import telemetry

    source = Path(telemetry.__file__).read_text()
    for scaler in of_kind(objects, "ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            assert '"kiosk_queue_backlog_parts"' in source
            assert "max(kiosk_queue_backlog_parts" in trigger["metadata"]["query"]
            # No answer must not count as no work.
            assert trigger["metadata"]["ignoreNullValues"] == "false"


def test_roles_are_bound_to_accounts_that_are_there(objects: Objects) -> None:
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    for binding in of_kind(objects, "RoleBinding"):
        named(objects, "Role", binding["roleRef"]["name"])
        for subject in binding["subjects"]:
            named(objects, subject["kind"], subject["name"])


def test_no_role_allows_more_than_it_names(objects: Objects) -> None:
    for role in of_kind(objects, "Role"):
        for rule in role["rules"]:
            words = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in words
            assert not {"secrets", "pods/exec"}.intersection(rule["resources"])
            assert rule.get("resourceNames") or rule["verbs"] == ["create"]


def test_volumes_and_configuration_are_there(objects: Objects) -> None:
    for workload in workloads(objects):
        claimed = workload["spec"].get("volumeClaimTemplates", [])
        volumes = {v["name"] for v in pod_of(workload).get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in claimed}
        for container in [
            *pod_of(workload).get("initContainers", []),
            *pod_of(workload)["containers"],
        ]:
            assert {m["name"] for m in container.get("volumeMounts", [])} <= volumes
        for volume in pod_of(workload).get("volumes", []):
            if "configMap" in volume:
                named(objects, "ConfigMap", volume["configMap"]["name"])
            if "persistentVolumeClaim" in volume:
                named(
                    objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
                )
        priority = pod_of(workload).get("priorityClassName")
        assert priority is None or named(objects, "PriorityClass", priority)


# ---------------------------------------------------------------------- who may talk to whom


def policies_for(objects: Objects, workload: dict[str, Any], direction: str) -> Objects:
    """The rules of all policies that select a workload, in one direction: ingress or egress."""
    return [
        rule
        for policy in of_kind(objects, "NetworkPolicy")
        if matches(policy["spec"]["podSelector"], labels_of(workload))
        for rule in policy["spec"].get(direction, [])
    ]


def allows(rules: Objects, direction: str, other: dict[str, Any], port: str) -> bool:
    """Whether one of the rules lets a pod of this namespace through at a port."""
    for rule in rules:
        peers = [p["podSelector"] for p in rule.get(direction, []) if "podSelector" in p]
        is_peer = direction not in rule or any(matches(p, labels_of(other)) for p in peers)
        if is_peer and port in [p["port"] for p in rule.get("ports", [])]:
            return True
    return False


def may_talk(objects: Objects, caller: dict[str, Any], callee: dict[str, Any], port: str) -> bool:
    """Whether both sides allow it, named to each other or to anybody."""
    leaves = policies_for(objects, caller, "egress")
    enters = policies_for(objects, callee, "ingress")
    return allows(leaves, "to", callee, port) and allows(enters, "from", caller, port)


def test_nothing_is_allowed_that_is_not_named(objects: Objects) -> None:
    deny = named(objects, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_policies_select_pods_that_are_there_and_name_ports_that_they_have(
    objects: Objects,
) -> None:
    for policy in of_kind(objects, "NetworkPolicy"):
        spec = policy["spec"]
        chosen = selected(objects, spec["podSelector"])
        assert chosen, name_of(policy)
        for rule in spec.get("ingress", []):
            for port in rule["ports"]:
                assert all(port["port"] in ports_of(w) for w in chosen), name_of(policy)
        for rule in spec.get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" in peer:
                    targets = selected(objects, peer["podSelector"])
                    assert targets, name_of(policy)
                    for port in rule["ports"]:
                        assert all(port["port"] in ports_of(w) for w in targets), name_of(policy)
        directions = {d.capitalize() for d in ("ingress", "egress") if d in spec}
        assert directions <= set(spec["policyTypes"])


ALLOWED = {
    ("server", "redis", "redis"),
    ("consumer", "redis", "redis"),
    ("autoscaler", "redis", "redis"),
    ("server", "triton", "grpc"),
    ("consumer", "triton", "grpc"),
}


def test_pods_may_talk_to_whom_they_need_and_nobody_else(objects: Objects) -> None:
    by_name = {labels_of(w)["app.kubernetes.io/component"]: w for w in workloads(objects)}
    there = {way for way in ALLOWED if way[0] in by_name and way[1] in by_name}
    found = {
        (caller, callee, port)
        for caller, one in by_name.items()
        for callee, other in by_name.items()
        for port in ports_of(other)
        if caller != callee and may_talk(objects, one, other, port)
    }
    assert found == there


@pytest.mark.parametrize("component", ["server", "consumer", "triton"])
def test_roles_reach_the_object_store(objects: Objects, component: str) -> None:
    workload = next(
        w for w in workloads(objects) if labels_of(w)["app.kubernetes.io/component"] == component
    )
    ports = [p["port"] for r in policies_for(objects, workload, "egress") for p in r["ports"]]
    assert {53, 443} <= set(ports)

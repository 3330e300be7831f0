"""Kinds that Kubernetes does not know by itself, as far as we use them.

A cluster drops a field that it does not know from such an object without a word, so here an
unknown field is an error. The models follow the kinds' own definitions: KEDA 2.17, Gateway API 1.1,
Prometheus Operator 0.80.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Duration = Annotated[str, Field(pattern=r"^(0|(\d+(\.\d+)?(ms|s|m|h))+)s?$")]
Port = Annotated[int, Field(gt=0, lt=65536)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Kind(Strict):
    api_version: str
    kind: str
    metadata: dict[str, Any]


# ---------------------------------------------------------------------- KEDA


class ScalingPolicy(Strict):
    type: Literal["Pods", "Percent"]
    value: Annotated[int, Field(gt=0)]
    period_seconds: Annotated[int, Field(gt=0, le=1800)]


class ScalingRules(Strict):
    stabilization_window_seconds: Annotated[int, Field(ge=0, le=3600)]
    select_policy: Literal["Max", "Min", "Disabled"] = "Max"
    policies: list[ScalingPolicy]


class Behavior(Strict):
    scale_up: ScalingRules
    scale_down: ScalingRules


class HpaConfig(Strict):
    name: str = ""
    behavior: Behavior


class Advanced(Strict):
    restore_to_original_replica_count: bool = False
    horizontal_pod_autoscaler_config: HpaConfig


class Fallback(Strict):
    failure_threshold: Annotated[int, Field(gt=0)]
    replicas: Annotated[int, Field(ge=0)]
    behavior: Literal[
        "static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"
    ] = "static"


class PrometheusMetadata(Strict):
    server_address: Annotated[str, Field(pattern="^https?://")]
    query: str
    threshold: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
    activation_threshold: Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")] = "0"
    ignore_null_values: Literal["true", "false"] = "true"


class Trigger(Strict):
    type: Literal["prometheus"]
    name: str = ""
    metric_type: Literal["AverageValue", "Value"] = "AverageValue"
    metadata: PrometheusMetadata


class ScaleTarget(Strict):
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    name: str


class ScaledObjectSpec(Strict):
    scale_target_ref: ScaleTarget
    polling_interval: Annotated[int, Field(gt=0)] = 30
    cooldown_period: Annotated[int, Field(ge=0)] = 300
    min_replica_count: Annotated[int, Field(ge=0)] = 0
    max_replica_count: Annotated[int, Field(gt=0)] = 100
    fallback: Fallback
    advanced: Advanced
    triggers: Annotated[list[Trigger], Field(min_length=1)]

    @model_validator(mode="after")
    def _limits_are_in_order(self) -> ScaledObjectSpec:
        assert self.min_replica_count <= self.max_replica_count
        # KEDA refuses a fallback beside triggers that are no averages.
        assert all(trigger.metric_type == "AverageValue" for trigger in self.triggers)
        return self


class ScaledObject(Kind):
    api_version: Literal["keda.sh/v1alpha1"]
    spec: ScaledObjectSpec


# ---------------------------------------------------------------------- Gateway API


class ParentRef(Strict):
    name: str
    namespace: str = ""
    section_name: str = ""


class BackendRef(Strict):
    name: str
    port: Port


class PathMatch(Strict):
    type: Literal["PathPrefix", "Exact"]
    value: Annotated[str, Field(pattern="^/")]


class HttpMatch(Strict):
    path: PathMatch


class Timeouts(Strict):
    request: Duration = "0s"
    backend_request: Duration = "0s"


class GrpcRule(Strict):
    backend_refs: Annotated[list[BackendRef], Field(min_length=1)]


class HttpRule(GrpcRule):
    matches: list[HttpMatch]
    timeouts: Timeouts | None = None


class RouteSpec(Strict):
    parent_refs: Annotated[list[ParentRef], Field(min_length=1)]
    hostnames: list[str]


class HttpRouteSpec(RouteSpec):
    rules: list[HttpRule]


class GrpcRouteSpec(RouteSpec):
    rules: list[GrpcRule]


class HttpRoute(Kind):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: HttpRouteSpec


class GrpcRoute(Kind):
    api_version: Literal["gateway.networking.k8s.io/v1"]
    spec: GrpcRouteSpec


# ---------------------------------------------------------------------- Prometheus Operator


class Relabelling(Strict):
    action: str = "replace"
    source_labels: list[str] = []
    separator: str = ";"
    target_label: str = ""
    regex: str = ".*"
    replacement: str = "$1"


class Endpoint(Strict):
    port: str
    path: Annotated[str, Field(pattern="^/")] = "/metrics"
    interval: Duration = "30s"
    scrape_timeout: Duration = "10s"
    honor_labels: bool = False
    relabelings: list[Relabelling] = []
    metric_relabelings: list[Relabelling] = []


class Selector(Strict):
    match_labels: dict[str, str] = {}
    match_expressions: list[dict[str, Any]] = []


class NamespaceSelector(Strict):
    match_names: list[str] = []
    any: bool = False


class MonitorSpec(Strict):
    selector: Selector
    job_label: str = ""
    namespace_selector: NamespaceSelector | None = None
    sample_limit: int = 0


class PodMonitorSpec(MonitorSpec):
    pod_target_labels: list[str] = []
    pod_metrics_endpoints: Annotated[list[Endpoint], Field(min_length=1)]


class ServiceMonitorSpec(MonitorSpec):
    target_labels: list[str] = []
    pod_target_labels: list[str] = []
    endpoints: Annotated[list[Endpoint], Field(min_length=1)]


class PodMonitor(Kind):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: PodMonitorSpec


class ServiceMonitor(Kind):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: ServiceMonitorSpec


class AlertRule(Strict):
    alert: str = ""
    record: str = ""
    expr: str
    for_: Annotated[Duration, Field(alias="for")] = "0s"
    keep_firing_for: Duration = "0s"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class RuleGroup(Strict):
    name: str
    interval: Duration = "30s"
    rules: Annotated[list[AlertRule], Field(min_length=1)]


class PrometheusRuleSpec(Strict):
    groups: list[RuleGroup]


class PrometheusRule(Kind):
    api_version: Literal["monitoring.coreos.com/v1"]
    spec: PrometheusRuleSpec


CUSTOM_KINDS: dict[str, type[Kind]] = {
    "ScaledObject": ScaledObject,
    "HTTPRoute": HttpRoute,
    "GRPCRoute": GrpcRoute,
    "PodMonitor": PodMonitor,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}

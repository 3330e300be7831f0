"""Dashboard, alert rules and the table of metrics speak of metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.metrics import MetricWrapperBase

from kiosk import telemetry
from kiosk.logs import JsonLines
from kiosk.telemetry import QUEUE_GAUGES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/monitoring"
DOCUMENT = (ROOT / "docs/monitoring.md").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"][0]["rules"]
# Of Triton 2.51, of which GPUs are seen only where there are some.
TRITON = {
    *("nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"),
    *("nv_gpu_power_usage", "nv_cpu_utilization", "nv_cpu_memory_used_bytes"),
    *("nv_cpu_memory_total_bytes", "nv_inference_pending_request_count", "nv_inference_count"),
    *("nv_inference_exec_count", "nv_inference_queue_duration_us"),
    *("nv_inference_compute_infer_duration_us", "nv_inference_compute_input_duration_us"),
    "nv_inference_compute_output_duration_us",
}
# Of every process, and of kube-state-metrics.
STANDARD = {
    *("process_resident_memory_bytes", "process_cpu_seconds_total"),
    "kube_pod_container_status_restarts_total",
    "kube_deployment_status_replicas_available",
}
WORDS = {"by", "on", "and", "or", "unless", "group_left", "le", "e9", "e6"}


def metrics() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name as Prometheus stores it, kind, labels."""
    for metric in vars(telemetry).values():
        if isinstance(metric, MetricWrapperBase):
            kind = {Counter: "counter", Gauge: "gauge", Histogram: "histogram", Info: "info"}
            ending = {Counter: "_total", Info: "_info"}.get(type(metric), "")
            yield metric._name + ending, kind[type(metric)], tuple(metric._labelnames)
    for name, (_, labels) in QUEUE_GAUGES.items():
        yield name, "gauge", labels


def sample_names() -> set[str]:
    names = set()
    for name, kind, _ in metrics():
        endings = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        names |= {name + ending for ending in endings}
    return names


def names_in(expression: str) -> set[str]:
    """Names of metrics in an expression of PromQL."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|on|group_left|ignoring) *\([^)]*\)", "", bare)
    bare = bare.replace("$price_per_gpu_hour", "1")
    return set(re.findall(r"\b[a-z]\w*\b(?! *\()", bare)) - WORDS


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for rule in RULES:
        yield rule["alert"], rule["expr"]


def test_expressions_speak_of_metrics_that_exist() -> None:
    known = sample_names() | TRITON | STANDARD
    used = set()
    for where, expression in expressions():
        names = names_in(expression)
        assert names, where
        assert names <= known, (where, names - known)
        used |= names
    assert used >= TRITON  # what nobody looks at is not listed here


def test_labels_in_expressions_are_labels_of_their_metrics() -> None:
    labels = {name: set(names) for name, _, names in metrics()}
    labels["kiosk_build_info"] = {"version", "role"}
    for where, expression in expressions():
        for name, chosen in re.findall(r"\b(kiosk_\w+)\{([^}]*)\}", expression):
            family = name if name in labels else re.sub(r"_(bucket|sum|count)$", "", name)
            asked = set(re.findall(r"(\w+) *[=!]", re.sub(r'"[^"]*"', "", chosen)))
            assert asked <= labels[family] | {"namespace"}, (where, name)


def test_no_metric_is_labelled_with_what_has_no_end() -> None:
    for name, _, labels in metrics():
        assert not {"job", "job_id", "file", "file_name", "owner", "id"} & set(labels), name


def test_the_dashboard_can_be_imported() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert DASHBOARD["uid"]
    variables = {item["name"]: item for item in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
            for target in panel["targets"]:
                assert set(re.findall(r"\$(\w+)", target["expr"])) <= {
                    *variables,
                    "__rate_interval",
                }
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    for subject in ("Queue", "Latency by stage", "Throughput", "Errors", "Cost", "Autoscaler"):
        assert subject in rows


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"].endswith(".")
    runbook = rule["annotations"]["runbook"]
    assert "\n" not in runbook
    assert runbook.endswith(f" (docs/monitoring.md#{rule['alert'].lower()})")
    assert f"\n### {rule['alert']}\n" in DOCUMENT


def test_the_runbook_has_no_alert_that_is_gone() -> None:
    runbook = DOCUMENT.split("## Runbook")[1]
    assert re.findall(r"^### (\w+)$", runbook, re.M) == [rule["alert"] for rule in RULES]


def test_the_table_of_metrics_is_complete() -> None:
    told = set(re.findall(r"^\| `(kiosk_\w+)`", DOCUMENT, re.M))
    assert told == {name for name, _, _ in metrics()}
    for name, kind, labels in metrics():
        (row,) = re.findall(rf"^\| `{name}` \| (.*?) \| (.*?) \|", DOCUMENT, re.M)
        shown = "role, version" if kind == "info" else ", ".join(labels)
        assert row == (kind, shown), name


def test_the_keys_of_log_lines_are_explained() -> None:
    import logging

    record = logging.LogRecord("x", logging.INFO, "", 0, "m", None, None)
    for key in (*json.loads(JsonLines("").format(record)), "job_id", "trace_id", "exception"):
        assert f"`{key}`" in DOCUMENT, key


def test_what_is_watched_has_the_names_of_the_ports() -> None:
    monitors = list(yaml.safe_load_all((FOLDER / "pod-monitors.yaml").read_text()))
    ports = [end["port"] for item in monitors for end in item["spec"]["podMetricsEndpoints"]]
    assert ports == ["status", "metrics"]
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert all((FOLDER / name).is_file() for name in listed["resources"])
    (dashboard,) = listed["configMapGenerator"]
    assert dashboard["files"] == ["dashboard.json"]
    assert dashboard["options"]["labels"] == {"grafana_dashboard": "1"}

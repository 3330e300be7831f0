"""Each alert fires when it should: invented series, judged by Prometheus' own `promtool`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kiosk.settings import CHECKOUT

RULES = yaml.safe_load((CHECKOUT / "deploy/monitoring/rules.yaml").read_text())["spec"]

JOBS = "kiosk_queue_backlog_jobs"
PARTS = "kiosk_queue_backlog_parts"
ENDED = 'kiosk_jobs_total{pipeline="segmentation",outcome="%s"}'
DONE = 'kiosk_parts_total{kind="part",outcome="%s"}'
ASKED = 'kiosk_triton_requests_total{model="nuclei",version="1",code="%s"}'
CALLS = 'kiosk_grpc_requests_total{method="Segment",code="%s"}'
OUTAGE = 'kiosk_consumer_outage{reason="%s"}'
DECISIONS = 'kiosk_autoscaler_decisions_total{outcome="%s"}'
REPLICAS = 'kiosk_autoscaler_replicas{role="triton",state="%s"}'
CONSUMER = 'kiosk_build_info{role="consumer"}'
GPU = 'nv_gpu_utilization{gpu_uuid="a"}'
RESTARTS = 'kube_pod_container_status_restarts_total{pod="kiosk-server-1"}'

# Alert -> what is seen every minute, for two hours and a half ("4+1x150": from 4 up by 1 each).
WRONG: dict[str, dict[str, str]] = {
    "KioskNoServer": {CONSUMER: "1x150"},
    "KioskQueueAway": {"kiosk_queue_up": "0x150"},
    "KioskNoConsumer": {JOBS: "3x150"},
    "KioskNothingDone": {PARTS: "9x150", DONE % "done": "5x150"},
    "KioskJobsWait": {"kiosk_queue_oldest_seconds": "4000+60x150"},
    "KioskTritonAway": {OUTAGE % "MODEL_SERVER_AWAY": "1x150"},
    "KioskTritonErrors": {ASKED % "OK": "0+90x150", ASKED % "UNAVAILABLE": "0+10x150"},
    "KioskStoreAway": {OUTAGE % "DISK_FULL": "1x150"},
    "KioskPartsFail": {DONE % "done": "0+80x150", DONE % "retried": "0+20x150"},
    "KioskJobsGivenUp": {ENDED % "given_up": "0x149 1"},
    "KioskJobsFail": {ENDED % "succeeded": "0+1x150", ENDED % "failed": "0+1x150"},
    "KioskCallsFail": {CALLS % "OK": "0+90x150", CALLS % "INTERNAL": "0+10x150"},
    "KioskGpuIdle": {GPU: "0x150", JOBS: "0x150"},
    "KioskGpuStarved": {GPU: "0.1x150", PARTS: "90x150"},
    "KioskAutoscalerAway": {"kiosk_autoscaler_leader": "0x150"},
    "KioskAutoscalerHolds": {DECISIONS % "held": "0+6x150", DECISIONS % "kept": "3x150"},
    "KioskReplicasMissing": {REPLICAS % "desired": "3x150", REPLICAS % "ready": "1x150"},
    "KioskRestarts": {RESTARTS: "0+0.1x150"},
}
WELL = {
    'kiosk_build_info{role="server"}': "1x150",
    CONSUMER: "1x150",
    "kiosk_queue_up": "1x150",
    JOBS: "5x150",
    PARTS: "200x150",
    "kiosk_queue_oldest_seconds": "40x150",
    OUTAGE % "MODEL_SERVER_AWAY": "0x150",
    ENDED % "succeeded": "0+50x150",
    ENDED % "failed": "0+1x150",
    ENDED % "given_up": "0x150",
    DONE % "done": "0+500x150",
    DONE % "retried": "0+1x150",
    ASKED % "OK": "0+900x150",
    CALLS % "OK": "0+90x150",
    CALLS % "NOT_FOUND": "0+90x150",
    GPU: "0.8x150",
    "kiosk_autoscaler_leader": "1x150",
    DECISIONS % "kept": "0+6x150",
    REPLICAS % "desired": "3x150",
    REPLICAS % "ready": "3x150",
    RESTARTS: "1x150",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not shutil.which("promtool"):
        pytest.skip("promtool not found: apt-get install prometheus")
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": RULES["groups"]}))
    return tmp_path


def check(folder: Path, series: dict[str, str], query: str, *values: float) -> None:
    """Hold a query at the end of the series to these values."""
    samples = [{"labels": "{}", "value": value} for value in values]
    case: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": said} for name, said in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "150m", "exp_samples": samples}],
    }
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case]}
    (folder / "tests.yml").write_text(yaml.safe_dump(tests))
    command = ["promtool", "test", "rules", str(folder / "tests.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [rule["alert"] for rule in RULES["groups"][0]["rules"]])
def test_an_alert_fires_when_what_it_warns_of_has_happened(folder: Path, alert: str) -> None:
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    check(folder, WRONG[alert], firing, 1)


def test_none_fires_or_is_about_to_when_all_is_well(folder: Path) -> None:
    check(folder, WELL, "count(ALERTS)")
